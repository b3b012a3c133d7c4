"""Every way in which relman learns what is in an image, each from the same packages: written down as its tools write it
(composed), put where it belongs, and read by relman's own source.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from relman.cache import ContentsCache, Reading
from relman.compact.embedding import embedding, store
from relman.compact.publishing import publications, publish
from relman.documents.contents import contents_bytes, contents_from_bytes
from relman.model.contents import Contents, Unavailable
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, PlatformImage, parse_reference, parse_repository
from relman.plugin import ImageUnderRead
from relman.registry.attaching import AT_ONCE, attach
from relman.registry.look import look_at
from relman.testing import MemoryRegistry
from relman_plugins.inspect.compact import CompactSource
from relman_plugins.inspect.label import LABEL, LabelSource
from relman_plugins.inspect.rpmdb import DatabaseSource
from relman_plugins.inspect.sbom import SbomSource
from tests import compact_lists
from tests.layer_factories import (
    RPMDB,
    Entries,
    Layer,
    as_ostree,
    chunked,
    gzipped,
    plain,
    put_layers,
    read,
    zstandard,
)
from tests.rpm_headers import ndb_database, package, sqlite_database
from tests.traps import Pkg

HERE = parse_repository("registry.example/os")
BASE = "/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite"
NESTED = "/var/lib/containers/storage/overlay/1f/diff"
_OWN = {
    "rpm": "/usr/share/rpm/rpmdb.sqlite",
    "deb": "/var/lib/dpkg/status",
    "alpm": "/var/lib/pacman/local/{name}-{version}/desc",
}
_PURL = {"rpm": "rpm/fedora", "deb": "deb/debian", "alpm": "alpm/arch"}

Packages = Sequence[Pkg]
Answer = Contents | Unavailable
Read = Callable[[Packages, int], Answer]
"""The contents of the build with that number."""


@dataclass(frozen=True)
class Source:
    """``lacks`` is what it cannot know: `obsoletes`, `vendor`, `modules`. ``empty`` is said where nothing is listed."""

    name: str
    ecosystems: frozenset[str]
    read: Read
    lacks: frozenset[str] = frozenset()
    exact: bool = True
    empty: str = ""


# ------------------------------------------------------------------------------------------- databases as bytes

_FLAGS = {"<": 2, "<=": 10, "=": 8, ">=": 12, ">": 4}


def headers(packages: Packages) -> list[bytes]:
    """Each package as rpm keeps it."""
    found = []
    for one in packages:
        epoch, version, release = one.parts
        more: dict[str, Any] = {} if epoch is None else {"epoch": epoch}
        if one.obsoletes:
            more["obsoletename"] = [obsolete.name for obsolete in one.obsoletes]
            more["obsoleteflags"] = [_FLAGS[obsolete.relation] for obsolete in one.obsoletes]
            more["obsoleteversion"] = [obsolete.version for obsolete in one.obsoletes]
        if one.module:
            more["modularitylabel"] = one.module
        if one.vendor:
            more["vendor"] = one.vendor
        if one.name != "gpg-pubkey":
            more["sourcerpm"] = f"{one.source or one.name}-{version}-{release}.src.rpm"
        arch = None if one.arch == "(none)" else one.arch
        found.append(package(one.name, version, release or "", arch, **more))
    return found


def rpmdb(packages: Packages, write: Callable[[Path, Iterable[bytes]], Path] = sqlite_database) -> bytes:
    """A whole database."""
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder, "db"), headers(packages)).read_bytes()


def _is_there(one: Pkg) -> bool:
    return one.status.split()[-1] in ("installed", "triggers-pending")


def _paragraph(one: Pkg, *, status: bool) -> str:
    lines = [f"Package: {one.name}", f"Architecture: {one.arch}", f"Version: {one.version}"]
    lines += [f"Status: {one.status}"] if status else []
    # A source package has a version of its own where it differs.
    lines += [f"Source: {one.source} (1.0-1)"] if one.source else []
    if one.obsoletes:
        said = ", ".join(f"{o.name} ({o.relation} {o.version})" for o in one.obsoletes)
        lines += [f"Replaces: {said}", f"Breaks: {said}"]
    return "\n".join([*lines, "Description: composed", " and more", ""])


def status(packages: Packages) -> dict[str, bytes]:
    """dpkg's list."""
    return {"var/lib/dpkg/status": "\n".join(_paragraph(one, status=True) for one in packages).encode()}


def status_d(packages: Packages) -> dict[str, bytes]:
    """The same as distroless images have it, where nothing is half there."""
    return {
        f"var/lib/dpkg/status.d/{one.name}_{one.arch}": _paragraph(one, status=False).encode()
        for one in packages
        if _is_there(one)
    }


def local(packages: Packages) -> dict[str, bytes]:
    """pacman's."""
    found = {"var/lib/pacman/local/ALPM_DB_VERSION": b"9\n"}
    for one in packages:
        keys = {"NAME": [one.name], "VERSION": [one.version], "BASE": [one.source or one.name], "ARCH": [one.arch]}
        keys |= {"REPLACES": [f"{o.name}{o.relation}{o.version}" for o in one.obsoletes]} if one.obsoletes else {}
        text = "".join(f"%{key}%\n" + "\n".join(values) + "\n\n" for key, values in keys.items())
        found[f"var/lib/pacman/local/{one.name}-{one.version}/desc"] = text.encode()
    return found


def _own(packages: Packages) -> dict[str, bytes]:
    """The database of the ecosystem that ``packages`` are of."""
    kinds = {one.ecosystem for one in packages}
    if kinds == {"deb"}:
        return status(packages)
    return local(packages) if kinds == {"alpm"} else {RPMDB: rpmdb(packages)}


def in_layers(database: Callable[[Packages], Entries], compress: Callable[[Entries], Layer]) -> Read:
    """A database in a layer of its own, an older one of it beneath, and the base image's copy beside."""

    def look(packages: Packages, build: int) -> Answer:
        registry = MemoryRegistry()
        older = dict(database(packages[: len(packages) // 2]))
        files = {**dict(database(packages)), BASE[1:]: rpmdb(packages[:1])}
        return read(registry, put_layers(registry, HERE, [compress(older), compress(files), plain({"etc/a": b""})]))

    return look


def on_disk(packages: Packages, build: int) -> Answer:
    """`rpmdb:FOLDER`."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _own(packages).items():
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, name).write_bytes(content)
        return DatabaseSource().read(ImageUnderRead(parse_reference(f"rpmdb:{folder}"), None, MemoryRegistry()))


# --------------------------------------------------------------------------------------------------------- SBOMs


def _purl(one: Pkg, *, upstream: bool = True) -> str:
    epoch, version, release = one.parts
    said = {"arch": one.arch} if one.arch != "(none)" else {}
    if one.ecosystem == "rpm":
        whole = f"{version}-{release}"
        said |= {"distro": "fedora-44"} | ({} if epoch is None else {"epoch": str(epoch)})
        said |= {"upstream": f"{one.source or one.name}-{whole}.src.rpm"} if upstream and one.arch != "(none)" else {}
    else:
        whole = one.version
        said |= {"upstream": one.source} if upstream and one.source else {}
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in sorted(said.items()))
    return f"pkg:{_PURL[one.ecosystem]}/{quote(one.name, safe='')}@{quote(whole, safe='')}?{query}"


def _listed(packages: Packages) -> list[Pkg]:
    """What a scanner lists: in no order, what is not there left out, and one package twice."""
    found = [one for one in packages if _is_there(one)]
    return found[::-1] + found[:1]


def _lies_about(packages: Packages, build: int) -> list[tuple[Pkg, str]]:
    """Other databases that a scanner finds: each names packages of the image in other versions, in every build."""
    kinds = {one.ecosystem for one in packages if one.arch != "(none)"}
    found = []
    for one in [p for p in packages if p.arch != "(none)"][::3]:
        older = Pkg(one.ecosystem, one.name, f"0.{build}-1", one.arch, vendor=one.vendor)
        found.append((older, NESTED + _place(older)))
        if kinds == {"rpm"}:
            found.append((older, BASE))
    return found


def _place(one: Pkg) -> str:
    return _OWN[one.ecosystem].format(name=one.name, version=one.version)


def _others(packages: Packages, build: int) -> list[tuple[str, str, str]]:
    """Type, name and version of what is no system's package and changes with each build; some share a name."""
    names = sorted({one.name for one in packages})[:3]
    return [(kind, name, f"1.{build}.0") for name in names for kind in ("golang", "npm", "pypi", "generic")]


def syft_json(packages: Packages, build: int) -> bytes:
    """syft's own."""
    artifacts = [_artifact(one, _place(one)) for one in _listed(packages)]
    artifacts += [_artifact(one, path) for one, path in _lies_about(packages, build)]
    for kind, name, version in _others(packages, build):
        said = {"golang": "go-module", "pypi": "python"}.get(kind, kind)
        artifacts.append({"name": name, "version": version, "type": said, "purl": f"pkg:{kind}/{name}@{version}"})
    return json.dumps({"artifacts": artifacts, "schema": {"version": "16.0.34"}}).encode()


def _artifact(one: Pkg, path: str) -> dict[str, object]:
    epoch, version, release = one.parts
    arch = "" if one.arch == "(none)" else one.arch
    metadata: dict[str, object]
    if one.ecosystem == "rpm":
        source = "" if one.arch == "(none)" else f"{one.source or one.name}-{version}-{release}.src.rpm"
        metadata = {"name": one.name, "version": version, "epoch": epoch, "release": release, "architecture": arch}
        metadata |= {"sourceRpm": source, "vendor": one.vendor or "", "files": None}
        metadata |= {"modularityLabel": one.module} if one.module else {}
    elif one.ecosystem == "deb":
        metadata = {"package": one.name, "source": one.source or "", "version": one.version, "architecture": arch}
    else:
        metadata = {"package": one.name, "basepackage": one.source or one.name, "version": one.version}
        metadata |= {"architecture": arch}
    return {
        "name": one.name,
        "version": one.version,
        "type": one.ecosystem,
        "foundBy": f"{one.ecosystem}-db-cataloger",
        "locations": [{"path": path}],
        "purl": _purl(one),
        "metadataType": f"{one.ecosystem}-db-entry",
        "metadata": metadata,
    }


def spdx(packages: Packages, build: int) -> bytes:
    """SPDX 2.3 as syft writes it."""
    rows = [_spdx_row(one, _place(one)) for one in _listed(packages)]
    rows += [_spdx_row(one, path) for one, path in _lies_about(packages, build)]
    rows += [_spdx_other(*other) for other in _others(packages, build)]
    return _spdx_document(rows)


def _spdx_row(one: Pkg, path: str) -> dict[str, object]:
    said = {"rpm": "RPM DB", "deb": "DPKG DB", "alpm": "ALPM DB"}[one.ecosystem]
    return {
        "SPDXID": f"SPDXRef-Package-{one.ecosystem}-{quote(one.name, safe='').replace('%', '')}-{len(path)}",
        "name": one.name,
        "versionInfo": one.version,
        "supplier": f"Organization: {one.vendor}" if one.vendor else "NOASSERTION",
        "sourceInfo": f"acquired package info from {said}: {path}",
        "externalRefs": [{"referenceType": "purl", "referenceLocator": _purl(one)}],
    }


def _spdx_other(kind: str, name: str, version: str) -> dict[str, object]:
    refs = [{"referenceType": "purl", "referenceLocator": f"pkg:{kind}/{name}@{version}"}]
    return {"SPDXID": f"SPDXRef-{kind}-{name}", "name": name, "versionInfo": version, "externalRefs": refs}


def _spdx_document(rows: list[dict[str, object]]) -> bytes:
    return json.dumps({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": rows}).encode()


def spdx_3(packages: Packages, build: int) -> bytes:
    """SPDX 3.0.1 as its specification has it: vendors are elements of their own."""
    vendors = sorted({one.vendor for one in packages if one.vendor})
    agent = {name: f"https://example.org/agent/{number}" for number, name in enumerate(vendors)}
    graph: list[dict[str, object]] = [{"type": "Organization", "spdxId": agent[name], "name": name} for name in agent]
    found = [(one, _place(one)) for one in _listed(packages)] + _lies_about(packages, build)
    for number, (one, path) in enumerate(found):
        row = _spdx_row(one, path)
        element = {"type": "software_Package", "spdxId": f"https://example.org/{number}", "name": one.name}
        element |= {"software_packageVersion": one.version, "software_sourceInfo": str(row["sourceInfo"])}
        element |= {"suppliedBy": agent[one.vendor]} if one.vendor else {}
        if number % 2:
            graph.append({**element, "software_packageUrl": _purl(one)})
        else:
            said = {"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": _purl(one)}
            graph.append({**element, "externalIdentifier": [said]})
    for kind, name, version in _others(packages, build):
        url = f"pkg:{kind}/{name}@{version}"
        graph.append({"type": "software_Package", "name": name, "software_packageUrl": url})
    graph.append({"type": "software_File", "name": "/usr/bin/a", "spdxId": "https://example.org/file"})
    return json.dumps({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": graph}).encode()


def spdx_by_trivy(packages: Packages, build: int) -> bytes:
    """SPDX 2.3 as trivy writes it: versions without the release, sources in a sentence, no vendors, no files."""
    rows: list[dict[str, object]] = []
    for one in _listed(packages):
        _, version, release = one.parts
        text = version if one.ecosystem == "rpm" and one.arch != "(none)" else one.version
        source = f"built package from: {one.source or one.name} {version}-{release}"
        refs = [{"referenceType": "purl", "referenceLocator": _purl(one, upstream=False)}]
        rows.append({"SPDXID": "SPDXRef-Package-1f", "name": one.name, "versionInfo": text, "externalRefs": refs})
        rows[-1] |= {"sourceInfo": source} if one.arch != "(none)" else {}
    return _spdx_document([*rows, *(_spdx_other(*other) for other in _others(packages, build))])


def cyclonedx(packages: Packages, build: int) -> bytes:
    """CycloneDX as syft writes it."""
    found = [(one, _place(one)) for one in _listed(packages)] + _lies_about(packages, build)
    rows: list[dict[str, object]] = [
        {
            "type": "library",
            "name": one.name,
            "version": one.version,
            "purl": _purl(one),
            **({"publisher": one.vendor} if one.vendor else {}),
            "properties": [
                {"name": "syft:package:metadataType", "value": f"{one.ecosystem}-db-entry"},
                {"name": "syft:location:0:path", "value": path},
            ],
        }
        for one, path in found
    ]
    return _cyclonedx_document(rows, packages, build)


def cyclonedx_by_trivy(packages: Packages, build: int) -> bytes:
    """CycloneDX as trivy writes it."""
    rows: list[dict[str, object]] = [
        {
            "type": "library",
            "name": one.name,
            "version": one.version.partition(":")[2] or one.version if one.ecosystem == "rpm" else one.version,
            "purl": _purl(one, upstream=False),
            "properties": [{"name": "aquasecurity:trivy:SrcName", "value": one.source or one.name}],
        }
        for one in _listed(packages)
    ]
    return _cyclonedx_document(rows, packages, build)


def _cyclonedx_document(rows: list[dict[str, object]], packages: Packages, build: int) -> bytes:
    rows = rows + [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:{kind}/{name}@{version}"}
        for kind, name, version in _others(packages, build)
    ]
    rows.append({"type": "operating-system", "name": "composed", "version": str(build)})
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": rows}).encode()


def attached_as(kind: str, write: Callable[[Packages, int], bytes]) -> Read:
    """A list attached to an image under the artifact type ``kind``, whatever it is."""

    def look(packages: Packages, build: int) -> Answer:
        registry = MemoryRegistry()
        reference = put_layers(registry, HERE, [plain({"etc/a": b""})])
        assert reference.digest is not None
        attach(registry, HERE, reference.digest, write(packages, build), artifact_type=kind, media_type=kind)
        return read(registry, reference, source=SbomSource())  # type: ignore[arg-type]

    return look


# ------------------------------------------------------------------------------------- the label, relman's own


def rechunk(version: int) -> Read:
    """rechunk's label: the first version of each name, no epoch, no architecture."""

    def look(packages: Packages, build: int) -> Answer:
        named: dict[str, str] = {}
        for one in packages:
            named.setdefault(one.name, one.version.rpartition(":")[2])
        document = {"version": version, "uniq": f"44.{build}", "packages": named}
        document |= {"layers": [], "revision": "f" * 40} if version > 1 else {}
        manifest = Descriptor("application/x", Digest.of(b""), 1)
        image = PlatformImage(LINUX_AMD64, manifest, {LABEL: json.dumps(document)}, None, 0)
        return LabelSource().read(ImageUnderRead(parse_reference("registry.example/os:a"), image, MemoryRegistry()))

    return look


def _from_database(packages: Packages) -> Contents:
    found = on_disk(packages, 0)
    assert isinstance(found, Contents), found
    return found


def published(packages: Packages, build: int) -> Answer:
    """relman's list, attached."""
    registry = MemoryRegistry()
    image = compact_lists.put(registry, HERE, "stable")
    made = publications(registry, image, {LINUX_AMD64: _from_database(packages)}, now=compact_lists.NOW)
    publish(registry, HERE, made, patience=AT_ONCE)
    return CompactSource().read(compact_lists.under_read(registry, image))


def embedded(packages: Packages, build: int) -> Answer:
    """relman's list, in the image."""
    registry = MemoryRegistry()
    image = compact_lists.put(registry, HERE, "stable")
    made = embedding(registry, image, {LINUX_AMD64: _from_database(packages)})
    store(registry, HERE, made, None)
    return CompactSource().read(compact_lists.under_read(registry, look_at(registry, HERE.digest(made.digest))))


def kept(packages: Packages, build: int) -> Answer:
    """What was read before, from the cache."""
    with tempfile.TemporaryDirectory() as folder:
        cache = ContentsCache(Path(folder))
        reading = Reading(Digest.of(b""), LINUX_AMD64, ("rpmdb",))
        cache.keep(reading, _from_database(packages))
        found = cache.read(reading)
    assert found is not None
    return found


def recorded(packages: Packages, build: int) -> Answer:
    """What a record keeps."""
    return contents_from_bytes(contents_bytes({LINUX_AMD64: _from_database(packages)}))[LINUX_AMD64]


# ---------------------------------------------------------------------------------------------------- all of them

_RPM, _DEB, _ALPM = frozenset({"rpm"}), frozenset({"deb"}), frozenset({"alpm"})
_ALL = _RPM | _DEB | _ALPM
_SPDX, _CYCLONEDX = "application/vnd.spdx+json", "application/vnd.cyclonedx+json"
_NONE = "lists no packages"


def _sqlite(packages: Packages) -> Entries:
    return {RPMDB: rpmdb(packages)}


def _ndb(packages: Packages) -> Entries:
    return {"usr/lib/sysimage/rpm/Packages.db": rpmdb(packages, ndb_database)}


def _ostree(entries: Entries) -> Layer:
    return gzipped(as_ostree(entries))


def _databases() -> Iterable[Source]:
    codecs = {"plain": plain, "gzip": gzipped, "zstd": zstandard, "zstd:chunked": chunked, "ostree": _ostree}
    kinds: dict[str, tuple[frozenset[str], Callable[[Packages], Entries]]] = {
        "rpm sqlite": (_RPM, _sqlite),
        "rpm ndb": (_RPM, _ndb),
        "dpkg": (_DEB, status),
        "dpkg status.d": (_DEB, status_d),
        "pacman": (_ALPM, local),
    }
    for kind, (ecosystems, database) in kinds.items():
        for codec, compress in codecs.items():
            none = "database that lists a package (that of rpm is empty)" if kind.startswith("rpm") else "database in `"
            yield Source(f"{kind}, {codec}", ecosystems, in_layers(database, compress), empty=none)
    yield Source("database on disk", _ALL, on_disk, empty=_NONE)


def _sboms() -> Iterable[Source]:
    obsoletes = frozenset({"obsoletes"})
    none = "lists no packages at all"
    yield Source("syft-json", _ALL, attached_as("application/vnd.syft+json", syft_json), obsoletes, empty=none)
    yield Source("syft-json as SPDX", _ALL, attached_as(_SPDX, syft_json), obsoletes, empty=none)
    lacks = obsoletes | {"modules"}
    yield Source("SPDX by syft", _ALL, attached_as(_SPDX, spdx), lacks, empty=none)
    yield Source("SPDX 3", _ALL, attached_as(_SPDX, spdx_3), lacks, empty=none)
    yield Source("SPDX by trivy", _ALL, attached_as(_SPDX, spdx_by_trivy), lacks | {"vendor"}, empty=none)
    yield Source("CycloneDX by syft", _ALL, attached_as(_CYCLONEDX, cyclonedx), lacks, empty=none)
    yield Source(
        "CycloneDX by trivy as SPDX", _ALL, attached_as(_SPDX, cyclonedx_by_trivy), lacks | {"vendor"}, empty=none
    )


SOURCES: tuple[Source, ...] = (
    *_databases(),
    *_sboms(),
    *(
        Source(
            f"label, version {version}",
            _RPM,
            rechunk(version),
            frozenset({"obsoletes", "vendor", "modules"}),
            exact=False,
            empty=_NONE,
        )
        for version in (1, 2)
    ),
    Source("relman's list, attached", _ALL, published),
    Source("relman's list, embedded", _ALL, embedded),
    Source("kept in the cache", _ALL, kept),
    Source("kept with a record", _ALL, recorded),
)
