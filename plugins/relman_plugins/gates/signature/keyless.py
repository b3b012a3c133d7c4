"""Signatures by an identity and no key: verified by cosign, where it is installed.

cosign fetches and keeps sigstore's trust root itself. It is asked for the layout that hosts read (cosign 2.4 and
later know `--new-bundle-format`), and prints the payloads that it verified, which are read again here.
"""

from __future__ import annotations

from relman.model.oci import Reference
from relman.plugin import Malformed, ProgramFailed, RelmanError, Unequipped, run_program
from relman_plugins.gates.signature.claims import read_claim
from relman_plugins.gates.signature.documents import read_json

_SECONDS = 120.0
_DENIED = ("no matching signatures", "none of the expected identities matched", "no signatures found")


class Refused(RelmanError):
    """cosign looked, and does not accept any signature."""


def require_cosign() -> str:
    """The name of the program. Raises `Unequipped` without one, and for one that is too old."""
    try:
        answer = run_program(["cosign", "verify", "--help"], timeout=_SECONDS)
    except Unequipped as error:
        raise _missing() from error
    if "--new-bundle-format" not in answer.stdout.decode(errors="replace") + answer.stderr:
        raise Unequipped(
            "the installed cosign cannot be told which layout of signatures to verify",
            hint="install cosign 2.4 or newer",
        )
    return "cosign"


def _missing() -> Unequipped:
    return Unequipped(
        "a signature by an identity is verified by cosign, which is not installed", hint="install cosign 2.4 or newer"
    )


def verified(image: Reference, subject: str, issuer: str, *, plain: bool) -> tuple[str, ...]:
    """The names that signatures of ``image`` by ``subject`` carry.

    Raises `Unequipped` without cosign, `Refused` where it accepts no signature, and what `run_program` raises.
    """
    argv = ["cosign", "verify", "--output=json", "--new-bundle-format=false"]
    argv += [f"--certificate-identity={subject}", f"--certificate-oidc-issuer={issuer}"]
    argv += ["--allow-http-registry", "--allow-insecure-registry"] if plain else []
    try:
        answer = run_program([*argv, str(image)], timeout=_SECONDS).stdout
    except Unequipped as error:
        raise _missing() from error
    except ProgramFailed as error:
        last = error.stderr.splitlines()[-1][:300] if error.stderr else "it gave no reason"
        if any(words in error.stderr for words in _DENIED):
            raise Refused(f"cosign does not accept it for `{subject}`: {last}") from error
        raise
    try:
        payloads = read_json(answer)
        if not isinstance(payloads, list):
            raise ValueError("it is no list")
        return tuple(_reference(payload, image) for payload in payloads)
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"`cosign verify` answered for `{image}` with no list of payloads: {error}") from error


def _reference(payload: object, image: Reference) -> str:
    from json import dumps

    if isinstance(payload, dict):
        payload = {"critical": payload.get("critical"), "optional": payload.get("optional")}
    claim = read_claim(dumps(payload).encode())
    if claim.digest != image.digest:
        raise ValueError(f"one is about {claim.digest.short}")
    return claim.reference
