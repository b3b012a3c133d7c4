"""How to get a release: the commands that follow a stream, stay on a build, go back, and verify."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from relman.model.changelog import Section
from relman.model.oci import Transport
from relman.model.release import Candidate
from relman.plugin import SectionsContext, Slot, Table, hookimpl

_FOLDED = 4
"""From how many lines on a step is folded."""


class Step(Table):
    """An entry of `[plugins.get] steps`: ``run`` is a template, filled in for each variant with all of ``traits``."""

    title: Annotated[str, Field(min_length=1)]
    run: Annotated[str, Field(min_length=1)]
    traits: tuple[str, ...] = ()


BOOTC = (
    Step(title="Follow this stream", run="sudo bootc switch {{ image }}:{{ tag }}"),
    Step(title="Stay on this very build", run="sudo bootc switch {{ image }}@{{ digest }}"),
    Step(title="Go back to what ran before", run="sudo bootc rollback"),
)
"""What holds for every host that bootc updates."""


class GetSettings(Table):
    """`[plugins.get]`. Without ``steps``, those of `BOOTC`."""

    title: Annotated[str, Field(min_length=1)] = "How to get it"
    steps: tuple[Step, ...] | None = None


@hookimpl
def relman_settings() -> list[Slot]:
    """The table `[plugins.get]`."""
    return [Slot("plugin", "get", GetSettings)]


@hookimpl
def relman_sections(context: SectionsContext) -> Iterator[Section]:
    """The steps, for releases that can be pulled from a registry.

    Without a table, only where every image says that it is made for bootc (label `containers.bootc`).
    """
    candidates = context.release.candidates if context.release else ()
    if not all(candidate.place.repository.transport is Transport.DOCKER for candidate in candidates):
        return
    configured = context.settings(GetSettings)
    if not configured and not all(c.first.labels.get("containers.bootc") == "1" for c in candidates):
        return
    settings = configured[0] if configured else GetSettings()
    steps = BOOTC if settings.steps is None else settings.steps
    parts = [part for step in steps if (part := _part(step, candidates, context))]
    if parts:
        yield Section("get", rank=80, title=settings.title, markdown="\n\n".join(parts))


def _part(step: Step, candidates: tuple[Candidate, ...], context: SectionsContext) -> str | None:
    """A title and its commands, one for each variant that has another; `None` where the step is for none of them."""
    chosen = [candidate for candidate in candidates if candidate.variant.traits.issuperset(step.traits)]
    lines = list(dict.fromkeys(context.command(step.run, **_values(each, context)).strip() for each in chosen))
    if not lines:
        return None
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    block = f"{fence}sh\n{text}\n{fence}"
    if len(lines) < _FOLDED:
        return f"{step.title}:\n\n{block}"
    return f"<details>\n<summary>{_plain(step.title)} ({len(lines)} commands)</summary>\n\n{block}\n\n</details>"


def _values(candidate: Candidate, context: SectionsContext) -> dict[str, object]:
    """What a step's template can name."""
    assert context.release
    assert context.stream
    moves = [move.reference.tag for move in candidate.moves if move.dated]
    build = candidate.build.tag if candidate.build else context.release.version
    return {
        "image": str(candidate.place.repository),
        "tag": context.stream.tag(candidate.variant),
        "version": moves[0] if moves else build,
        "digest": str(candidate.image.digest),
        "variant": candidate.variant.name,
        "stream": context.release.stream,
    }


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
