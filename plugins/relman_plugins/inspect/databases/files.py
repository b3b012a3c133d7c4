"""Packaged files by path, in a fraction of the memory that one object a file would take: systems have 300,000."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from relman.model.contents import PackagedFile
from relman.plugin import Malformed

_FILE_LIMIT = 2_000_000
_CONFIG, _PLAIN = "c", "-"
# PGPHASHALGO_* (RFC 9580, 9.5), as rpm names the algorithms of file digests; without one it is MD5.
_ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3-256"}


def algorithm(number: int | None) -> str:
    """The name of a digest's algorithm by the number that rpm gives it."""
    return _ALGORITHMS.get(number or 1, f"pgp-{number}")


class Files(Mapping[str, PackagedFile]):
    """Paths with their digests, as `Details.files` has them; a digest is ``algorithm:hex``.

    A file that several packages share (a licence of two architectures) is one file, and configuration where any of
    them says so.
    """

    __slots__ = ("_folders", "_memo", "_size")

    def __init__(self) -> None:
        # By folder, then by name: names and folders are shared between strings, and the values are small bytes.
        self._folders: dict[str, dict[str, bytes]] = {}
        self._memo: dict[tuple[str, bool], bytes] = {}
        self._size = 0

    def add(self, folder: str, name: str, kind: str, digest: bytes, config: bool) -> None:
        """Note the file ``folder`` + ``name``, with its digest in hexadecimal. Raises `Malformed` beyond any system."""
        if not folder.endswith("/") or "/" in name:
            raise Malformed(f"`{ascii((folder + name)[:100])[1:-1]}` is no path of a file")
        prefix = self._memo.get((kind, config))
        if prefix is None:
            prefix = self._memo[kind, config] = f"{_CONFIG if config else _PLAIN}{kind}:".encode()
        names = self._folders.setdefault(folder, {})
        known = names.get(name)
        if known is None:
            self._size += 1
            if self._size > _FILE_LIMIT:
                raise Malformed(f"it lists more than {_FILE_LIMIT} files")
        try:
            if not digest:
                raise ValueError("it is empty")
            names[name] = prefix + bytes.fromhex(digest.decode("ascii"))
        except ValueError as error:
            raise Malformed(f"the digest of its file `{ascii(name[:100])[1:-1]}` is none") from error
        if known is not None and known.startswith(b"c") and not config:
            names[name] = b"c" + names[name][1:]

    def __getitem__(self, path: str) -> PackagedFile:
        folder, slash, name = path.rpartition("/")
        packed = self._folders.get(folder + slash, {}).get(name)
        if packed is None:
            raise KeyError(path)
        kind, _, digest = packed[1:].partition(b":")
        return PackagedFile(f"{kind.decode()}:{digest.hex()}", packed.startswith(b"c"))

    def __iter__(self) -> Iterator[str]:
        for folder, names in self._folders.items():
            for name in names:
                yield folder + name

    def __len__(self) -> int:
        return self._size
