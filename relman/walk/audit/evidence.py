"""Lost evidence: what was attached to the images of releases, and is no longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from relman.model.audit import Code, Finding
from relman.model.oci import Digest, Image
from relman.model.record import Record, RecordedVariant
from relman.registry.evidence import Evidence, gone, lost
from relman.walk.audit.facts import Answer, Facts
from relman.walk.audit.images import image_of
from relman.walk.parallel import in_parallel

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


def evidence_lost(facts: Facts) -> Iterator[Answer]:
    """What is attached to the image before the current one, or to the same image where it came from, and not to it."""
    current = facts.current
    if current is None:
        return
    before = facts.finished[1] if len(facts.finished) > 1 else None
    for variant in current.variants:
        mine = image_of(facts, current, variant.name)
        if mine is None:
            continue  # that it is gone, or was never on record, is said elsewhere
        if pieces := tuple(_gone_since(facts, current, variant, mine)):
            yield from pieces
            continue
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
            without = sorted(set(_attached(facts, image)[0]) - set(have))
            if without:
                said = f"{where} has {_a(without)} attached, and `{current.version}` of `{variant.name}` has none"
                yield _less_than(facts, current, variant, mine, image, said, without)
                break


def _gone_since(facts: Facts, current: Record, variant: RecordedVariant, mine: Image) -> Iterator[Answer]:
    """Piece by piece: what was attached when the release was finished, and what the same image has at its origin."""
    if variant.evidence is None:
        return
    kinds = {(one.subject, one.digest, one.tag): one for one in variant.evidence}
    missing = [kinds[piece] for piece in gone(facts.reader, mine.reference, kinds)]
    if missing:
        named = [_piece(one.kind, one.digest, one.tag) for one in missing]
        yield facts.finding(
            Code.EVIDENCE_LOST,
            f"`{current.version}` of `{variant.name}` had {_listed(named)} attached when it was released, and has "
            f"{'it' if len(missing) == 1 else 'them'} no more",
            "attach it again, and keep what has no tag of its own from being cleaned up",
            variant=variant.name,
            version=current.version,
            evidence={
                "record": current.id,
                "digest": mine.digest,
                "lost": sorted({_kind_of(one.kind, one.tag) for one in missing}),
                "pieces": [{"subject": one.subject, "digest": one.digest, "tag": one.tag} for one in missing],
            },
        )
        return
    for image, where in _compared(facts, None, mine, variant.name):
        pieces = lost(facts.reader, image.reference, mine.reference.repository)
        if pieces:
            named = [_piece(_type_of(one), one.descriptor.digest, one.tag) for one in pieces]
            said = f"{where} has {_listed(named)} attached, and `{current.version}` of `{variant.name}` has not"
            kinds_lost = sorted({_kind_of(_type_of(one), one.tag) for one in pieces})
            yield _less_than(facts, current, variant, mine, image, said, kinds_lost)


def _less_than(
    facts: Facts, current: Record, variant: RecordedVariant, mine: Image, other: Image, said: str, lost: list[str]
) -> Finding:
    """That ``other`` has kinds of evidence which the image of ``variant``, ``mine``, has not."""
    return facts.finding(
        Code.EVIDENCE_LOST,
        said,
        "attach it again; a copy between registries has to take referrers along",
        variant=variant.name,
        version=current.version,
        evidence={"record": current.id, "digest": mine.digest, "lost": lost, "from": str(other.reference)},
    )


def _type_of(piece: Evidence) -> str:
    return piece.descriptor.artifact_type or piece.descriptor.media_type


def _kind_of(kind: str, tag: str | None) -> str:
    ending = next((word for end, word in _COSIGN_TAGS.items() if tag and tag.endswith(end)), None)
    return ending or _kind(kind)


def _piece(kind: str, digest: Digest, tag: str | None) -> str:
    """`the SBOM sha256:0123…`; of one that had a tag of cosign's, the tag."""
    return f"the {_kind_of(kind, tag)} `{tag or digest.short}`"


def _listed(named: list[str]) -> str:
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")


def _compared(facts: Facts, before: Record | None, mine: Image, name: str) -> Iterator[tuple[Image, str]]:
    """The same image in the stream that it came from, where that lives elsewhere; and the one before it."""
    variant = next((one for one in facts.config.variants if one.name == name), None)
    if facts.stream.source and variant:
        home = facts.config.place(variant, facts.config.stream(facts.stream.source)).repository
        if home != mine.reference.repository:
            found = facts.images.look(home.digest(mine.digest))
            if isinstance(found, Image):
                yield found, f"the same image in `{home}`"
    earlier = image_of(facts, before, name) if before else None
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
