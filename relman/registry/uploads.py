"""Storing blobs on a registry (distribution spec 1.1, "Pushing blobs", "Mounting a blob from another repository")."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlencode

from relman.errors import AnswerLost, DigestMismatch, Passing
from relman.http import Answer, Repeat
from relman.model.oci import Digest, Repository
from relman.registry.protocol import RegistryReader
from relman.registry.session import Session, path, pull, push, server_name

log = logging.getLogger(__name__)

Source = bytes | Callable[[], Iterator[bytes]]
_TRIES = 3


def upload(
    session: Session,
    repository: Repository,
    digest: Digest,
    content: Source,
    size: int,
    *,
    mount_from: Repository | None = None,
) -> None:
    """Let ``repository`` hold this blob: nothing is sent where it does, nor where it can be mounted.

    An upload that breaks is begun again after a look whether it arrived all the same.
    """
    what = f"the blob `{digest}` of `{repository}`"
    for attempt in range(_TRIES):
        if is_there(session, repository, digest):
            return
        try:
            answer = _put(session, repository, digest, content, size, mount_from, what)
        except (AnswerLost, Passing):
            if attempt == _TRIES - 1:
                raise
            continue
        if answer is None or answer.status in (200, 201, 204):
            return
        # 404 and 416: the session of an earlier, lost answer is over; a look settles whether it was completed.
        if answer.status not in (404, 416) and not answer.doubtful:
            raise session.failure(answer, what)
        if attempt == _TRIES - 1 and not is_there(session, repository, digest):
            raise session.failure(answer, what)


def is_there(session: Session, repository: Repository, digest: Digest) -> bool:
    """HEAD."""
    answer = session.ask("HEAD", path(repository, f"blobs/{digest}"), pull(repository))
    if answer.status not in (200, 404):
        raise session.failure(answer, f"the blob `{digest}` of `{repository}`")
    return answer.status == 200


def reopened(reader: RegistryReader, repository: Repository, digest: Digest) -> Callable[[], Iterator[bytes]]:
    """A blob's content, from its beginning each time it is called."""

    def pieces() -> Iterator[bytes]:
        with reader.open_blob(repository, digest) as content:
            yield from content

    return pieces


def _put(
    session: Session,
    repository: Repository,
    digest: Digest,
    content: Source,
    size: int,
    mount_from: Repository | None,
    what: str,
) -> Answer | None:
    """The answer to the upload; `None` where the blob was mounted."""
    mount = {"mount": str(digest), "from": server_name(mount_from)} if mount_from else {}
    query = f"?{urlencode(mount)}" if mount else ""
    scopes = push(repository, mount_from) if mount_from else push(repository)
    # An upload that was begun and is not used is thrown away by the registry: beginning twice changes nothing.
    begun = session.ask("POST", path(repository, f"blobs/uploads/{query}"), scopes, repeat=Repeat.ALWAYS)
    if begun.status == 201 and mount:
        return None
    if begun.status != 202:
        raise session.failure(begun, what)
    if mount:
        log.debug("`%s` does not mount %s: sending it", session.host, what)
    address = session.upload_address(begun)
    address += f"{'&' if '?' in address else '?'}digest={quote(digest, safe='')}"
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    checked = content if isinstance(content, bytes) else _checked(content, digest, size, what)
    answer = session.ask("PUT", address, scopes, headers=headers, content=checked, repeat=Repeat.ANSWERED)
    stated = answer.headers.get("docker-content-digest")
    if answer.status in (200, 201, 204) and stated and stated.startswith(digest.algorithm) and stated != digest:
        raise DigestMismatch(f"`{session.host}` stored {what} as `{stated[:140]}`")
    return answer


def _checked(
    content: Callable[[], Iterator[bytes]], digest: Digest, size: int, what: str
) -> Callable[[], Iterator[bytes]]:
    """The same pieces; they raise before the last byte is out where size or digest do not hold."""

    def pieces() -> Iterator[bytes]:
        seen, counted, held = hashlib.new(digest.algorithm), 0, b""
        for piece in content():
            seen.update(piece)
            counted += len(piece)
            if held:
                yield held
            held = piece
            if counted > size:
                break
        if counted != size or seen.hexdigest() != digest.hex:
            raise DigestMismatch(
                f"{what} was read as {counted} bytes that are not what `{digest}` and {size} bytes say"
            )
        if held:
            yield held

    return pieces
