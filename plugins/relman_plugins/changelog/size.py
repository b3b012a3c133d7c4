"""What hosts download for a release, and how large its images are."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.changelog import Section
from relman.model.download import Download, download
from relman.model.release import Candidate
from relman.plugin import SectionsContext, hookimpl

_MEGA = 1_000_000


@hookimpl
def relman_sections(context: SectionsContext) -> Iterator[Section]:
    """One table, a row for each image whose predecessor is still there; nothing for two images given by hand."""
    candidates = context.release.candidates if context.release else ()
    rows = [row for candidate in candidates for row in _rows(candidate)]
    if rows:
        head = ["| Image | Download | Size |", "| --- | ---: | ---: |"]
        yield Section("size", rank=60, title="Size", markdown="\n".join([*head, *rows]))


def _rows(candidate: Candidate) -> Iterator[str]:
    before = candidate.follows.image if candidate.follows else None
    for platform in candidate.platforms if before else ():
        old, new = before.on(platform) if before else None, candidate.image.on(platform)
        step = download(old, new) if old and new else None
        if step is not None:
            name = candidate.variant.name if len(candidate.platforms) == 1 else f"{candidate.variant.name} ({platform})"
            yield f"| {name} | {_fetched(step)} | {megabytes(step.size_before)} → {megabytes(step.size_after)} MB |"


def _fetched(step: Download) -> str:
    layers = step.shared_layers + step.new_layers
    return f"{megabytes(step.new_bytes)} MB in {step.new_layers} of {layers} layers"


def megabytes(size: int) -> str:
    """``size`` bytes in millions of them: whole from a hundred on, with one decimal below, `<0.1` for next to none."""
    if 0 < size < _MEGA / 20:
        return "<0.1"
    return f"{size / _MEGA:,.0f}" if size >= 99.95 * _MEGA else f"{size / _MEGA:.1f}" if size else "0"
