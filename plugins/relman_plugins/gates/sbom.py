"""The gate `sbom`: each platform's image has an SBOM that can be read, is about it, and is no placeholder.

It is looked for as a referrer, then under cosign's tags (`.sbom`, `.att`); what is attached to the index counts for
those platforms whose packages it lists. Where relman read the SBOM already, to compare packages, it is not read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import msgspec
from pydantic import Field

from relman.model.gates import GateResult, State
from relman.model.oci import PlatformImage
from relman.model.release import Candidate
from relman.plugin import (
    GatesContext,
    ImageUnderRead,
    Malformed,
    NotFound,
    RelmanError,
    Slot,
    Table,
    hookimpl,
)
from relman_plugins.gates.verdict import Verdict, passed, skipped
from relman_plugins.inspect.listed import Empty
from relman_plugins.inspect.sbom import Attached, Foreign, SbomSource, attached_sboms, tagged_sboms

_AT_ONCE = 8
"""Images that are asked at the same time what is attached to them. SBOMs are read one by one: they are large."""


class SbomSettings(Table):
    """`{ type = "sbom", minimum = 100 }`: the fewest packages that an SBOM lists which is no placeholder."""

    minimum: Annotated[int, Field(ge=1)] = 100


class Read(msgspec.Struct, frozen=True):
    """What became of one SBOM: ``packages`` is how many it lists, else ``code`` and ``why`` say what is wrong."""

    sbom: str
    packages: int = 0
    code: str = ""
    why: str = ""


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "sbom", SbomSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed for each platform whose SBOM is as it should be; skipped where images are not read and one is there."""
    asked = context.asked("sbom", SbomSettings)
    parts = [(each, part) for each in context.release.candidates for part in each.image.platforms] if asked else []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(lambda one: _attached(context, *one), parts))
    for (candidate, part), attached in zip(parts, found, strict=True):
        reads = attached if isinstance(attached, Verdict) else _read(context, candidate, part, attached)
        for rule, settings in asked:
            answer = reads if isinstance(reads, Verdict) else verdict(reads, settings.minimum)
            yield answer.of(candidate, rule.name, part.platform)


def _under_read(context: GatesContext, candidate: Candidate, part: PlatformImage) -> ImageUnderRead:
    return ImageUnderRead(candidate.image.reference, part, context.registry)


def _attached(context: GatesContext, candidate: Candidate, part: PlatformImage) -> list[Attached] | Verdict:
    """What may be an SBOM of the image, the likeliest first."""
    image = _under_read(context, candidate, part)
    digests = list(dict.fromkeys((part.manifest.digest, candidate.image.digest)))
    others: list[str] = []
    try:
        return (
            [sbom for digest in digests for sbom in attached_sboms(image, digest, others)]
            or [sbom for digest in digests for sbom in tagged_sboms(image, digest, others)]
            or absent(others)
        )
    except RelmanError as error:
        return failed(error)


def _read(
    context: GatesContext, candidate: Candidate, part: PlatformImage, attached: Sequence[Attached]
) -> list[Read] | Verdict:
    """What became of each until one could be read."""
    if not context.read:
        return skipped("an SBOM is attached, and is read")
    known = context.contents.get((candidate.variant.name, part.platform))
    if known is not None and known.source == SbomSource.name:
        return [Read("its SBOM", len(known.packages))]
    image, source, reads = _under_read(context, candidate, part), SbomSource(), list[Read]()
    for sbom in attached:
        # What hangs on the index may be about any platform of it.
        platform = part.platform if sbom.subject != part.manifest.digest else None
        for layer in sbom.layers:
            try:
                found = source.read_layer(image, sbom, layer, platform)
            except (Malformed, NotFound) as error:
                reads.append(Read(str(sbom), code=_code(error), why=error.message))
            except RelmanError as error:
                return failed(error)
            else:
                return [*reads, Read(str(sbom), len(found.packages))]
    return reads


def _code(error: RelmanError) -> str:
    if isinstance(error, Empty):
        return "empty-sbom"
    return "foreign-sbom" if isinstance(error, Foreign) else "broken-sbom"


def absent(why: Sequence[str]) -> Verdict:
    """Nothing is attached that may be an SBOM."""
    needs = "attach one to the image: `oras attach --artifact-type application/vnd.spdx+json`"
    return Verdict(State.FAILED, "; ".join(why), code="no-sbom", needs=needs)


def failed(error: RelmanError) -> Verdict:
    """The registry did not say."""
    return Verdict(State.ERROR, error.message, needs=error.hint)


def verdict(reads: Sequence[Read], minimum: int) -> Verdict:
    """What SBOMs say that were read in this order, up to the first that could be; there is at least one."""
    last = reads[-1]
    evidence: dict[str, object] = {"sbom": last.sbom, "packages": last.packages}
    over = [f"{read.sbom}: {read.why}" for read in reads if read.code]
    if over:
        evidence["passed_over"] = over
    if last.code:
        why = f"no SBOM can be read: {'; '.join(over)}"
        return Verdict(State.FAILED, why, code=reads[0].code, needs="a whole SBOM of this image", evidence=evidence)
    if last.packages < minimum:
        why = f"{last.sbom} lists {last.packages} packages, fewer than {minimum}: a list that was cut, or a placeholder"
        return Verdict(State.FAILED, why, code="short-sbom", needs="a whole SBOM of this image", evidence=evidence)
    return passed(f"{last.sbom} lists {last.packages} packages", **evidence)
