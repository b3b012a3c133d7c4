"""`relman demo`: a tour in a folder of its own."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from relman.cli.options import common_options


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--registry", metavar="HOST", help="Use a running registry instead of a folder, such as localhost:5000.")
@common_options
def demo(folder: Path | None, registry: str | None) -> int:
    """Make builds of four variants, then release them, each command shown as it runs. FOLDER stays, to play in."""
    from relman.demo.tour import run_tour

    return run_tour(folder or Path(tempfile.mkdtemp(prefix="relman-demo-")), registry, sys.stdout)
