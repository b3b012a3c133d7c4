"""Moves tags: every variant's stream tags to the planned digest, then the dated tag, which is written once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, TypeVar

from msgspec.structs import replace

from relman.model.oci import Digest, Reference, parse_reference
from relman.model.plan import Action, Stage, action_key
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    EvidenceLost,
    Manifest,
    NotFound,
    NotShown,
    RegistryReader,
    RegistryWriter,
    StalePlan,
    Unequipped,
    copy_evidence,
    first_missing,
    hookimpl,
    lost_evidence,
    skopeo_version,
)
from relman_plugins.promote.listing import listing

T = TypeVar("T")
_TRIES: Final = 3


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """Where the stream lives elsewhere a copy with all evidence, then a move for every tag; dated tags come last."""
    release = context.release
    moving: list[str] = []
    copied: dict[str, tuple[str, ...]] = {}
    for candidate in release.candidates:
        source, target = candidate.image.reference, candidate.place.repository
        if candidate.moves and source.repository != target:
            copy = Action(
                kind="copy",
                stage=Stage.PREPARE,
                key=action_key(release.id, f"copy:{candidate.variant.name}"),
                target=f"copy:{candidate.variant.name}",
                payload={"from": str(source.repository.digest(candidate.image.digest)), "to": str(target)},
            )
            evidence = Action(
                kind="evidence",
                stage=Stage.PREPARE,
                key=action_key(release.id, f"evidence:{candidate.variant.name}"),
                target=f"evidence:{candidate.variant.name}",
                needs=(copy.key,),
                payload=copy.payload,
            )
            copied[candidate.variant.name] = (evidence.key,)
            yield from (copy, evidence)
    for dated in (False, True):
        needs = tuple(moving) if dated else ()
        for candidate in release.candidates:
            for move in (move for move in candidate.moves if move.dated is dated):
                action = Action(
                    kind="tag",
                    stage=Stage.SEAL if dated else Stage.PROMOTE,
                    key=action_key(release.id, f"tag:{candidate.variant.name}:{move.reference.tag}"),
                    target=f"tag:{candidate.variant.name}:{move.reference.tag}",
                    needs=needs or copied.get(candidate.variant.name, ()),
                    payload={
                        "reference": str(move.reference),
                        "digest": candidate.image.digest,
                        "before": move.before,
                        "dated": dated,
                    },
                )
                if not dated:
                    moving.append(action.key)
                yield action


@hookimpl
def relman_executors() -> tuple[TagExecutor, CopyExecutor, EvidenceExecutor]:
    """Those that move tags, and copy images with what is attached to them."""
    return (TagExecutor(), CopyExecutor(), EvidenceExecutor())


class TagExecutor:
    """Points a tag at a digest by writing the manifest's own bytes under the tag, and reads it back."""

    kind = "tag"
    scope: Literal["registry"] = "registry"
    concurrent = True

    def __init__(self) -> None:
        self._manifests: dict[Reference, Manifest] = {}

    def describe(self, action: Action) -> str:
        """`ghcr.io/os/x:stable  sha256:1… → sha256:2…`."""
        reference, digest, before = _tag(action)
        if action.payload.get("dated"):
            return f"tag {reference} → {digest.short} (written once)"
        return f"tag {reference}: {before.short if before else 'new'} → {digest.short}"

    def probe(self, action: Action, reader: RegistryReader) -> Receipt | Unknown | None:
        """Adopted where the tag holds the digest already. Raises `StalePlan` where somebody else moved it."""
        reference, digest, before = _tag(action)
        found = reader.resolve(reference)
        held = found.digest if found else None
        if held == digest:
            return _receipt(action, ReceiptState.ADOPTED)
        if held == before:
            return None
        if action.payload.get("dated"):
            raise StalePlan(
                f"`{reference}` holds {held.short if held else 'nothing'}, and a dated tag is never moved",
                hint="make a new plan: it takes the next free number",
            )
        raise StalePlan(
            f"`{reference}` held {_short(before)} when the plan was made, and holds {_short(held)} now",
            hint="make a new plan",
        )

    def apply(self, action: Action, writer: RegistryWriter) -> Receipt:
        """Write the manifest under the tag: what was reviewed, byte for byte."""
        reference, digest, _ = _tag(action)
        manifest = self._manifest(writer, reference.repository.digest(digest))
        writer.put_manifest(reference.repository, manifest.content, manifest.descriptor.media_type, tag=reference.tag)
        return _receipt(action, ReceiptState.DONE)

    def verify(self, action: Action, receipt: Receipt, reader: RegistryReader) -> None:
        """The tag holds the digest."""
        reference, digest, _ = _tag(action)
        found = reader.resolve(reference)
        if found is None or found.digest != digest:
            raise NotShown(
                f"`{reference}` was written, but holds {_short(found.digest if found else None)}, not {digest.short}"
            )

    def _manifest(self, reader: RegistryReader, image: Reference) -> Manifest:
        """Asked for once, for all tags of the image: its bytes are those of its digest."""
        found = self._manifests.get(image) or reader.manifest(image)
        self._manifests[image] = found
        return found

    def undo(self, action: Action, receipt: Receipt, writer: RegistryWriter) -> Receipt | None:
        """Put the recorded digest back. A tag that was not there before, and a dated tag, stay."""
        reference, digest, before = _tag(action)
        found = writer.resolve(reference)
        if before is None or action.payload.get("dated") or found is None or found.digest != digest:
            return None
        manifest = writer.manifest(reference.repository.digest(before))
        writer.put_manifest(reference.repository, manifest.content, manifest.descriptor.media_type, tag=reference.tag)
        return Receipt.of(action, ReceiptState.DONE, detail=f"put back to {before.short}")


class CopyExecutor:
    """Copies an image, all platforms and digests kept, to the repository in which the stream lives."""

    kind = "copy"
    scope: Literal["registry"] = "registry"

    def describe(self, action: Action) -> str:
        """`copy a@sha256:… to b`."""
        return f"copy {action.text('from')} to {action.text('to')}"

    def ready(self, actions: Sequence[Action], reader: RegistryReader) -> Iterator[str]:
        """Who copies, for each pair of registries: none is too bare for it, since relman can carry layers itself."""
        pairs = {
            (parse_reference(one.text("from")).repository.registry, parse_reference(one.text("to")).repository.registry)
            for one in actions
        }
        for here, there in sorted(pairs):
            if here == there and here:
                yield f"layers are mounted within `{here}`, or copied by relman where it does not mount"
            elif here and there:
                try:
                    found = ".".join(map(str, skopeo_version()))
                except Unequipped:
                    yield f"there is no skopeo: relman copies from `{here}` to `{there}` itself"
                else:
                    yield f"skopeo {found} copies from `{here}` to `{there}`, and relman what that gives up on"

    def probe(self, action: Action, reader: RegistryReader) -> Receipt | Unknown | None:
        """Adopted where the manifest is there with everything below it, layers too."""
        return None if first_missing(reader, _copied(action)) else _receipt(action, ReceiptState.ADOPTED)

    def apply(self, action: Action, writer: RegistryWriter) -> Receipt:
        """Copy; registries store a manifest only when they have all that it names."""
        source, target = parse_reference(action.text("from")), parse_reference(action.text("to")).repository
        _repeated(lambda: writer.copy(source, target))
        return _receipt(action, ReceiptState.DONE)

    def verify(self, action: Action, receipt: Receipt, reader: RegistryReader) -> None:
        """All of it is there, with the digests that it had. Raises `NotShown` naming what is not."""
        if missing := first_missing(reader, _copied(action)):
            raise NotShown(f"`{action.text('from')}` was copied to `{action.text('to')}`, but {missing}")

    def undo(self, action: Action, receipt: Receipt, writer: RegistryWriter) -> Receipt | None:
        """Nothing to take back: nobody sees an image without a tag, and deleting may take others' tags with it."""
        return None


class EvidenceExecutor:
    """Copies what is attached to an image: signatures, attestations, SBOMs, as referrers and under cosign's tags.

    It comes before any tag is moved, so that nobody pulls an image that cannot be verified yet.
    """

    kind = "evidence"
    scope: Literal["registry"] = "registry"

    def describe(self, action: Action) -> str:
        """`copy signatures, attestations and SBOMs of a@sha256:… to b`."""
        return f"copy signatures, attestations and SBOMs of {action.text('from')} to {action.text('to')}"

    def ready(self, actions: Sequence[Action], reader: RegistryReader) -> Iterator[str]:
        """How the registries that it goes to list what is attached."""
        return listing(reader, (_copied(action) for action in actions))

    def probe(self, action: Action, reader: RegistryReader) -> Receipt | Unknown | None:
        """Adopted where all of it is there."""
        source, target = parse_reference(action.text("from")), parse_reference(action.text("to")).repository
        try:
            missing = lost_evidence(reader, source, target)
        except NotFound:  # the image itself is not there yet
            return None
        return None if missing else _receipt(action, ReceiptState.ADOPTED)

    def apply(self, action: Action, writer: RegistryWriter) -> Receipt:
        """Bring what is missing; nothing that is there is taken away."""
        source, target = parse_reference(action.text("from")), parse_reference(action.text("to")).repository
        brought = _repeated(lambda: copy_evidence(writer, source, target))
        return replace(_receipt(action, ReceiptState.DONE), detail=f"{len(brought)} brought")

    def verify(self, action: Action, receipt: Receipt, reader: RegistryReader) -> None:
        """All that is attached there is attached here. Raises `EvidenceLost` naming what is not."""
        source, target = parse_reference(action.text("from")), parse_reference(action.text("to")).repository
        try:
            missing = lost_evidence(reader, source, target)
        except NotFound as error:
            raise NotShown(f"what is attached to `{source}` was copied to `{target}`, but {error.message}") from error
        if missing:
            raise EvidenceLost(missing, target)

    def undo(self, action: Action, receipt: Receipt, writer: RegistryWriter) -> Receipt | None:
        """Nothing to take back: it is about a digest, and true of it."""
        return None


def _tag(action: Action) -> tuple[Reference, Digest, Digest | None]:
    before = action.payload.get("before")
    return (
        parse_reference(action.text("reference")),
        Digest(action.text("digest")),
        Digest(before) if isinstance(before, str) else None,
    )


def _repeated(copy: Callable[[], T]) -> T:
    """Copy; again where an answer was lost, since what is there is not brought a second time."""
    for _ in range(_TRIES - 1):
        try:
            return copy()
        except AnswerLost:
            continue
    return copy()


def _copied(action: Action) -> Reference:
    """The image where it is copied to."""
    source = parse_reference(action.text("from"))
    assert source.digest
    return parse_reference(action.text("to")).repository.digest(source.digest)


def _receipt(action: Action, state: ReceiptState) -> Receipt:
    reference = action.payload.get("reference") or action.payload.get("to")
    return Receipt.of(action, state, remote_id=str(reference))


def _short(digest: Digest | None) -> str:
    return digest.short if digest else "nothing"
