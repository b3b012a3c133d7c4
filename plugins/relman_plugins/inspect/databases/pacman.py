"""pacman's database: one file `desc` a package in `var/lib/pacman/local`, of `%KEY%` lines with their values below."""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType

from relman.model.contents import Capability, Contents, Details, Identity, Obsolete, Package, PackageSet
from relman.plugin import Malformed

KNOWN = frozenset(
    {
        Capability.EPOCH,
        Capability.ARCH,
        Capability.MULTI_VERSION,
        Capability.SOURCE_PACKAGE,
        Capability.OBSOLETES,
    }
)
"""What the database knows of its packages. `%PACKAGER%` is a person, another one with each build: no vendor."""

_FILE_LIMIT = 16 * 1024 * 1024
_PACKAGE_LIMIT = 250_000
_TEXT_LIMIT = 1024
_KEY = re.compile(r"%([A-Z0-9_]+)%")
_REPLACED = re.compile(r"([^<>=\s]+)\s*(?:(<=|>=|<|>|=)\s*(\S+))?")


def read_pacman(desc_files: Iterable[tuple[str, bytes]], *, source: str = "rpmdb") -> Contents:
    """What pacman has installed: the content of each `var/lib/pacman/local/*/desc`, with a name to call it by.

    An empty database gives an empty list. Raises `Malformed`, naming the file.
    """
    packages: list[Package] = []
    obsoletes: dict[Identity, tuple[Obsolete, ...]] = {}
    sizes: dict[Identity, int] = {}
    for number, (name, content) in enumerate(desc_files, 1):
        if number > _PACKAGE_LIMIT:
            raise Malformed(f"it lists more than {_PACKAGE_LIMIT} packages")
        if len(content) > _FILE_LIMIT:
            raise Malformed(f"`{ascii(name[:100])[1:-1]}` is larger than {_FILE_LIMIT} bytes")
        fields = _fields(content.decode("utf-8", "replace"))
        package = _package(name, fields)
        packages.append(package)
        if replaced := tuple(Obsolete(*m.groups("")) for text in fields.get("REPLACES", ()) if (m := _replaced(text))):
            obsoletes[package.identity] = replaced
        size = _first(fields, "SIZE") or _first(fields, "ISIZE")
        if size.isdecimal() and len(size) < 18:
            sizes[package.identity] = int(size)
    return Contents(
        packages=PackageSet(packages),
        source=source,
        capabilities=KNOWN,
        details=Details(MappingProxyType(obsoletes), MappingProxyType(sizes)),
    )


def _replaced(text: str) -> re.Match[str] | None:
    return _REPLACED.fullmatch(text)


def _fields(text: str) -> dict[str, list[str]]:
    """The values below each key, up to the empty line that ends them."""
    fields: dict[str, list[str]] = {}
    values: list[str] | None = None
    for line in text.split("\n"):
        if values is None:
            if match := _KEY.fullmatch(line.strip()):
                values = fields.setdefault(match[1], [])
        elif stripped := line.strip():
            values.append(stripped)
        else:
            values = None
    return fields


def _first(fields: dict[str, list[str]], key: str) -> str:
    return next(iter(fields.get(key, ())), "")


def _package(file: str, fields: dict[str, list[str]]) -> Package:
    name, version, arch, base = (_first(fields, key) for key in ("NAME", "VERSION", "ARCH", "BASE"))
    for key, text in (("NAME", name), ("VERSION", version), ("ARCH", arch), ("BASE", base)):
        missing = not text and key in ("NAME", "VERSION")
        if missing or len(text) > _TEXT_LIMIT or not text.isprintable():
            raise Malformed(f"`{ascii(file[:100])[1:-1]}` has `{ascii(text[:60])[1:-1]}` as its %{key}%")
    return Package("alpm", name, arch or None, version, base or name)
