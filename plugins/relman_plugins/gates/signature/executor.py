"""The action `verify`: writes nothing, and fails where what is about to get a tag could not be pulled by a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from relman.model.oci import Digest, parse_reference
from relman.model.plan import Action, State
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.model.release import Candidate
from relman.plugin import GateClosed, Malformed, RegistryReader, RegistryWriter
from relman_plugins.gates.signature import keyless
from relman_plugins.gates.signature.demand import Demand, Kind
from relman_plugins.gates.signature.judge import judge


def payload(candidate: Candidate, demands: Iterable[Demand]) -> Mapping[str, object]:
    """What a plan pins: the image where the stream lives, and what is demanded of it, public keys included."""
    return {
        "reference": str(candidate.place.repository.digest(candidate.image.digest)),
        "platforms": [part.manifest.digest for part in candidate.image.platforms],
        "demands": [demand.as_json() for demand in demands],
    }


class VerifyExecutor:
    """Verifies signatures at the destination, with the keys and rules that the plan pins."""

    kind = "verify"
    scope: Literal["registry"] = "registry"

    def describe(self, action: Action) -> str:
        """`verify the signatures of a@sha256:… for a:stable`."""
        names = ", ".join(f"`{demand.name}`" for demand in _demands(action))
        return f"verify the signatures of {action.text('reference')} for {names}"

    def ready(self, actions: Sequence[Action], reader: RegistryReader) -> Iterator[str]:
        """Identities are verified by cosign, which has to be there. Raises `Unequipped`."""
        asked = {one.kind for action in actions for demand in _demands(action) for one in demand.requirements}
        if Kind.KEYLESS in asked:
            yield f"{keyless.require_cosign()} verifies who signed"

    def probe(self, action: Action, reader: RegistryReader) -> Receipt | Unknown | None:
        """Never so already: it is asked anew each time."""
        return None

    def apply(self, action: Action, writer: RegistryWriter) -> Receipt:
        """Look, and write nothing. Raises `GateClosed` with the reason where a host would refuse the image."""
        image = parse_reference(action.text("reference"))
        assert image.digest
        verdict = judge(writer, image, _platforms(action), _demands(action))
        if not verdict.good:
            how = "cannot be verified" if verdict.state is State.ERROR else "would be refused by hosts"
            raise GateClosed(
                f"`{image.repository}@{image.digest.short}` {how}, so no tag moves: {verdict.reason}",
                hint="sign it, or mend [signature] and make a new plan",
            )
        return Receipt.of(action, ReceiptState.DONE, remote_id=str(image), detail=verdict.reason)

    def verify(self, action: Action, receipt: Receipt, reader: RegistryReader) -> None:
        """Nothing was written that could be read back."""

    def undo(self, action: Action, receipt: Receipt, writer: RegistryWriter) -> Receipt | None:
        """Nothing to take back."""
        return None


def _demands(action: Action) -> tuple[Demand, ...]:
    return _read(action, "demands", Demand.read)


def _platforms(action: Action) -> tuple[Digest, ...]:
    return _read(action, "platforms", Digest)


def _read(action: Action, name: str, read: Any) -> tuple[Any, ...]:
    values = action.payload.get(name)
    try:
        if not isinstance(values, list | tuple) or not values:
            raise ValueError("there are none")
        return tuple(read(value) for value in values)
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"action `{action.target}`: its `{name}` are not what a plan has: {error}") from error
