"""From the entries of an SBOM, whatever its format, to the contents of an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import NamedTuple

from relman.model.contents import Capability, Contents, Package, PackageSet, known_package
from relman.model.versions import normalise, parse
from relman.plugin import Malformed

from .databases import Place, chosen, place
from .databases.places import Where
from .purl import Purl

SYSTEM = frozenset({"rpm", "deb", "alpm"})
"""The ecosystems of the system's own package databases."""

# Scanners call ecosystems by names of their own; package URLs have one name for each.
_ALIASES = MappingProxyType(
    {
        "dart-pub": "pub",
        "dotnet": "nuget",
        "go": "golang",
        "go-module": "golang",
        "java": "maven",
        "java-archive": "maven",
        "javascript": "npm",
        "php-composer": "composer",
        "python": "pypi",
        "rust": "cargo",
        "rust-crate": "cargo",
    }
)
_TEXT_LIMIT = 1024
_PACKAGE_LIMIT = 250_000  # a hundred times what a desktop has


def ecosystem_of(kind: str) -> str:
    """An ecosystem as package URLs call it: `pypi` for `python`, `golang` for `go-module`."""
    lowered = kind.lower()
    return _ALIASES.get(lowered, lowered)


class Empty(Malformed):
    """An SBOM that can be read, and lists nothing that counts: a placeholder."""


class Listed(NamedTuple):
    """One entry of an SBOM that says what is installed.

    ``version`` is whole. ``exact`` says that its epoch is known, be it none. ``paths`` are the files that the scanner
    took it from, empty where the SBOM does not say. ``module`` is rpm's label of the module that it was built for.
    """

    ecosystem: str
    name: str
    arch: str | None
    version: str
    exact: bool
    source: str | None = None
    vendor: str | None = None
    paths: Sequence[str] = ()
    module: str | None = None


def listed(
    ecosystem: str,
    name: str,
    text: str,
    purl: Purl | None,
    *,
    source: str | None = None,
    vendor: str | None = None,
    paths: Sequence[str] = (),
) -> Listed:
    """An entry as its package URL has it, and where that is silent, the version's ``text`` beside it."""
    if ecosystem not in SYSTEM:
        if purl is not None:
            name = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
        return Listed(ecosystem, name, None, text or (purl.version if purl else ""), False)
    qualifiers = purl.qualifiers if purl is not None else {}
    return Listed(
        ecosystem=ecosystem,
        name=name or (purl.name if purl else ""),
        arch=known_arch(qualifiers.get("arch")),
        version=_whole_version(ecosystem, name, text, purl),
        exact=purl is not None and bool(purl.version),
        source=source or source_name(qualifiers.get("upstream")),
        vendor=vendor,
        paths=paths,
    )


def _whole_version(ecosystem: str, name: str, text: str, purl: Purl | None) -> str:
    said = parse(ecosystem, text)
    said_epoch = said.epoch if ":" in text else None
    if purl is None or not purl.version:
        return whole(ecosystem, name, said_epoch, said.version, said.release)
    evr = parse(ecosystem, purl.version)
    version, release = evr.version, evr.release
    epoch: int | str | None = purl.qualifiers.get("epoch") or evr.epoch or None
    # Some write package URLs without the release, or without the epoch, and give it in the text alone.
    if version == said.version:
        release = release or said.release
        if epoch is None and release == said.release:
            epoch = said_epoch
    return whole(ecosystem, name, epoch, version, release)


def whole(ecosystem: str, name: str, epoch: int | str | None, version: str, release: str | None) -> str:
    """The version in relman's one spelling. Raises `Malformed`, naming the package, for an epoch that is none."""
    try:
        return normalise(ecosystem, epoch, version, release)
    except ValueError as error:
        raise Malformed(f"the package `{name[:100]}` cannot be read: {error}") from error


def known_arch(text: str | None) -> str | None:
    """An architecture; `None` for the ways in which scanners write that there is none."""
    return text if text and text != "(none)" else None


def source_name(text: str | None) -> str | None:
    """The name of a source package: `bash` for `bash-5.3.0-2.fc44.src.rpm` and for `bash`."""
    if not text or text == "(none)":
        return None
    for suffix in (".nosrc.rpm", ".src.rpm"):
        if text.endswith(suffix):
            return text.removesuffix(suffix).rsplit("-", 2)[0] or None
    return text.partition("@")[0] or None


# ---------------------------------------------------------------------------------------------- into contents


def contents(entries: Iterable[Listed], name: str, ecosystems: frozenset[str]) -> Contents:
    """The contents that ``entries`` describe: the system's packages, and those of ``ecosystems``.

    Raises `Empty` where there are none at all, `Malformed` where an entry is no package.
    """
    wanted = SYSTEM | {ecosystem_of(ecosystem) for ecosystem in ecosystems}
    others: Counter[str] = Counter()
    found = []
    for entry in entries:
        if entry.ecosystem in wanted:
            found.append(entry)
            if len(found) > _PACKAGE_LIMIT:
                raise Malformed(f"it lists more than {_PACKAGE_LIMIT} packages")
        else:
            others[entry.ecosystem or "unnamed"] += 1
    kept = _with_own_sources(_of_the_system(found))
    keys, packages, modules = set(), [], dict[str, str]()
    for entry in kept:
        if entry.ecosystem not in SYSTEM and not entry.version:
            continue  # a module that was built from a checkout has no version that could change
        package = _package(entry)
        if entry.ecosystem == "rpm" and entry.name == "gpg-pubkey":
            evr = parse("rpm", entry.version)
            keys.add(normalise("rpm", None, evr.version, evr.release))
        else:
            packages.append(package)
            if entry.module and len(entry.module) <= _TEXT_LIMIT and entry.module.isprintable():
                modules[str(package.identity)] = entry.module
    if not packages:
        raise Empty(_why_empty(bool(found), others))
    return Contents(
        packages=PackageSet(packages),
        source=name,
        capabilities=_capabilities([entry for entry in kept if entry.name != "gpg-pubkey"]),
        keys=tuple(sorted(keys)),
        extras=MappingProxyType({"modules": modules} if modules else {}),
    )


def _of_the_system(found: list[Listed]) -> list[Listed]:
    known: dict[tuple[str, tuple[str, ...]], Where] = {}  # nearly all are from one database
    places = []
    for entry in found:
        key = (entry.ecosystem, tuple(entry.paths))
        if key not in known:
            known[key] = place(*key) if entry.paths else Place.UNKNOWN
        places.append(known[key])
    keep = chosen(zip((entry.ecosystem for entry in found), places, strict=True))
    return [entry for entry, where in zip(found, places, strict=True) if (entry.ecosystem, where) in keep]


def _with_own_sources(kept: list[Listed]) -> list[Listed]:
    """Give packages of dpkg and pacman their own name as source where the list names only sources of another name."""
    named = {entry.ecosystem for entry in kept if entry.source and entry.ecosystem in ("deb", "alpm")}
    if not named:
        return kept
    return [
        entry._replace(source=entry.name) if entry.ecosystem in named and not entry.source else entry for entry in kept
    ]


def _package(entry: Listed) -> Package:
    for text in (entry.name, entry.version, entry.arch):
        if text is not None and (not text or len(text) > _TEXT_LIMIT or not text.isprintable()):
            raise _no_package(entry)
    return known_package(entry.ecosystem, entry.name, entry.arch, entry.version, entry.source, entry.vendor)


def _no_package(entry: Listed) -> Malformed:
    for what, text in (("name", entry.name), ("version", entry.version), ("architecture", entry.arch)):
        if text == "":
            return Malformed(f"the package `{entry.name[:100]}` has no {what}")
        if text is not None and (len(text) > _TEXT_LIMIT or not text.isprintable()):
            return Malformed(f"`{ascii(text[:60])[1:-1]}` is no package's {what} ({len(text)} characters)")
    raise AssertionError("called for an entry that is none")


def _why_empty(nested: bool, others: Counter[str]) -> str:
    if nested:
        return "it lists no package of the image's own database, only keys or those of other databases"
    if not others:
        return "it lists no packages at all"
    kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(5))
    return f"it lists no rpm, deb or alpm packages, only others ({kinds})"


def _capabilities(kept: list[Listed]) -> frozenset[Capability]:
    """What these entries really know; a scanner that gives an arch to some packages only does not know the arch."""
    system = [entry for entry in kept if entry.ecosystem in SYSTEM]
    known = {Capability.MULTI_VERSION}
    if all(entry.arch for entry in system):
        known.add(Capability.ARCH)
    if all(entry.exact for entry in system) or any(parse(e.ecosystem, e.version).epoch for e in system):
        known.add(Capability.EPOCH)
    if any(entry.source for entry in system):
        known.add(Capability.SOURCE_PACKAGE)
    if any(entry.vendor for entry in system):
        known.add(Capability.VENDOR)
    return frozenset(known)
