"""`--sbom VARIANT=FILE`: an SBOM of the current run on disk, for a candidate to which none is attached yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from relman.errors import UsageError
from relman.model.oci import Platform
from relman.walk.given import GivenSbom

F = TypeVar("F", bound=Callable[..., Any])


def sbom_option(command: F) -> F:
    """`--sbom`, once for each variant, or each platform of one."""
    return click.option(
        "--sbom",
        "sboms",
        multiple=True,
        metavar="VARIANT[:OS/ARCH]=FILE",
        help="Take what is inside the candidate of VARIANT from this SBOM.",
    )(command)


def parse_sboms(texts: Sequence[str]) -> tuple[GivenSbom, ...]:
    """The values of `--sbom`. Raises `UsageError`."""
    return tuple(map(_parsed, texts))


def _parsed(text: str) -> GivenSbom:
    place, equals, file = text.partition("=")
    variant, colon, platform = place.partition(":")
    if not equals or not variant or not file or (colon and not platform):
        raise UsageError(f"`--sbom {text}` is not VARIANT=FILE", hint="such as `--sbom bluefin=sbom.json`")
    try:
        return GivenSbom(variant, Platform.parse(platform) if colon else None, file)
    except ValueError as error:
        raise UsageError(f"`--sbom {text}`: {error}") from error
