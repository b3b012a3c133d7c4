"""Lets relman's cache know the older side of each variant, as yesterday's run would have: `prime.py TAG`, in a project.

A program of its own, run before what is measured.
"""

from __future__ import annotations

import sys

from relman.cli.app import lifecycle


def main(tag: str) -> int:
    """Look at the build under ``tag`` of every variant, and read its contents."""
    with lifecycle(needs_config=True) as walk:
        stream = walk.config.stream("stable")
        for variant in walk.config.variants:
            image = walk.instruments.look(walk.config.place(variant, stream).repository.tag(tag))
            walk.instruments.comparer.inspector.contents(image.reference, image.platforms[0])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
