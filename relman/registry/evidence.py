"""Evidence: what vouches for an image and what describes it. Signatures, attestations, SBOMs, in every place they have.

Those places are referrers, listed by API or by the fallback tag (distribution spec 1.1), and the tags that cosign has
written since before there were referrers: `sha256-<hex>.sig`, `.att`, `.sbom` (cosign, specs/SIGNATURE_SPEC.md). What
is attached may have evidence of its own, such as the signature of an SBOM. No copy tool carries all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from relman.errors import Malformed, NotFound, NotShown
from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.attaching import Patience, list_under_tag
from relman.registry.carrying import family, require_pinned
from relman.registry.manifests import encode, read_manifest, read_object
from relman.registry.protocol import INDEXES, RegistryReader, RegistryWriter

SUFFIXES = (".sig", ".att", ".sbom")
"""What cosign puts behind a digest to make a tag of it."""

MOST = 1000
"""Pieces of evidence of one image that are followed."""
TWICE = Patience(looks=2)
"""How often all evidence of one image is looked at again; what verifies a promotion looks once more after that."""
_DEPTH = 4
_ROUNDS = 12
_WORKERS = 8


class Evidence(msgspec.Struct, frozen=True):
    """One piece: a manifest that is about ``subject``. ``tag`` is the tag of cosign's that holds it, else `None`."""

    subject: Digest
    descriptor: Descriptor
    tag: str | None = None

    def __str__(self) -> str:
        kind = self.descriptor.artifact_type or self.descriptor.media_type
        where = f"the tag `{self.tag}`" if self.tag else f"`{self.descriptor.digest.short}` ({kind})"
        return f"{where} of `{self.subject.short}`"


def evidence_of(reader: RegistryReader, image: Reference) -> tuple[Evidence, ...]:
    """Everything that is attached to a pinned image and to each of its platforms, and what is attached to that.

    In the order in which it was found: of the index, of its children, then of what was found. Raises `NotFound` where
    the image lacks a part, `Malformed` where there is more than can be followed.
    """
    require_pinned(image)
    repository = image.repository
    found: dict[tuple[Digest, str | None], Evidence] = {}
    waiting = [manifest.descriptor.digest for manifest in reversed(family(reader, image))]
    seen = set(waiting)
    for _ in range(_DEPTH):
        further: list[Digest] = []
        with ThreadPoolExecutor(_WORKERS) as pool:
            attached = list(pool.map(lambda subject: _attached(reader, repository, subject), waiting))
        for pieces in attached:
            for piece in pieces:
                found.setdefault((piece.descriptor.digest, piece.tag), piece)
                if piece.descriptor.digest not in seen:
                    seen.add(piece.descriptor.digest)
                    further.append(piece.descriptor.digest)
            if len(found) > MOST:
                raise Malformed(f"more than {MOST} signatures, attestations and SBOMs are attached to `{image}`")
        if not further:
            return tuple(found.values())
        waiting = further
    raise Malformed(f"what is attached to `{image}` has evidence of its own, more than {_DEPTH} deep")


def _attached(reader: RegistryReader, repository: Repository, subject: Digest) -> tuple[Evidence, ...]:
    found = [Evidence(subject, descriptor) for descriptor in reader.referrers(repository, subject)]
    for suffix in SUFFIXES:
        tag = f"{subject.fallback_tag}{suffix}"
        held = reader.resolve(repository.tag(tag))
        if held is not None:
            found.append(Evidence(subject, held, tag))
    return tuple(found)


def lost(reader: RegistryReader, image: Reference, target: Repository) -> tuple[Evidence, ...]:
    """What is attached to ``image`` and not to the same image in ``target``; empty where nothing is missing.

    A tag of cosign's in ``target`` may hold more signatures than the one here, but none of these may be missing.
    """
    require_pinned(image)
    assert image.digest
    here = evidence_of(reader, image)
    there = evidence_of(reader, target.digest(image.digest)) if here else ()
    listed = {(piece.subject, piece.descriptor.digest) for piece in there if piece.tag is None}
    tags = {piece.tag: piece for piece in there if piece.tag}

    def missing(piece: Evidence) -> bool:
        if piece.tag is None:
            return (piece.subject, piece.descriptor.digest) not in listed
        held = tags.get(piece.tag)
        if held is None:
            return True
        return held.descriptor.digest != piece.descriptor.digest and not _holds(
            reader, target.digest(held.descriptor.digest), image.repository.digest(piece.descriptor.digest)
        )

    return tuple(piece for piece in here if missing(piece))


def gone(
    reader: RegistryReader, image: Reference, pieces: Iterable[tuple[Digest, Digest, str | None]]
) -> tuple[tuple[Digest, Digest, str | None], ...]:
    """Of ``pieces`` that were attached to ``image`` once (subject, digest, tag of cosign's), those that are no longer.

    What is only listed and not there counts as gone. A tag that holds more signatures than it did has lost nothing,
    where what it held before can still be asked for.
    """
    wanted = tuple(pieces)
    repository = image.repository
    subjects = tuple(dict.fromkeys(subject for subject, _, tag in wanted if tag is None))
    with ThreadPoolExecutor(_WORKERS) as pool:
        lists = pool.map(lambda subject: reader.referrers(repository, subject), subjects)
        listed = {(subject, one.digest) for subject, found in zip(subjects, lists, strict=True) for one in found}
        answers = pool.map(lambda piece: _is_there(reader, repository, piece, listed), wanted)
        return tuple(piece for piece, there in zip(wanted, answers, strict=True) if not there)


def _is_there(
    reader: RegistryReader,
    repository: Repository,
    piece: tuple[Digest, Digest, str | None],
    listed: set[tuple[Digest, Digest]],
) -> bool:
    subject, digest, tag = piece
    if tag is None:
        return (subject, digest) in listed and reader.resolve(repository.digest(digest)) is not None
    held = reader.resolve(repository.tag(tag))
    if held is None or held.digest == digest:
        return held is not None
    try:
        return _holds(reader, repository.digest(held.digest), repository.digest(digest))
    except (NotFound, Malformed):
        return False


def _holds(reader: RegistryReader, larger: Reference, smaller: Reference) -> bool:
    """Whether the manifest of signatures ``larger`` has every layer of ``smaller``."""
    return _layers(reader, smaller) <= _layers(reader, larger)


def _layers(reader: RegistryReader, reference: Reference) -> frozenset[bytes]:
    """A manifest's layers as JSON: the signatures themselves are in the annotations."""
    manifest = reader.manifest(reference)
    if manifest.descriptor.media_type in INDEXES:
        raise Malformed(f"`{reference}` is an index, not a manifest of signatures")
    layers = read_object(manifest.content, f"`{reference}`").get("layers") or []
    return frozenset(encode(layer) for layer in layers)


def copy_evidence(
    writer: RegistryWriter, image: Reference, target: Repository, *, patience: Patience = TWICE
) -> tuple[Evidence, ...]:
    """Bring what `lost` names to the same image in ``target``; answers with that.

    Referrers are listed there as that registry lists them; a tag of cosign's that holds other signatures gets these
    beside them. Nothing that is there is taken away. Raises `Malformed` naming what could not be brought.

    What others write too, they may overwrite: that is looked at again ``patience.looks`` times, and brought again.
    """
    raced = False
    brought: dict[Evidence, None] = {}
    clean = 0
    for _ in range(_ROUNDS):
        missing = lost(writer, image, target)
        shared = _bring(writer, missing, image, target)
        brought |= dict.fromkeys(missing)
        clean = 0 if missing else clean + 1
        raced = raced or shared
        if clean >= (patience.looks if raced else 1) or not brought:
            return tuple(brought)
        if raced:
            patience.sleep(patience.seconds)
    raise EvidenceLost(missing or brought, target)


def _bring(writer: RegistryWriter, missing: Iterable[Evidence], image: Reference, target: Repository) -> bool:
    """Copy these. Whether something was written that others write too: a list under a tag, a tag of cosign's."""
    shared = False
    for piece in missing:
        source = image.repository.digest(piece.descriptor.digest)
        try:
            writer.copy(source, target)
            if piece.tag is not None:
                _tag(writer, piece, source, target)
                shared = True
            elif not any(d.digest == piece.descriptor.digest for d in writer.referrers(target, piece.subject)):
                list_under_tag(writer, target, piece.subject, piece.descriptor)
                shared = True
        except NotFound as error:
            raise Malformed(f"{piece} cannot be copied to `{target}`: {error.message}") from error
    return shared


def _tag(writer: RegistryWriter, piece: Evidence, source: Reference, target: Repository) -> None:
    assert piece.tag is not None
    manifest = writer.manifest(source)
    content, media_type = manifest.content, manifest.descriptor.media_type
    held = writer.resolve(target.tag(piece.tag))
    if held is not None and held.digest != piece.descriptor.digest:
        content = _united(writer, target.digest(held.digest), source)
    writer.put_manifest(target, content, media_type, tag=piece.tag)


def _united(reader: RegistryReader, there: Reference, here: Reference) -> bytes:
    """The manifest that is there with the layers of the one here beside its own; its configuration stays."""
    what = f"`{there}`"
    manifest, other = reader.manifest(there), reader.manifest(here)
    if read_manifest(manifest.content, manifest.descriptor.media_type, what).children:
        raise Malformed(f"{what} is an index, not a manifest of signatures")
    fields = read_object(manifest.content, what)
    layers = list(fields.get("layers") or [])
    known = {encode(layer) for layer in layers}
    more = [
        layer for layer in read_object(other.content, f"`{here}`").get("layers") or [] if encode(layer) not in known
    ]
    return encode({**fields, "layers": [*layers, *more]})


class EvidenceLost(NotShown):
    """What vouches for an image, or describes it, did not arrive with it. ``pieces`` are what is missing."""

    def __init__(self, pieces: Iterable[Evidence], target: Repository) -> None:
        self.pieces = tuple(pieces)
        named = ", ".join(map(str, self.pieces[:5]))
        more = f", and {len(self.pieces) - 5} more" if len(self.pieces) > 5 else ""
        super().__init__(f"`{target}` lacks {named}{more}", hint="the same command again copies what is missing")
