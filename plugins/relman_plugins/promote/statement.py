"""Attaches the statement of a promotion to the image that was promoted (`[record] attach = true`).

What it says is the core's: it is written from the record, after the tags have moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal

from relman.model.oci import Descriptor, Reference, parse_reference
from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import CAREFUL, Malformed, RegistryReader, RegistryWriter, attach, hookimpl
from relman_plugins.promote.listing import listing

TYPE = "application/vnd.in-toto+json"
SIGNED_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""A statement in a sigstore bundle, as cosign attaches and finds it."""
RELEASE = "dev.relman.release"
PREDICATE = "in-toto.io/predicate-type"
"""As other tools name it, so that they find statements by what they are about."""
BUNDLED, BUNDLED_PREDICATE = "dev.sigstore.bundle.content", "dev.sigstore.bundle.predicateType"
"""As cosign marks its bundles."""
_SIGNED = {"key": ", signed with the key of [record],", "keyless": ", signed by who runs this,"}


@hookimpl
def relman_executors() -> tuple[StatementExecutor]:
    """The one that attaches."""
    return (StatementExecutor(),)


class StatementExecutor:
    """Attaches a statement as a referrer. It is found again by the release that its annotation names."""

    kind = "statement"
    scope: Literal["registry"] = "registry"

    def describe(self, action: Action) -> str:
        """`attach the record of this promotion, signed with the key of [record], to ghcr.io/os/x@sha256:…`."""
        how = _SIGNED.get(str(action.payload.get("signed")), "")
        return f"attach the record of this promotion{how} to {action.text('reference')}"

    def ready(self, actions: Sequence[Action], reader: RegistryReader) -> Iterator[str]:
        """How the registries list what is attached."""
        return listing(reader, map(_image, actions))

    def probe(self, action: Action, reader: RegistryReader) -> Receipt | Unknown | None:
        """Adopted where a statement of this release hangs on the image."""
        reference = _image(action)
        assert reference.digest
        for referrer in reader.referrers(reference.repository, reference.digest):
            if _is_of(referrer, action):
                return Receipt.of(action, ReceiptState.ADOPTED, remote_id=referrer.digest)
        return None

    def apply(self, action: Action, writer: RegistryWriter) -> Receipt:
        """Attach it."""
        reference, content = _image(action), action.text("text").encode()
        assert reference.digest
        annotations = {PREDICATE: action.text("predicate"), RELEASE: action.text("release")}
        if action.payload.get("signed"):
            annotations |= {BUNDLED: "dsse-envelope", BUNDLED_PREDICATE: action.text("predicate")}
        attached = attach(
            writer,
            reference.repository,
            reference.digest,
            content,
            artifact_type=_type(action),
            media_type=_type(action),
            annotations=annotations,
            patience=CAREFUL,
        )
        sha256 = hashlib.sha256(content).hexdigest()
        return Receipt.of(action, ReceiptState.DONE, remote_id=attached.digest, sha256=sha256)

    def verify(self, action: Action, receipt: Receipt, reader: RegistryReader) -> None:
        """The registry lists it."""
        if self.probe(action, reader) is None:
            raise Malformed(f"`{action.text('reference')}` does not list the statement that was attached to it")

    def undo(self, action: Action, receipt: Receipt, writer: RegistryWriter) -> Receipt | None:
        """What was stated was so."""
        return None


def _type(action: Action) -> str:
    return SIGNED_TYPE if action.payload.get("signed") else TYPE


def _image(action: Action) -> Reference:
    return parse_reference(action.text("reference"))


def _is_of(referrer: Descriptor, action: Action) -> bool:
    return referrer.artifact_type == _type(action) and referrer.annotations.get(RELEASE) == action.text("release")
