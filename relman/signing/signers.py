"""From `[record]` to who signs: a key in a variable of the environment, or whoever runs this, by cosign."""

from __future__ import annotations

from collections.abc import Mapping

from relman import redaction
from relman.errors import Unequipped
from relman.model.signature import StatementSigning
from relman.signing.cosign import Keyless, require_cosign
from relman.signing.keys import Signer, load_private_key


def signer_of(rule: StatementSigning, environment: Mapping[str, str]) -> Signer:
    """The signer that ``rule`` names, ready to sign: the key is opened, cosign is there.

    What is read from the environment is hidden in all output from then on. Raises `Unequipped`.
    """
    if rule.key is None:
        require_cosign()
        return Keyless()
    pem = _revealed(rule.key, environment)
    if not pem:
        raise Unequipped(f"[record] key needs the environment variable `{rule.key}`, which is not set")
    password = _revealed(rule.password, environment) if rule.password else None
    if rule.password and password is None:
        raise Unequipped(f"[record] password needs the environment variable `{rule.password}`, which is not set")
    return load_private_key(pem, password, f"the key in `{rule.key}`")


def _revealed(name: str, environment: Mapping[str, str]) -> str | None:
    """A secret, whole and line by line: a key has many, and an output may hold one of them."""
    value = environment.get(name)
    for part in (value, *(value.splitlines() if value else ())):
        if part and not part.startswith("-----"):
            redaction.register(part)
    return value
