"""One target under atheris, in a process of its own: ``python -m tests.fuzz.run TARGET CORPUS [LIBFUZZER OPTIONS]``.

CORPUS is a folder that grows. It is filled with the target's seeds first.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # only where `./dev fuzz` put it

with atheris.instrument_imports(include=["relman", "relman_plugins"]):
    from tests.fuzz.targets import TARGETS, outcome, seeds


def main() -> None:
    """Run until libFuzzer's own options end it, or something is found."""
    name, corpus, *options = sys.argv[1:]
    target = TARGETS[name]
    for number, seed in enumerate(seeds(name)):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *options], lambda data: outcome(target, data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
