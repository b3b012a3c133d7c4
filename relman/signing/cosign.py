"""Signing without a key: cosign gets a certificate for who is logged in, and writes into the public log.

Where it runs in a job of a forge, that is the job (`id-token: write` in GitHub Actions); cosign finds the token by
itself, in the environment. What is signed is the statement as it is, which takes `attest-blob --statement`: cosign 2.6
and 3.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import msgspec

from relman import process
from relman.errors import Malformed, RelmanError, Unequipped
from relman.signing.dsse import BUNDLE_LIMIT, read_bundle

_QUICK = 60.0
_SECONDS = 180.0


@functools.cache
def can_sign() -> bool:
    """Whether the installed cosign signs a statement as it is; asked once. Raises `Unequipped` without one."""
    answer = process.run(["cosign", "attest-blob", "--help"], timeout=_QUICK)
    return "--statement" in answer.stdout.decode(errors="replace") + answer.stderr


def require_cosign() -> None:
    """Raise `Unequipped` where there is no cosign that can sign a statement."""
    try:
        able = can_sign()
    except Unequipped as error:
        raise Unequipped(
            '[record] sign = "keyless" is done by cosign, which is not installed', hint="install cosign 3"
        ) from error
    if not able:
        raise Unequipped(
            '[record] sign = "keyless" needs a cosign that knows `attest-blob --statement`: the installed one is older',
            hint="install cosign 3",
        )


class Keyless(msgspec.Struct, frozen=True):
    """Signs as whoever runs this, by cosign."""

    def sign(self, statement: bytes) -> bytes:
        """``statement`` in the bundle that cosign made. Raises `ProcessFailed` with cosign's words."""
        with tempfile.TemporaryDirectory(prefix="relman-") as folder:
            given, made = Path(folder) / "statement.json", Path(folder) / "bundle.json"
            given.write_bytes(statement)
            process.run(
                ["cosign", "attest-blob", "--yes", f"--statement={given}", f"--bundle={made}"], timeout=_SECONDS
            )
            try:
                with made.open("rb") as file:
                    bundle = file.read(BUNDLE_LIMIT + 1)
            except OSError as error:
                raise RelmanError(f"`cosign attest-blob` left no bundle: {error.strerror}") from error
        if read_bundle(bundle, "the bundle that cosign made").statement != statement:
            raise Malformed("cosign signed something else than it was given")
        return bundle
