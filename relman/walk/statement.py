"""A promotion as a statement about an image: in-toto Statement v1, whose predicate is a SLSA verification summary.

Where a signer is configured, it is signed just before it is attached, and what is attached is a sigstore bundle.

The summary says that somebody verified an artifact against a policy (https://slsa.dev/verification_summary/v1). What
only relman knows stands beside it in an extension field, whose name is a URI, as the parsing rules of in-toto want it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import quote

from msgspec.structs import replace

from relman import __version__
from relman.documents.gates import gate_document, override_document
from relman.documents.reading import canonical
from relman.documents.record import rollback_document
from relman.documents.values import rfc3339
from relman.errors import NotFound, Unequipped
from relman.model.plan import Action, Plan, PlannedVariant, Stage, action_key, ordered
from relman.model.record import Record
from relman.model.signature import StatementSigning
from relman.signing.keys import Signer
from relman.walk.acting import TAGS

KIND = "statement"
STATEMENT = "https://in-toto.io/Statement/v1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
EXTENSION = "urn:relman:promotion/1"
POLICY = "urn:relman:configuration"
"""What the policy is called: the digest is that of what a plan pins of relman.toml, the streams' gates among it."""


def with_statements(plan: Plan, signing: StatementSigning | None) -> Plan:
    """``plan`` with a statement to attach to each variant's image, once all tags have moved.

    What it will say is known only then: the actions name the image, and how it will be signed, and nothing more.
    """
    if not plan.changed:
        return plan
    statements = [
        Action(
            kind=KIND,
            stage=Stage.PUBLISH,
            key=action_key(plan.id, f"{KIND}:{variant.name}"),
            target=f"{KIND}:{variant.name}",
            payload={
                "reference": str(variant.reference),
                "release": plan.id,
                "predicate": SUMMARY,
                "signed": signing.mode if signing else None,
            },
        )
        for variant in plan.variants
        if variant.tags
    ]
    return replace(plan, actions=ordered((*plan.actions, *statements)))


def filled(plan: Plan, action: Action, record: Record, signer: Callable[[], Signer | None]) -> Action:
    """``action`` with the text of its statement, as ``record`` gives it; any other action as it is.

    Where the plan says that it is signed, the text is the bundle that ``signer`` makes of it. Raises what that raises,
    and `Unequipped` where nobody signs any more.
    """
    if action.kind != KIND:
        return action
    text = statement_bytes(plan, record, action.target.removeprefix(f"{KIND}:"))
    if action.payload.get("signed"):
        made = signer()
        if made is None:
            raise nobody_signs()
        text = made.sign(text)
    return replace(action, payload={**action.payload, "text": text.decode()})


def nobody_signs() -> Unequipped:
    """The error for a plan with signed statements where nobody is configured to sign them."""
    return Unequipped(
        "the plan says that its statements are signed, and [record] says no longer by whom",
        hint="put `key` or `sign` back, or make a new plan",
    )


def statement_bytes(plan: Plan, record: Record, variant: str) -> bytes:
    """The statement about one variant's image: the same bytes for the same record and the same relman.

    Raises `NotFound` for a variant that is not in it, and where no tag was moved, so that there is nothing to state.
    """
    planned = next((one for one in plan.variants if one.name == variant), None)
    if planned is None:
        names = ", ".join(f"`{one.name}`" for one in plan.variants)
        raise NotFound(f"`{record.version}` has no variant `{variant}`", hint=f"it has {names}")
    moves = {action.key for action in plan.actions if action.stage in TAGS}
    moved = [receipt.at for receipt in record.receipts if receipt.key in moves and receipt.settled]
    if not moved or len(moved) < len(moves):
        raise NotFound(f"`{record.version}` was not promoted (its record is {record.state}): there is nothing to state")
    return canonical(_statement(plan, record, planned, rfc3339(max(moved))))


def _statement(plan: Plan, record: Record, variant: PlannedVariant, verified: str) -> dict[str, object]:
    repository = variant.reference.repository
    primary = next(iter(variant.tags))
    return {
        "_type": STATEMENT,
        "subject": [{"name": str(repository), "digest": _digest_set(variant.digest)}],
        "predicateType": SUMMARY,
        "predicate": {
            "verifier": {
                "id": plan.changelog.repository_url or f"urn:relman:project:{quote(plan.project)}",
                "version": {"relman": __version__},
            },
            "timeVerified": verified,
            "resourceUri": f"{repository.transport}://{repository}:{primary}"
            if repository.registry
            else f"{repository}:{primary}",
            "policy": {"uri": POLICY, "digest": _digest_set(plan.config)},
            "verificationResult": "PASSED",
            "verifiedLevels": ["SLSA_BUILD_LEVEL_UNEVALUATED"],
            "slsaVersion": "1.1",
            EXTENSION: _extension(plan, record, variant),
        },
    }


def _extension(plan: Plan, record: Record, variant: PlannedVariant) -> Mapping[str, object]:
    found: dict[str, object] = {
        "project": plan.project,
        "stream": plan.stream,
        "variant": variant.name,
        "version": plan.version,
        "release": plan.id,
        "plan": record.plan,
        "from": str(variant.source) if variant.source else None,
        "previous": record.previous,
        "previous_digest": variant.previous_digest,
        "tags": dict(variant.tags),
        "gates": [gate_document(gate) for gate in record.gates if gate.variant == variant.name],
        "overrides": [override_document(override) for override in record.overrides],
    }
    if record.rollback:
        found["rollback"] = rollback_document(record.rollback)
    return found


def _digest_set(digest: str) -> dict[str, str]:
    """in-toto's `DigestSet`."""
    algorithm, _, hexadecimal = digest.partition(":")
    return {algorithm: hexadecimal}
