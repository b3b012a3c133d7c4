"""Approvals as files: SSH signatures of a release's id, checked by `ssh-keygen`.

Sources: ssh-keygen(1), "-Y" and "ALLOWED SIGNERS"; OpenSSH, PROTOCOL.sshsig, for what a signature says of itself.
"""

from __future__ import annotations

import base64
import binascii
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from relman.model.gates import State
from relman.plugin import Malformed, ProgramFailed, run_program
from relman_plugins.gates.approvals.people import Claim
from relman_plugins.gates.verdict import Closed, Verdict, plain

NAMESPACE = "relman"
MOST = 50
"""Signatures of one release that are looked at."""
SIZE = 16 * 1024
"""Bytes of a signature at most; one of RSA has about 1,500."""
_SIGNERS_SIZE = 1024 * 1024
_TIMEOUT = 30
_KEY = re.compile(r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+)\s+([A-Za-z0-9+/]+=*)(?:\s|$)")

_PRINCIPALS = re.compile(r'\s*(?:"([^"]+)"|(\S+))')
"""Names with a space in them stand in quotes."""


class Signers(msgspec.Struct, frozen=True):
    """Who may sign, and whose keys are revoked. ``known`` are the names of each key."""

    file: Path
    revoked: Path | None
    known: tuple[tuple[tuple[str, ...], str], ...]


def message_of(release: str) -> bytes:
    """What is signed: the release's id, and a newline."""
    return f"{release}\n".encode()


def signers_of(folder: Path, allowed: str, revoked: str | None) -> Signers:
    """The file ``allowed`` below ``folder``. Raises `Closed` where it is not there, `Malformed`."""
    file = folder / allowed
    content = _content(file, _SIGNERS_SIZE)
    if content is None:
        reason = f"there is no `{plain(allowed)}` that says who may sign"
        raise Closed(Verdict(State.ABSENT, reason, "no-signers", f"`NAME KEYTYPE KEY` lines in `{plain(allowed)}`"))
    known = []
    for line in content.decode(errors="replace").splitlines():
        key = _KEY.search(line)
        if line.lstrip().startswith("#") or not key or "cert-authority" in line[: key.start()]:
            continue
        principals = _PRINCIPALS.match(line)
        names = tuple(one for one in (principals[1] or principals[2]).split(",") if _is_name(one)) if principals else ()
        known.append((names, key[2]))
    gone = folder / revoked if revoked else None
    if gone is not None and _content(gone, _SIGNERS_SIZE) is None:
        raise Closed(Verdict(State.ERROR, f"there is no `{plain(revoked)}` of revoked keys", "no-revocations"))
    return Signers(file, gone, tuple(known))


def claims_of(folder: Path, path: str, release: str, signers: Signers, now: datetime) -> Iterator[Claim]:
    """Every file below ``path`` that is for ``release``: by whom it is, or why it does not count."""
    try:
        files = sorted(one for one in (folder / path / release).iterdir() if one.name.endswith(".sig"))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise Malformed(f"cannot read `{plain(path)}/{release}`: {error.strerror}") from error
    if len(files) > MOST:
        reason = f"there are more than {MOST} signatures for this release"
        raise Closed(Verdict(State.ERROR, reason, "too-many"))
    for file in files:
        yield _claim(file, f"{path}/{release}/{file.name}", release, signers, now)


def _claim(file: Path, where: str, release: str, signers: Signers, now: datetime) -> Claim:
    """One file. The order of questions is that of what people have to be told."""
    content = _content(file, SIZE)
    if content is None:
        return Claim((), where, fault="is no file")
    try:
        key, namespace = _read(content)
    except (ValueError, binascii.Error):
        return Claim((), where, fault="is no SSH signature")
    names = tuple(name for known, one in signers.known if one == key for name in known)
    if namespace != NAMESPACE:
        return Claim(names, where, key=key, fault=f"is signed for `{plain(namespace, 40)}`, and not for `{NAMESPACE}`")
    if not any(one == key for _, one in signers.known):
        return Claim((), where, key=key, fault="is signed with a key of nobody who may sign")
    good, why = _verified(file, release, signers, now)
    if not good:
        return Claim(names, where, key=key, fault=why)
    named = tuple(name for name in good if _is_name(name))
    if not named:
        return Claim((), where, key=key, fault="is signed by a pattern, which names nobody")
    return Claim(named, where, key=key)


def _verified(file: Path, release: str, signers: Signers, now: datetime) -> tuple[tuple[str, ...], str]:
    """The names that the signature is good for; and where there are none, why."""
    at = f"verify-time={now:%Y%m%d%H%M%S}"
    common = ["-s", str(file), "-f", str(signers.file)]
    found = _ask(["find-principals", *common, "-O", at])
    if found is None:  # it is one of theirs, or we would not ask
        return (), "is signed with a key that is not valid at this time"
    revoked = ["-r", str(signers.revoked)] if signers.revoked else []
    names = tuple(dict.fromkeys(found.splitlines()))[:16]

    def holds(name: str, *more: str) -> bool:
        argv = ["verify", "-n", NAMESPACE, "-I", name, *common, "-O", at, *more]
        return _ask(argv, message_of(release)) is not None

    good = tuple(name for name in names if holds(name, *revoked))
    if good:
        return good, ""
    if revoked and any(holds(name) for name in names):
        return (), "is signed with a key that is revoked"
    return (), f"does not hold for the release {release}: it is of another one, or its key may not sign this"


def _ask(argv: list[str], stdin: bytes | None = None) -> str | None:
    """What `ssh-keygen -Y` answers; `None` where it refuses. Its times are ours: UTC."""
    try:
        done = run_program(["ssh-keygen", "-Y", *argv], timeout=_TIMEOUT, stdin=stdin, environment={"TZ": "UTC"})
    except ProgramFailed:
        return None
    return done.stdout.decode(errors="replace")


def _read(content: bytes) -> tuple[str, str]:
    """The public key in base64, and the namespace, of an armoured signature. Raises `ValueError`."""
    text = content.decode("ascii", errors="strict").strip()
    found = re.fullmatch(r"-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----", text)
    if not found:
        raise ValueError("it is not armoured")
    blob = base64.b64decode("".join(found[1].split()), validate=True)
    if blob[:6] != b"SSHSIG" or blob[6:10] != b"\0\0\0\1":
        raise ValueError("it is no signature of version 1")
    key, rest = _string(blob[10:])
    namespace, _ = _string(rest)
    return base64.b64encode(key).decode(), namespace.decode(errors="replace")


def _string(blob: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(blob[:4], "big")
    if len(blob) < 4 + size or size == 0:
        raise ValueError("it is cut")
    return blob[4 : 4 + size], blob[4 + size :]


def _is_name(name: str) -> bool:
    return bool(name) and not set("*?!") & set(name)


def _content(file: Path, limit: int) -> bytes | None:
    """What is in a file; `None` where there is none. Raises `Malformed` where it is too large or cannot be read."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return None
        with file.open("rb") as opened:
            content = opened.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Malformed(f"cannot read `{plain(file.name)}`: {error.strerror}") from error
    if len(content) > limit:
        raise Malformed(f"`{plain(file.name)}` is larger than {limit} bytes")
    return content
