"""dpkg's database: paragraphs of fields (deb822(5)) in `var/lib/dpkg/status`, or one file a package in `status.d`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from relman.model.contents import Capability, Contents, Details, Identity, Obsolete, Package, PackageSet
from relman.plugin import Malformed

from .files import Files

KNOWN = frozenset(
    {
        Capability.EPOCH,
        Capability.ARCH,
        Capability.MULTI_VERSION,
        Capability.SOURCE_PACKAGE,
        Capability.OBSOLETES,
    }
)
"""What the database knows of its packages: who built one is nowhere in it."""

# dpkg(1): want, error flag, state. What is wanted (install, hold, deinstall) says nothing of what is there; in these
# states a package is there and set up, be it that triggers are still to run.
_INSTALLED = frozenset({"installed", "triggers-awaited", "triggers-pending"})
_SET_UP = "install ok installed"
_WANTED = frozenset(
    {
        "package",
        "status",
        "version",
        "architecture",
        "source",
        "installed-size",
        "conffiles",
        "replaces",
        "breaks",
        "conflicts",
    }
)
_LIMIT = 256 * 1024 * 1024
_PACKAGE_LIMIT = 250_000
_TEXT_LIMIT = 1024
_RELATION = re.compile(r"\s*([^\s:(]+)(?::[^\s(]+)?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^)\s]+)\s*\))?", re.ASCII)
_RELATIONS = {"<<": "<", ">>": ">", "<": "<=", ">": ">="}  # deb-control(5): single ones are old spellings
_NOTHING: Mapping[str, bytes] = MappingProxyType({})

_Fields = dict[str, str]


def read_dpkg(
    status: bytes | None,
    status_d: Mapping[str, bytes] = _NOTHING,
    info: Mapping[str, bytes] = _NOTHING,
    wants: frozenset[Capability] = frozenset(),
    *,
    source: str = "rpmdb",
) -> Contents:
    """What dpkg has installed.

    ``status`` is `var/lib/dpkg/status`, `None` where there is none; ``status_d`` the files of `var/lib/dpkg/status.d`
    and ``info`` those of `var/lib/dpkg/info`, by name: of these only `*.md5sums` are looked at, and only where files
    are wanted. An empty database gives an empty list. Raises `Malformed`, naming the line or the package.
    """
    packages: list[Package] = []
    obsoletes: dict[Identity, tuple[Obsolete, ...]] = {}
    sizes: dict[Identity, int] = {}
    files = Files()
    for fields in _installed(status, status_d):
        package = _package(fields)
        packages.append(package)
        if replaced := _obsoletes(fields):
            obsoletes[package.identity] = replaced
        if (size := fields.get("installed-size", "")).isdecimal() and len(size) < 15:
            sizes[package.identity] = int(size) * 1024
        if Capability.FILES in wants:
            _add_files(files, package, fields, info, status_d)
    return Contents(
        packages=PackageSet(packages),
        source=source,
        capabilities=KNOWN | {Capability.FILES} if files else KNOWN,
        details=Details(MappingProxyType(obsoletes), MappingProxyType(sizes), files=files),
    )


def _installed(status: bytes | None, status_d: Mapping[str, bytes]) -> Iterator[_Fields]:
    """The fields of each installed package. In `status.d` (distroless) all are, and most do not say so."""
    number = 0
    parts = [("status", status or b"", False)]
    parts += [(f"status.d/{name}", content, True) for name, content in sorted(status_d.items()) if not _is_sums(name)]
    for place, content, installed in parts:
        if len(content) > _LIMIT:
            raise Malformed(f"`{place}` is larger than {_LIMIT} bytes")
        for fields in _paragraphs(content, place):
            number += 1
            if number > _PACKAGE_LIMIT:
                raise Malformed(f"it lists more than {_PACKAGE_LIMIT} packages")
            if fields.get("status", _SET_UP if installed else "").rpartition(" ")[2] in _INSTALLED:
                yield fields


def _is_sums(name: str) -> bool:
    return name.endswith(".md5sums")


def _paragraphs(content: bytes, place: str) -> Iterator[_Fields]:
    """The fields that are read, of each paragraph; a name in any case is the same field."""
    fields: dict[str, list[str]] = {}
    some, last = False, ""
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if not line or line.isspace():
            if some:
                yield _joined(fields)
            fields, some, last = {}, False, ""
        elif line[0] in " \t":
            if not some:
                raise Malformed(f"line {number} of `{place}` continues nothing")
            if last:
                fields[last].append(line)
        else:
            name, colon, value = line.partition(":")
            if not colon:
                raise Malformed(f"line {number} of `{place}` is no field: `{ascii(line[:60])[1:-1]}`")
            some, last = True, name.lower()
            if last in _WANTED:
                fields[last] = [value.strip()]
            else:
                last = ""
    if some:
        yield _joined(fields)


def _joined(fields: dict[str, list[str]]) -> _Fields:
    return {name: "\n".join(lines) for name, lines in fields.items()}


def _package(fields: _Fields) -> Package:
    name = fields.get("package", "")
    for what in ("package", "version", "architecture"):
        text = fields.get(what, "")
        if not text and what == "architecture":
            continue
        if not text or len(text) > _TEXT_LIMIT or not text.isprintable():
            raise Malformed(f"package `{ascii(name[:60])[1:-1]}`: `{ascii(text[:60])[1:-1]}` is no {what}")
    # "glibc (2.36-9)": a source package has a version of its own where it differs.
    origin = fields.get("source", "").partition("(")[0].strip()[:_TEXT_LIMIT]
    return Package("deb", name, fields.get("architecture") or None, fields["version"], origin or name)


def _obsoletes(fields: _Fields) -> tuple[Obsolete, ...]:
    """What the package takes the place of: what it replaces and cannot stand beside (Debian policy, 7.6)."""
    if "replaces" not in fields:
        return ()
    excluded = {name for field in ("breaks", "conflicts") for name, _, _ in _relations(fields.get(field, ""))}
    return tuple(
        Obsolete(name, relation, version)
        for name, relation, version in _relations(fields["replaces"])
        if name in excluded
    )


def _relations(text: str) -> Iterator[tuple[str, str, str]]:
    for one in text.split(","):
        if match := _RELATION.match(one):
            name, relation, version = match.groups(default="")
            yield name, _RELATIONS.get(relation, relation), version


# ------------------------------------------------------------------------------------------------------ files


def _add_files(
    files: Files,
    package: Package,
    fields: _Fields,
    info: Mapping[str, bytes],
    status_d: Mapping[str, bytes],
) -> None:
    for line in fields.get("conffiles", "").splitlines():
        words = line.split()
        if len(words) < 2 or words[-1] in ("obsolete", "remove-on-upgrade") or words[-1] == "newconffile":
            continue
        _add(files, line.strip().rpartition(" ")[0], words[-1], config=True)
    names = (f"{package.name}.md5sums", f"{package.name}:{package.arch}.md5sums")
    sums = next((found for name in names if (found := info.get(name) or status_d.get(name))), b"")
    for line in sums.decode("utf-8", "backslashreplace").splitlines():
        digest, _, path = line.partition(" ")
        if path:
            _add(files, path[1:], digest, config=False)


def _add(files: Files, path: str, digest: str, *, config: bool) -> None:
    folder, _, name = path.removeprefix("./").strip("/").rpartition("/")
    if name:
        files.add(f"/{folder}/" if folder else "/", name, "md5", digest.encode("ascii", "replace"), config)
