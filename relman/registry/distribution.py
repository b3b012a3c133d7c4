"""Registries over HTTP (OCI Distribution Specification 1.1), for any number of threads, repositories and hosts."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager

from relman.errors import DigestMismatch, Malformed, NotFound, Passing
from relman.http import Answer, Client, Repeat, Stream
from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry import uploads
from relman.registry.carrying import carry, require_named, require_pinned
from relman.registry.credentials import CredentialStore
from relman.registry.manifests import SCHEMA_1, read_object, refuse_schema_1, sniffed_media_type
from relman.registry.protocol import INDEXES, MANIFEST_LIMIT, MANIFESTS, OCI_INDEX, Manifest, require_range
from relman.registry.referrers import by_fallback_tag, listed
from relman.registry.session import Session, path, pull, push

log = logging.getLogger(__name__)

_ACCEPT = {"Accept": ", ".join(sorted(INDEXES | MANIFESTS))}
_PAGES = 10_000
_PAGE_LIMIT = 32 * 1024 * 1024
_RESUMES = 5
# 416 may also mean that the blob is shorter; then reading from its beginning says so.
_NO_RANGES = frozenset({400, 405, 416, 501})


class Distribution:
    """`RegistryWriter` for repositories on servers. ``insecure`` hosts, and loopback, are spoken to in plain HTTP.

    The client's connections are shared and are its maker's to close. ``sessions`` are those that were begun with it.
    """

    def __init__(
        self,
        client: Client,
        *,
        store: CredentialStore | None = None,
        insecure: frozenset[str] = frozenset(),
        sessions: Iterable[Session] = (),
    ) -> None:
        self._client = client
        self._store = store or CredentialStore()
        self._insecure = insecure
        self._lock = threading.Lock()
        self._sessions = {session.host: session for session in sessions}

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """Every tag, page by page."""
        session = self._session(repository)
        what = f"the tags of `{repository}`"
        found: dict[str, None] = {}
        for answer in _pages(session, path(repository, "tags/list?n=1000"), repository, what):
            if answer.status != 200:
                raise session.failure(answer, what)
            names = read_object(answer.content, what).get("tags") or []
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise Malformed(f"{what} are not a list of names")
            found.update(dict.fromkeys(names))
        try:
            return tuple(reference.tag or "" for reference in map(repository.tag, found))
        except ValueError as error:
            raise Malformed(f"{what}: {error}") from error

    def resolve(self, reference: Reference) -> Descriptor | None:
        """HEAD, or GET where the answer to HEAD does not say enough."""
        session = self._session(reference.repository)
        answer = session.ask("HEAD", _manifest_path(reference), pull(reference.repository), headers=_ACCEPT)
        if answer.status == 404:
            return None
        if answer.status not in (200, 405):
            raise session.failure(answer, f"`{reference}`")
        digest, media_type = _stated_digest(answer, reference), _media_type(answer)
        size = answer.headers.get("content-length", "")
        enough = media_type in INDEXES | MANIFESTS | SCHEMA_1 and size.isascii() and size.isdigit()
        if answer.status == 405 or digest is None or not enough:
            try:
                return self.manifest(reference).descriptor
            except NotFound:
                return None
        if reference.digest and digest.algorithm == reference.digest.algorithm and digest != reference.digest:
            raise DigestMismatch(f"`{session.host}` calls `{reference}` `{digest}`")
        return Descriptor(media_type, reference.digest or digest, int(size))

    def manifest(self, reference: Reference) -> Manifest:
        """GET; what comes must hash to the digest asked for, and to the one that the registry states."""
        session = self._session(reference.repository)
        what = f"`{reference}`"
        answer = session.ask(
            "GET", _manifest_path(reference), pull(reference.repository), headers=_ACCEPT, limit=MANIFEST_LIMIT
        )
        if answer.status != 200:
            raise session.failure(answer, what)
        media_type = _media_type(answer)
        refuse_schema_1(media_type, what)
        if media_type not in INDEXES | MANIFESTS:
            media_type = sniffed_media_type(answer.content) or media_type
        stated = _stated_digest(answer, reference)
        for expected in (reference.digest, stated):
            if expected is not None and Digest.of(answer.content, expected.algorithm) != expected:
                actual = Digest.of(answer.content, expected.algorithm)
                raise DigestMismatch(f"{what} came with bytes that hash to `{actual}`, not to `{expected}`")
        digest = reference.digest or stated or Digest.of(answer.content)
        return Manifest(Descriptor(media_type or "unknown", digest, len(answer.content)), answer.content)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """GET, redirects followed without our credentials; over ``limit`` bytes nothing more is read."""
        session = self._session(repository)
        what = f"the blob `{digest}` of `{repository}`"
        answer = session.ask("GET", path(repository, f"blobs/{digest}"), pull(repository), limit=limit)
        if answer.status != 200:
            raise session.failure(answer, what)
        if (actual := Digest.of(answer.content, digest.algorithm)) != digest:
            raise DigestMismatch(
                f"{what} came with {len(answer.content)} bytes that hash to something else: `{actual}`"
            )
        return answer.content

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """HEAD."""
        return uploads.is_there(self._session(repository), repository, digest)

    @contextmanager
    def open_blob(self, repository: Repository, digest: Digest) -> Iterator[Iterator[bytes]]:
        """GET in pieces; a connection that breaks is taken up where it broke. The digest is checked at the end."""
        pieces = self._pieces(repository, digest)
        first = next(pieces, b"")  # so that `NotFound` is raised here, not in the middle of the caller's loop
        try:
            yield _chained(first, pieces)
        finally:
            pieces.close()

    def _pieces(self, repository: Repository, digest: Digest) -> Generator[bytes, None, None]:
        session = self._session(repository)
        what = f"the blob `{digest}` of `{repository}`"
        seen, counted, left, opened = hashlib.new(digest.algorithm), 0, _RESUMES, False
        while True:
            headers = {"Range": f"bytes={counted}-"} if counted else {}
            try:
                with session.stream(path(repository, f"blobs/{digest}"), pull(repository), headers) as stream:
                    opened = True
                    if stream.status == 416 and counted:
                        break  # it was cut exactly at its end
                    for piece in _from(stream, counted, session, what):
                        seen.update(piece)
                        counted += len(piece)
                        left = _RESUMES
                        yield piece
                break
            except Passing:
                left -= 1
                if not left or not opened:
                    raise
        if seen.hexdigest() != digest.hex:
            raise DigestMismatch(f"{what} came with bytes that hash to something else")

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """GET with one range. A server that refuses ranges, or takes no notice, is read from the blob's beginning."""
        require_range(start, length)
        session = self._session(repository)
        what = f"bytes {start} to {start + length} of the blob `{digest}` of `{repository}`"
        # What it gathers it hands out as `bytes` without a copy.
        gathered, left = io.BytesIO(), _RESUMES
        while (before := gathered.tell()) < length:
            begin = start + before
            headers = {"Range": f"bytes={begin}-{start + length - 1}"} if session.has_ranges else {}
            try:
                with session.stream(path(repository, f"blobs/{digest}"), pull(repository), headers) as stream:
                    if headers and stream.status in _NO_RANGES:
                        session.has_ranges = False
                        continue
                    for piece in _from(stream, begin, session, what):
                        gathered.write(piece)
                        if gathered.tell() > length or (gathered.tell() == length and stream.status == 200):
                            break  # what is left of the body is not ours
            except Passing:
                left = left - 1 if gathered.tell() == before else _RESUMES
                if not left:
                    raise
            else:
                if gathered.tell() == before:
                    raise Malformed(f"`{session.host}` does not have {what}: it ends at {begin}")
        gathered.truncate(length)
        return gathered.getvalue()

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """By the API; where the registry has none, which 404 says, by the fallback tag."""
        session = self._session(repository)
        with session.first_referrers.alone():
            found = self._listed_referrers(session, repository, digest) if session.has_referrers else None
        return by_fallback_tag(self, repository, digest) if found is None else found

    def _listed_referrers(
        self, session: Session, repository: Repository, digest: Digest
    ) -> tuple[Descriptor, ...] | None:
        """By the API; `None` where there is none."""
        what = f"what refers to `{repository.digest(digest)}`"
        found: list[Descriptor] = []
        for answer in _pages(session, path(repository, f"referrers/{digest}"), repository, what):
            session.referrers_known = answer.status != 400
            if answer.status in (400, 404, 405, 501) or (answer.status == 200 and _media_type(answer) != OCI_INDEX):
                session.has_referrers = answer.status == 400  # 400 may be about this question alone
                log.debug("`%s` has no referrers API: lists are kept under fallback tags", session.host)
                return None
            if answer.status != 200:
                raise session.failure(answer, what)
            descriptor = Descriptor(OCI_INDEX, Digest.of(answer.content), len(answer.content))
            found += listed(Manifest(descriptor, answer.content), what)
        return tuple(found)

    def lists_referrers(self, repository: Repository) -> bool | None:
        """As the first answer about referrers had it."""
        session = self._session(repository)
        return session.has_referrers if session.referrers_known else None

    def require_push(self, repository: Repository) -> None:
        """Ask for a token to push with, where this registry wants any: it says what it is good for, or is refused."""
        self._session(repository).require_push(repository)

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        """HEAD, and where it is missing POST and PUT."""
        digest = Digest.of(content)
        uploads.upload(self._session(repository), repository, digest, content, len(content))
        return digest

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        """PUT, by ``tag`` or by digest; only by digest is it sent again after a lost answer."""
        session = self._session(repository)
        digest = Digest.of(content)
        reference = repository.tag(tag) if tag else repository.digest(digest)
        answer = session.ask(
            "PUT",
            _manifest_path(reference),
            push(repository),
            headers={"Content-Type": media_type},
            content=content,
            repeat=Repeat.ANSWERED if tag else Repeat.ALWAYS,
        )
        if answer.status not in (200, 201, 202):
            raise session.failure(answer, f"`{reference}` as a new manifest")
        stated = _stated_digest(answer, reference)
        if stated is not None and Digest.of(content, stated.algorithm) != stated:
            raise DigestMismatch(f"`{session.host}` stored `{reference}` as `{stated}`, not as `{digest}`")
        return digest

    def copy(self, source: Reference, target: Repository) -> None:
        """To a repository of the same registry: blobs are mounted, manifests put; nothing is downloaded."""
        require_pinned(source)
        session = self._session(target)

        def mount(blob: Descriptor) -> None:
            content = uploads.reopened(self, source.repository, blob.digest)
            uploads.upload(session, target, blob.digest, content, blob.size, mount_from=source.repository)

        carry(self, self, source, target, mount)

    def put_blob_stream(
        self, repository: Repository, digest: Digest, size: int, content: Callable[[], Iterator[bytes]]
    ) -> None:
        """Store a blob of ``size`` bytes that ``content`` begins anew for each try."""
        uploads.upload(self._session(repository), repository, digest, content, size)

    def _session(self, repository: Repository) -> Session:
        with self._lock:
            host = repository.registry
            if host not in self._sessions:
                self._sessions[host] = Session(host, self._client, self._store, self._insecure)
            return self._sessions[host]


def _manifest_path(reference: Reference) -> str:
    require_named(reference)
    return path(reference.repository, f"manifests/{reference.digest or reference.tag}")


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _stated_digest(answer: Answer, reference: Reference) -> Digest | None:
    value = answer.headers.get("docker-content-digest")
    if not value:
        return None
    try:
        return Digest(value)
    except ValueError as error:
        raise Malformed(f"the registry states a digest for `{reference}` that is none: {error}") from error


def _pages(session: Session, target: str, repository: Repository, what: str) -> Iterator[Answer]:
    url: str | None = target
    seen: set[str] = set()
    while url is not None:
        if url in seen or len(seen) >= _PAGES:
            raise Malformed(f"the list of {what} does not end: `{session.host}` goes round in circles")
        seen.add(url)
        answer = session.ask("GET", url, pull(repository), limit=_PAGE_LIMIT)
        yield answer
        url = session.next_page(answer)


def _from(stream: Stream, start: int, session: Session, what: str) -> Iterator[bytes]:
    """The pieces from byte ``start`` on, whether or not the server honoured the range."""
    if stream.status not in (200, 206):
        content = b"".join(stream.pieces)[:4096] if stream.status >= 400 else b""
        raise session.failure(Answer("GET", stream.url, stream.status, stream.headers, content), what)
    if stream.status == 206 and not _begins_at(stream.headers, start):
        raise Malformed(f"`{session.host}` answered with another part of {what} than was asked for")
    skip = start if stream.status == 200 else 0
    for piece in stream.pieces:
        if skip >= len(piece):
            skip -= len(piece)
            continue
        yield piece[skip:]
        skip = 0


def _begins_at(headers: Mapping[str, str], start: int) -> bool:
    return headers.get("content-range", "").replace(" ", "").lower().startswith(f"bytes{start}-")


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
