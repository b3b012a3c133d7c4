"""What the images of releases tell: those that are gone, those made before what they follow, and lost evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from relman.errors import NotFound
from relman.model.audit import Code
from relman.model.oci import Digest, Image
from relman.model.record import Record
from relman.walk.audit.facts import Answer, Facts
from relman.walk.tags import in_parallel

_COSIGN_TAGS = {".sig": "signature", ".att": "attestation", ".sbom": "SBOM"}
"""How cosign before version 3 attaches: tags `sha256-<hex>` with these ends (cosign, `SIGNATURE_SPEC.md`)."""

_WORDS = (
    ("contents", "list of contents"),
    ("spdx", "SBOM"),
    ("cyclonedx", "SBOM"),
    ("syft", "SBOM"),
    ("sbom", "SBOM"),
    ("sigstore", "signature"),
    ("cosign", "signature"),
    ("signature", "signature"),
    ("notary", "signature"),
    ("in-toto", "attestation"),
    ("attestation", "attestation"),
    ("provenance", "attestation"),
    ("slsa", "attestation"),
)
"""Kinds of evidence by what their types have in their names: who goes from one format to another loses nothing."""


def image_gone(facts: Facts) -> Iterator[Answer]:
    """Releases whose image the registry no longer has whole: who pinned or goes back to it gets an error."""
    wanted = [
        (record, variant.name, reference)
        for record in facts.recent
        for variant in record.variants
        if (reference := facts.image(variant))
    ]
    if not wanted:
        why = facts.unrecorded or f"`{facts.stream.name}` has no finished record with digests"
        yield facts.unchecked(Code.IMAGE_GONE, why)
    found = facts.images.look_all(reference for _, _, reference in wanted)
    for record in facts.recent:
        gone = {name: ref for of, name, ref in wanted if of is record and isinstance(found[ref], NotFound)}
        if gone:
            one, words = facts.variants(gone)
            first = found[next(iter(gone.values()))]
            assert isinstance(first, NotFound)
            yield facts.finding(
                Code.IMAGE_GONE,
                f"the image of `{record.version}` for {words} is not whole any more: {first.message}",
                "keep what was released from being cleaned up: pin it by a dated tag",
                variant=one,
                version=record.version,
                evidence={"record": record.id, "images": {name: str(ref) for name, ref in gone.items()}},
            )
    if left := len(facts.finished) - len(facts.recent):
        yield facts.unchecked(
            Code.IMAGE_GONE,
            f"the images and texts of {left:,} older releases were not asked for: `--all` asks for them",
        )


def made_before(facts: Facts) -> Iterator[Answer]:
    """Releases whose image was made before that of the release before, and a stream that went back since."""
    for record, before in pairwise(facts.recent):
        back: dict[str, tuple[datetime, datetime]] = {}
        for variant in record.variants:
            mine, theirs = _made(facts, record, variant.name), _made(facts, before, variant.name)
            if mine and theirs and mine < theirs:
                back[variant.name] = (mine, theirs)
        if back:
            one, words = facts.variants(back)
            mine, theirs = next(iter(back.values()))
            yield facts.finding(
                Code.BACKWARDS,
                f"`{record.version}` has an image for {words} that was made at {mine:%Y-%m-%d %H:%M}, before that of "
                f"`{before.version}` ({theirs:%Y-%m-%d %H:%M})",
                "who updates gets an older build: release a newer one",
                variant=one,
                version=record.version,
                evidence={
                    "record": record.id,
                    "before": before.id,
                    "created": {name: [str(one) for one in times] for name, times in back.items()},
                },
            )
    yield from _held_before(facts)


def _held_before(facts: Facts) -> Iterator[Answer]:
    """A stream that builds push to, and that holds an older build than its last release: somebody went back."""
    current = facts.current
    if current is None or facts.stream.source is not None:
        return
    back: dict[str, tuple[Digest, datetime, datetime]] = {}
    for place in facts.places:
        held, theirs = facts.tags.holds(facts.primary(place)), _made(facts, current, place.variant.name)
        if held is None or theirs is None or held == facts.digest_at(current, place):
            continue
        image = facts.images.look(place.repository.digest(held))
        mine = _earliest(image) if isinstance(image, Image) else None
        if mine and mine < theirs:
            back[place.variant.name] = (held, mine, theirs)
    if back:
        one, words = facts.variants(back)
        _, mine, theirs = next(iter(back.values()))
        yield facts.finding(
            Code.BACKWARDS,
            f"the tag of {words} holds an image that was made at {mine:%Y-%m-%d %H:%M}, before that of the last "
            f"release, `{current.version}` ({theirs:%Y-%m-%d %H:%M})",
            "who updates gets an older build: push a newer one, or release it and say why",
            variant=one,
            version=current.version,
            evidence={
                "record": current.id,
                "holds": {name: held for name, (held, _, _) in back.items()},
                "created": {name: [str(one) for one in times] for name, (_, *times) in back.items()},
            },
        )


def _made(facts: Facts, record: Record, name: str) -> datetime | None:
    image = _image(facts, record, name)
    return _earliest(image) if image else None


def _earliest(image: Image) -> datetime | None:
    return min((part.created for part in image.platforms if part.created), default=None)


def _image(facts: Facts, record: Record, name: str) -> Image | None:
    variant = record.variant(name)
    reference = facts.image(variant) if variant else None
    found = facts.images.look(reference) if reference else None
    return found if isinstance(found, Image) else None


def evidence_lost(facts: Facts) -> Iterator[Answer]:
    """What is attached to the image before the current one, or to the same image where it came from, and not to it."""
    current = facts.current
    if current is None:
        return
    before = facts.finished[1] if len(facts.finished) > 1 else None
    for variant in current.variants:
        mine = _image(facts, current, variant.name)
        if mine is None:
            continue  # that it is gone, or was never on record, is said elsewhere
        have, hollow = _attached(facts, mine)
        if hollow:
            yield facts.finding(
                Code.EVIDENCE_LOST,
                f"`{current.version}` of `{variant.name}` lists {_a(sorted(hollow))} as attached, which the registry "
                "no longer has",
                "attach it again, and keep what has no tag of its own from being cleaned up",
                variant=variant.name,
                version=current.version,
                evidence={"record": current.id, "digest": mine.digest, "lost": sorted(hollow)},
            )
            continue
        for image, where in _compared(facts, before, mine, variant.name):
            lost = sorted(set(_attached(facts, image)[0]) - set(have))
            if lost:
                yield facts.finding(
                    Code.EVIDENCE_LOST,
                    f"{where} has {_a(lost)} attached, and `{current.version}` of `{variant.name}` has none",
                    "attach it again; a copy between registries has to take referrers along",
                    variant=variant.name,
                    version=current.version,
                    evidence={"record": current.id, "digest": mine.digest, "lost": lost, "from": str(image.reference)},
                )
                break


def _compared(facts: Facts, before: Record | None, mine: Image, name: str) -> Iterator[tuple[Image, str]]:
    """The same image in the stream that it came from, where that lives elsewhere; and the one before it."""
    variant = next((one for one in facts.config.variants if one.name == name), None)
    if facts.stream.source and variant:
        home = facts.config.place(variant, facts.config.stream(facts.stream.source)).repository
        if home != mine.reference.repository:
            found = facts.images.look(home.digest(mine.digest))
            if isinstance(found, Image):
                yield found, f"the same image in `{home}`"
    earlier = _image(facts, before, name) if before else None
    if before and earlier and earlier.digest != mine.digest:
        yield earlier, f"the release before, `{before.version}`,"


def _attached(facts: Facts, image: Image) -> tuple[Mapping[str, int], frozenset[str]]:
    """How often each kind of evidence is attached, to an index or to what it lists; and kinds that are only listed.

    Where a tag lists referrers, they have no tag themselves: cleaning up takes them, and leaves the list.
    """
    repository = image.reference.repository
    digests = tuple(dict.fromkeys((image.digest, *(part.manifest.digest for part in image.platforms))))
    tags = frozenset(facts.tags.list(repository))
    found: dict[str, int] = {}
    hollow: set[str] = set()
    every = in_parallel(lambda d: facts.reader.referrers(repository, d), digests)
    listed = tuple(dict.fromkeys(referrer.digest for referrers in every for referrer in referrers))
    held = in_parallel(lambda d: facts.reader.resolve(repository.digest(d)), listed)
    there = {digest for digest, one in zip(listed, held, strict=True) if one is not None}
    for digest, referrers in zip(digests, every, strict=True):
        hollow |= {_kind(one.artifact_type or one.media_type) for one in referrers if one.digest not in there}
        kinds = [_kind(one.artifact_type or one.media_type) for one in referrers if one.digest in there]
        kinds += [kind for end, kind in _COSIGN_TAGS.items() if digest.fallback_tag + end in tags]
        for kind in kinds:
            found[kind] = found.get(kind, 0) + 1
    return found, frozenset(hollow)


def _kind(artifact_type: str) -> str:
    return next((word for part, word in _WORDS if part in artifact_type.lower()), artifact_type[:100])


def _a(kinds: list[str]) -> str:
    return " and ".join(f"{'an' if kind[0] in 'aeioAEIOS' else 'a'} {kind}" for kind in kinds)
