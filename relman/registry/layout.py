"""OCI image layouts: a folder as a repository (OCI Image Format 1.1, image-layout.md).

`index.json` lists tags (`org.opencontainers.image.ref.name`) and every manifest that no listed index holds; what is
attached to an image is listed there too, and names the image as its ``subject``. It is replaced as a whole, under a
lock that other runs of relman respect; readers need none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from relman.errors import DigestMismatch, Malformed, NotFound, Unequipped
from relman.model.oci import Descriptor, Digest, Reference, Repository
from relman.registry.carrying import carry, require_named
from relman.registry.files import locked, refused, replace_file, write_blob
from relman.registry.manifests import (
    REF_NAME,
    as_json,
    read_descriptor,
    read_manifest,
    read_object,
    refuse_schema_1,
    sniffed_media_type,
)
from relman.registry.protocol import INDEXES, MANIFEST_LIMIT, MANIFESTS, OCI_INDEX, Manifest, require_range
from relman.registry.referrers import by_fallback_tag, merged

log = logging.getLogger(__name__)

_INDEX_LIMIT = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_LOCK = ".index.lock"


class _Entry(msgspec.Struct, frozen=True):
    """A line of `index.json`: as it is understood, and as it stands there, with fields that only others know."""

    descriptor: Descriptor
    raw: Mapping[str, Any]

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest

    @property
    def name(self) -> str | None:
        return self.descriptor.annotations.get(REF_NAME)

    def renamed(self, name: str | None) -> _Entry:
        annotations = {key: text for key, text in self.descriptor.annotations.items() if key != REF_NAME}
        if name is not None:
            annotations[REF_NAME] = name
        raw = {key: value for key, value in self.raw.items() if key != "annotations"}
        if annotations:
            raw["annotations"] = annotations
        return _Entry(replace(self.descriptor, annotations=annotations), raw)


class _Index(msgspec.Struct, frozen=True):
    """`index.json`: its own fields, and its lines."""

    fields: Mapping[str, Any]
    entries: tuple[_Entry, ...]

    def encode(self) -> bytes:
        own = {"schemaVersion": 2, "mediaType": OCI_INDEX, **self.fields}
        return json.dumps({**own, "manifests": [e.raw for e in self.entries]}, indent=1, ensure_ascii=False).encode()

    def with_entry(self, entry: _Entry, tag: str | None, children: frozenset[Digest]) -> _Index:
        """The list with ``entry`` in it. What loses its tag stays, nameless; what an index now holds need not."""
        kept: list[_Entry] = []
        for old in self.entries:
            if tag and old.name == tag and old.digest != entry.digest:
                old = old.renamed(None)
            held = old.digest in children and not old.descriptor.artifact_type
            if old.name is not None or not held:
                kept.append(old)
        kept.append(entry.renamed(tag))
        unique: dict[tuple[Digest, str | None], _Entry] = {}
        for each in kept:
            unique.setdefault((each.digest, each.name), each)
        named = {digest for digest, name in unique if name is not None}
        return _Index(self.fields, tuple(e for (d, name), e in unique.items() if name is not None or d not in named))


class Layouts:
    """`RegistryWriter` for repositories that are folders. Relative ones are below ``base``."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """In the order of `index.json`. Names that are no tags (buildx writes whole references) are left out."""
        names = dict.fromkeys(entry.name for entry in self._entries(repository) if entry.name)
        return tuple(name for name in names if _is_tag(repository, name))

    def resolve(self, reference: Reference) -> Descriptor | None:
        """By `index.json`, and for a digest that it does not list by the blob itself."""
        try:
            entries = self._entries(reference.repository)
        except NotFound:
            return None
        if reference.digest is not None:
            listed = next((entry for entry in entries if entry.digest == reference.digest), None)
            return _bare(listed) if listed else self._unlisted(reference)
        if reference.tag is None:
            entries = tuple(entry for entry in entries if not entry.descriptor.artifact_type)
            if len({entry.digest for entry in entries}) > 1:
                require_named(reference)  # a layout that holds one image alone may be named without more
        found = {entry.digest: entry for entry in entries if reference.tag in (None, entry.name)}
        if len(found) > 1:
            raise Malformed(f"`{reference}` names {len(found)} different manifests in `index.json`")
        return next(map(_bare, found.values()), None)

    def manifest(self, reference: Reference) -> Manifest:
        """The blob that the reference leads to."""
        descriptor = self.resolve(reference)
        if descriptor is None:
            self._entries(reference.repository)  # says so where there is no layout at all
            raise NotFound(f"`{reference}` is not there")
        refuse_schema_1(descriptor.media_type, f"`{reference}`")
        content = self.blob(reference.repository, descriptor.digest, limit=MANIFEST_LIMIT)
        return Manifest(replace(descriptor, size=len(content)), content)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """The file `blobs/<algorithm>/<hex>`."""
        with self.open_blob(repository, digest) as pieces:
            gathered, size = [], 0
            for piece in pieces:
                gathered.append(piece)
                size += len(piece)
                if size > limit:
                    raise Malformed(f"the blob `{digest}` of `{repository}` is larger than {limit} bytes")
            return b"".join(gathered)

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """Whether there is such a file."""
        return self._blob_path(repository, digest).is_file()

    @contextmanager
    def open_blob(self, repository: Repository, digest: Digest) -> Iterator[Iterator[bytes]]:
        """The same in pieces of a MiB."""
        path = self._blob_path(repository, digest)
        try:
            file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"the blob `{digest}` is not in `{repository}`") from error
        except OSError as error:
            raise refused("read", path, error) from error

        def pieces() -> Iterator[bytes]:
            seen = hashlib.new(digest.algorithm)
            try:
                while piece := file.read(_PIECE):
                    seen.update(piece)
                    yield piece
            except OSError as error:
                raise refused("read", path, error) from error
            if seen.hexdigest() != digest.hex:
                raise DigestMismatch(f"`{path}` holds bytes that do not hash to its name")

        with file:
            yield pieces()

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """A part of the file."""
        require_range(start, length)
        path = self._blob_path(repository, digest)
        try:
            with path.open("rb") as file:
                file.seek(start)
                content = file.read(length)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"the blob `{digest}` is not in `{repository}`") from error
        except OSError as error:
            raise refused("read", path, error) from error
        if len(content) != length:
            raise Malformed(f"`{path}` ends before byte {start + length}")
        return content

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """The listed manifests that name ``digest`` as their subject, and what the fallback tag lists."""
        try:
            entries = self._entries(repository)
        except NotFound:
            return ()
        found = []
        for entry in {entry.digest: entry for entry in entries}.values():
            media_type = entry.descriptor.media_type
            if entry.digest == digest or media_type not in INDEXES | MANIFESTS:
                continue
            content = self.blob(repository, entry.digest, limit=MANIFEST_LIMIT)
            parts = read_manifest(content, media_type, f"`{repository.digest(entry.digest)}`")
            if parts.subject is not None and parts.subject.digest == digest:
                size, kind = len(content), parts.artifact_type
                found.append(Descriptor(media_type, entry.digest, size, kind, annotations=parts.annotations))
        return merged(tuple(found), by_fallback_tag(self, repository, digest))

    def lists_referrers(self, repository: Repository) -> bool | None:
        """A folder lists what is attached in its index."""
        return True

    def require_push(self, repository: Repository) -> None:
        """The folder, or the nearest one above that is there, lets us write."""
        folder = self._base / repository.name
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if not os.access(there, os.W_OK):
            raise Unequipped(f"nothing can be written to `{there}`", hint="its owner, or its mode, does not allow it")

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        """Written beside its place, then renamed; a damaged file of that name is replaced."""
        digest = Digest.of(content)
        self._write(repository, digest, len(content), lambda: iter((content,)))
        return digest

    def put_blob_stream(
        self, repository: Repository, digest: Digest, size: int, content: Callable[[], Iterator[bytes]]
    ) -> None:
        """Store a blob of ``size`` bytes from ``content``; `DigestMismatch` leaves nothing behind."""
        self._write(repository, digest, size, content)

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        """The blob first, then `index.json`; a manifest that loses its tag stays listed without one."""
        if tag is not None:
            repository.tag(tag)
        what = f"the manifest for `{repository}`"
        parts = read_manifest(content, media_type, what)
        digest = self.put_blob(repository, content)
        descriptor = Descriptor(media_type, digest, len(content), artifact_type=parts.artifact_type)
        entry = _Entry(descriptor, as_json(descriptor))
        folder = self.folder(repository)
        with locked(folder / _LOCK):
            if not (folder / "oci-layout").exists():
                replace_file(folder / "oci-layout", _LAYOUT)
            before = _read_index(folder)
            after = (before or _Index({}, ())).with_entry(entry, tag, frozenset(c.digest for c in parts.children))
            if before is None or after.entries != before.entries:
                replace_file(folder / "index.json", after.encode())
        return digest

    def copy(self, source: Reference, target: Repository) -> None:
        """To another layout."""

        def carry_blob(blob: Descriptor) -> None:
            def content() -> Iterator[bytes]:
                with self.open_blob(source.repository, blob.digest) as pieces:
                    yield from pieces

            self._write(target, blob.digest, blob.size, content)

        carry(self, self, source, target, carry_blob)

    def folder(self, repository: Repository) -> Path:
        """Where the repository lies."""
        return self._base / repository.name

    def _blob_path(self, repository: Repository, digest: Digest) -> Path:
        return self.folder(repository) / "blobs" / digest.algorithm / digest.hex

    def _write(self, repository: Repository, digest: Digest, size: int, content: Callable[[], Iterator[bytes]]) -> None:
        write_blob(self._blob_path(repository, digest), digest, size, content)

    def _entries(self, repository: Repository) -> tuple[_Entry, ...]:
        folder = self.folder(repository)
        index = _read_index(folder)
        if index is None:
            why = "it has no `index.json`" if folder.is_dir() else "there is no such folder"
            raise NotFound(f"`{folder}` is no OCI layout: {why}")
        return index.entries

    def _unlisted(self, reference: Reference) -> Descriptor | None:
        """A child of an index, or what another tool stored without listing it: its own words say what it is."""
        assert reference.digest is not None
        path = self._blob_path(reference.repository, reference.digest)
        try:
            if path.stat().st_size > MANIFEST_LIMIT:
                return None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise refused("read", path, error) from error
        content = self.blob(reference.repository, reference.digest, limit=MANIFEST_LIMIT)
        media_type = sniffed_media_type(content)
        return Descriptor(media_type, reference.digest, len(content)) if media_type else None


def _read_index(folder: Path) -> _Index | None:
    """What `index.json` says; `None` where there is none."""
    path = folder / "index.json"
    try:
        with path.open("rb") as file:
            content = file.read(_INDEX_LIMIT + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused("read", path, error) from error
    if len(content) > _INDEX_LIMIT:
        raise Malformed(f"`{path}` is larger than {_INDEX_LIMIT} bytes")
    fields = read_object(content, f"`{path}`")
    listed = fields.pop("manifests", None)
    if not isinstance(listed, list):
        raise Malformed(f"`{path}` lists no manifests")
    return _Index(fields, tuple(_Entry(read_descriptor(value, f"`{path}`"), value) for value in listed))


def _bare(entry: _Entry) -> Descriptor:
    return Descriptor(entry.descriptor.media_type, entry.digest, entry.descriptor.size)


def _is_tag(repository: Repository, name: str) -> bool:
    try:
        repository.tag(name)
    except ValueError:
        log.debug("`%s` lists `%s`, which is no tag", repository, name)
        return False
    return True
