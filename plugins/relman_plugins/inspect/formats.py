"""SBOM formats, told apart by what is in them: projects publish one under the media type of another.

Sources: syft's JSON schema (16), SPDX 2.2 and 2.3 (JSON), CycloneDX 1.2 to 1.6 (JSON), the in-toto attestation
framework (Statement v1) and DSSE. Only the fields that are used are read; the rest is skipped without being kept,
so that a list of 150 MB costs little more than its bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct, field

from relman.plugin import Malformed

from .listed import SYSTEM, Listed, ecosystem_of, known_arch, listed, source_name, whole
from .purl import Purl, parse_purl

_OBJECT_LIMIT = 4_000_000  # objects within one list: each costs a hundred bytes once it is read
_STEP = 256 * 1024  # large temporaries stay with the threads that made them
_NESTING = 3  # an envelope around a statement around an SBOM
_ABSENT = Raw()

T = TypeVar("T")
_Json = bytes | bytearray | memoryview | Raw


class _Document(Struct, gc=False):
    """Every key that tells what a document is, unread."""

    artifacts: Raw = _ABSENT
    schema: Raw = _ABSENT
    spdx_version: Raw = field(default=_ABSENT, name="spdxVersion")
    packages: Raw = _ABSENT
    bom_format: Raw = field(default=_ABSENT, name="bomFormat")
    components: Raw = _ABSENT
    graph: Raw = field(default=_ABSENT, name="@graph")
    context: Raw = field(default=_ABSENT, name="@context")
    payload: Raw = _ABSENT
    envelope: Raw = field(default=_ABSENT, name="dsseEnvelope")
    predicate: Raw = _ABSENT


def entries(content: _Json, depth: int = 0) -> Iterator[Listed]:
    """Every entry of an SBOM that stands for a package. Raises `Malformed`: not an SBOM, cut, or of another version."""
    view = memoryview(content)
    view = view[3:] if bytes(view[:3]) == b"\xef\xbb\xbf" else view  # a byte order mark
    if not bytes(view[:4096]).strip():
        raise Malformed("it is empty")
    document = _decode(view, _Document, "the document")
    if document.artifacts and document.schema:
        return _syft(document.artifacts)
    if document.spdx_version:
        return _spdx(document)
    if document.bom_format:
        return _cyclonedx(document)
    if document.graph or document.context:
        raise Malformed("it is SPDX 3, which is not read yet: publish SPDX 2.3, CycloneDX or syft's own JSON")
    inner = document.predicate or document.envelope
    if document.payload:
        inner = _payload(document.payload)
    if inner and depth < _NESTING:
        return entries(inner, depth + 1)
    raise Malformed("it is JSON, but neither syft's, SPDX nor CycloneDX")


def _payload(raw: Raw) -> Raw:
    try:
        return Raw(base64.b64decode(_decode(raw, str, "`payload`"), validate=True))
    except binascii.Error as error:
        raise Malformed(f"the payload of its envelope is not base64: {error}") from error


def _decode(content: _Json, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(_why_not(content, error, what)) from error


def _why_not(content: _Json, error: Exception, what: str) -> str:
    head = bytes(memoryview(content)[:200]).lstrip()
    for start, kind in ((b"SPDXVersion:", "SPDX as tag-value text"), (b"<", "XML")):
        if head.startswith(start):
            return f"it is {kind}, which is not read: publish it as JSON"
    if isinstance(error, msgspec.ValidationError):
        return f"{what} is not what its format says: {error}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"it is not JSON, or cut: {error}"


def _list(raw: Raw, kind: type[T], what: str) -> list[T]:
    """A list of the document, read; an absent one and `null` are empty."""
    if not raw:
        return []
    view = memoryview(raw)
    if sum(bytes(view[at : at + _STEP]).count(b"{") for at in range(0, len(view), _STEP)) > _OBJECT_LIMIT:
        raise Malformed(f"{what} holds more than {_OBJECT_LIMIT} objects")
    return _decode(raw, list[kind] | None, what) or []  # type: ignore[valid-type, arg-type]


# ------------------------------------------------------------------------------------------------------ syft


class _Location(Struct, gc=False):
    path: str = ""


class _Artifact(Struct, gc=False):
    name: str = ""
    version: str | None = None
    type: str = ""
    purl: str | None = None
    locations: list[_Location] | None = None
    found_by: str | None = field(default=None, name="foundBy")
    metadata_type: str | None = field(default=None, name="metadataType")
    metadata: Raw = _ABSENT


class _Metadata(Struct, gc=False):
    """What syft keeps of an installed package: rpm, dpkg and alpm entries share these keys where they have them."""

    version: str | None = None
    release: str | None = None
    epoch: int | None = None
    architecture: str | None = None
    arch: str | None = None
    source_rpm: str | None = field(default=None, name="sourceRpm")
    source: str | None = None
    base_package: str | None = field(default=None, name="basepackage")
    vendor: str | None = None


def _syft(raw: Raw) -> Iterator[Listed]:
    for artifact in _list(raw, _Artifact, "`artifacts`"):
        if "archive" in (artifact.metadata_type or "") or "archive-cataloger" in (artifact.found_by or ""):
            continue  # a package file that lies in the image is not installed
        purl = parse_purl(artifact.purl) if artifact.purl else None
        ecosystem = ecosystem_of(artifact.type or (purl.type if purl else ""))
        paths = tuple(location.path for location in artifact.locations or ())
        entry = listed(ecosystem, artifact.name, artifact.version or "", purl, paths=paths)
        if ecosystem in SYSTEM and artifact.metadata and bytes(memoryview(artifact.metadata)[:4]) != b"null":
            _add_metadata(entry, _decode(artifact.metadata, _Metadata, f"the metadata of `{artifact.name[:100]}`"))
        yield entry


def _add_metadata(entry: Listed, known: _Metadata) -> None:
    """The database's own words decide over what the scanner made of them."""
    if entry.ecosystem == "rpm" and known.version:
        entry.version = whole("rpm", entry.name, known.epoch, known.version, known.release)
    entry.exact = True
    entry.arch = known_arch(known.architecture) or known_arch(known.arch) or entry.arch
    entry.vendor = known.vendor or entry.vendor
    # dpkg leaves the source out where it has the package's own name.
    own = entry.name if entry.ecosystem == "deb" else None
    entry.source = source_name(known.source_rpm or known.source or known.base_package) or entry.source or own


# ------------------------------------------------------------------------------------------------------ SPDX


class _ExternalRef(Struct, gc=False):
    kind: str = field(default="", name="referenceType")
    locator: str = field(default="", name="referenceLocator")


class _SpdxPackage(Struct, gc=False):
    name: str = ""
    spdx_id: str = field(default="", name="SPDXID")
    version: str | None = field(default=None, name="versionInfo")
    source_info: str | None = field(default=None, name="sourceInfo")
    supplier: str | None = None
    originator: str | None = None
    references: list[_ExternalRef] | None = field(default=None, name="externalRefs")


_SYFT_ID = re.compile(r"SPDXRef-Package-(rpm|deb|alpm)-")
_RPM_VERSION = re.compile(r"[^-\s]+-[^-\s]+\.(?:fc|el)[0-9]+(?![0-9A-Za-z])")


def _spdx(document: _Document) -> Iterator[Listed]:
    version = _decode(document.spdx_version, str, "`spdxVersion`")
    if not version.startswith("SPDX-2."):
        raise Malformed(f"it is `{version[:40]}`, which is not read: publish SPDX 2.3")
    packages = _list(document.packages, _SpdxPackage, "`packages`")
    purls = [_spdx_purl(package) for package in packages]
    default = "" if any(purl and purl.type in SYSTEM for purl in purls) else _guessed(packages)
    for package, purl in zip(packages, purls, strict=True):
        match = _SYFT_ID.match(package.spdx_id)
        guess = default if "-" in _said(package.version) else ""  # what has no release is no rpm
        ecosystem = ecosystem_of(purl.type if purl else match[1] if match else guess)
        source, paths = _source_info(package.source_info or "")
        yield listed(
            ecosystem,
            package.name,
            _said(package.version),
            purl,
            source=source,
            vendor=_organization(package.supplier) or _organization(package.originator),
            paths=paths,
        )


def _guessed(packages: list[_SpdxPackage]) -> str:
    """The ecosystem of a list that has no package URL of a system's package: rpm where a version has a dist tag."""
    return "rpm" if any(package.version and _RPM_VERSION.match(package.version) for package in packages) else ""


def _spdx_purl(package: _SpdxPackage) -> Purl | None:
    for reference in package.references or ():
        if reference.kind == "purl" and (purl := parse_purl(reference.locator)):
            return purl
    return None


def _said(text: str | None) -> str:
    return "" if text is None or text in ("NOASSERTION", "NONE") else text


def _organization(text: str | None) -> str | None:
    head, colon, name = (text or "").partition(": ")
    return name.strip() or None if colon and head == "Organization" else None


def _source_info(text: str) -> tuple[str | None, tuple[str, ...]]:
    """The source package and the files, in the sentences of trivy and syft."""
    head, colon, rest = text.partition(": ")
    if not colon:
        return None, ()
    if head == "built package from":
        return rest.split(" ")[0] or None, ()
    if head.startswith("acquired package info from"):
        return None, tuple(rest.split(", "))
    return None, ()


# ------------------------------------------------------------------------------------------------- CycloneDX


class _Property(Struct, gc=False):
    name: str = ""
    value: str | None = None


class _Supplier(Struct, gc=False):
    name: str | None = None


class _Component(Struct, gc=False):
    type: str = ""
    name: str = ""
    version: str | None = None
    purl: str | None = None
    publisher: str | None = None
    supplier: _Supplier | None = None
    properties: list[_Property] | None = None
    components: Raw = _ABSENT


_SYFT_PATH = re.compile(r"syft:location:[0-9]+:path")


def _cyclonedx(document: _Document) -> Iterator[Listed]:
    kind = _decode(document.bom_format, str, "`bomFormat`")
    if kind != "CycloneDX":
        raise Malformed(f"its `bomFormat` is `{kind[:40]}`, not `CycloneDX`")
    lists = [document.components]
    while lists:
        for component in _list(lists.pop(), _Component, "`components`"):
            if component.components:
                lists.append(component.components)
            if component.type in ("", "library", "application", "framework") and (component.purl or component.version):
                yield from _component(component)


def _component(component: _Component) -> Iterator[Listed]:
    said: dict[str, str] = {}
    paths = []
    for property in component.properties or ():
        if property.value is None:
            continue
        said[property.name] = property.value
        if _SYFT_PATH.fullmatch(property.name):
            paths.append(property.value)
    if "archive" in said.get("syft:package:metadataType", ""):
        return
    purl = parse_purl(component.purl) if component.purl else None
    vendor = component.publisher or (component.supplier.name if component.supplier else None)
    entry = listed(
        ecosystem_of(purl.type if purl else said.get("syft:package:type", "")),
        component.name,
        component.version or "",
        purl,
        source=said.get("aquasecurity:trivy:SrcName") or source_name(said.get("syft:metadata:sourceRpm")),
        vendor=vendor or None,
        paths=tuple(paths),
    )
    entry.exact = entry.exact or "syft:package:metadataType" in said
    yield entry
