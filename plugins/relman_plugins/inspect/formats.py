"""SBOM formats, told apart by what is in them: projects publish one under the media type of another.

Sources: syft's JSON schema (16), SPDX (`spdx`), CycloneDX 1.2 to 1.6 (JSON), the in-toto attestation
framework (Statement v1) and DSSE. Only the fields that are used are read; the rest is skipped without being kept,
so that a list of 150 MB costs little more than its bytes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence

from msgspec import Raw, Struct, field

from relman.plugin import Malformed

from .decoding import ABSENT, Json, decode, items
from .listed import SYSTEM, Empty, Listed, ecosystem_of, known_arch, listed, source_name, whole
from .purl import parse_purl
from .spdx import spdx_2, spdx_3

_NESTING = 3  # an envelope around a statement around an SBOM


class _Document(Struct, gc=False):
    """Every key that tells what a document is, unread."""

    artifacts: Raw = ABSENT
    schema: Raw = ABSENT
    spdx_version: Raw = field(default=ABSENT, name="spdxVersion")
    packages: Raw = ABSENT
    bom_format: Raw = field(default=ABSENT, name="bomFormat")
    components: Raw = ABSENT
    graph: Raw = field(default=ABSENT, name="@graph")
    context: Raw = field(default=ABSENT, name="@context")
    payload: Raw = ABSENT
    envelope: Raw = field(default=ABSENT, name="dsseEnvelope")
    predicate: Raw = ABSENT


def entries(content: Json, depth: int = 0) -> Iterator[Listed]:
    """Every entry of an SBOM that stands for a package. Raises `Malformed`: not an SBOM, cut, or of another version."""
    view = _text(content)
    if not bytes(view[:4096]).strip():
        raise Empty("it is empty")
    document = decode(view, _Document, "the document")
    if document.artifacts and document.schema:
        return _syft(document.artifacts)
    if document.spdx_version:
        return spdx_2(document.spdx_version, document.packages)
    if document.bom_format:
        return _cyclonedx(document)
    if document.graph or document.context:
        return spdx_3(document.context, document.graph)
    inner = document.predicate or document.envelope
    if document.payload:
        inner = _payload(document.payload)
    if inner and depth < _NESTING:
        return entries(inner, depth + 1)
    raise Malformed("it is JSON, but neither syft's, SPDX nor CycloneDX")


class _Subject(Struct, gc=False):
    digest: dict[str, str] = {}


class _Statement(Struct, gc=False):
    subject: Raw = ABSENT
    payload: Raw = ABSENT
    envelope: Raw = field(default=ABSENT, name="dsseEnvelope")


def subjects(content: Json, depth: int = 0) -> frozenset[str]:
    """The digests (`sha256:…`) that a statement says it is about; empty for what is no statement, or says none.

    Source: in-toto Statement v1, `subject`. Raises `Malformed`.
    """
    document = decode(_text(content), _Statement, "the statement")
    inner = _payload(document.payload) if document.payload else document.envelope
    if inner and depth < _NESTING:
        return subjects(inner, depth + 1)
    if not document.subject:
        return frozenset()
    found = items(document.subject, _Subject, "`subject`")
    return frozenset(f"{algorithm}:{digits}" for subject in found for algorithm, digits in subject.digest.items())


def _text(content: Json) -> memoryview:
    view = memoryview(content)
    return view[3:] if bytes(view[:3]) == b"\xef\xbb\xbf" else view  # a byte order mark


def _payload(raw: Raw) -> Raw:
    try:
        return Raw(base64.b64decode(decode(raw, str, "`payload`"), validate=True))
    except binascii.Error as error:
        raise Malformed(f"the payload of its envelope is not base64: {error}") from error


# ------------------------------------------------------------------------------------------------------ syft


class _Location(Struct, gc=False):
    path: str = ""


class _Artifact(Struct, gc=False):
    """Without what syft keeps of it, which is of a shape of its own for each type."""

    name: str = ""
    version: str | None = None
    type: str = ""
    purl: str | None = None
    locations: list[_Location] | None = None
    found_by: str | None = field(default=None, name="foundBy")
    metadata_type: str | None = field(default=None, name="metadataType")


class _Metadata(Struct, gc=False, frozen=True):
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
    module: str | None = field(default=None, name="modularityLabel")

    @property
    def size(self) -> int:
        """How many characters it holds."""
        texts = (
            *(self.version, self.release, self.architecture, self.arch, self.source_rpm),
            *(self.source, self.base_package, self.vendor, self.module),
        )
        return sum([len(text) for text in texts if text])


class _Usual(_Artifact, gc=False):
    """An artifact whose metadata, where it has any, could be a system package's: nearly all are."""

    metadata: _Metadata | None = None


class _Other(_Artifact, gc=False):
    metadata: Raw = ABSENT


_Key = tuple[str, str, str, str, tuple[str, ...], _Metadata | None]


def _syft(raw: Raw) -> Iterator[Listed]:
    for artifact in _artifacts(raw):
        if "archive" in (artifact.metadata_type or "") or "archive-cataloger" in (artifact.found_by or ""):
            continue  # a package file that lies in the image is not installed
        text = artifact.purl or ""
        kind = artifact.type or _kind_of(text)
        known = None
        if ecosystem_of(kind) in SYSTEM:
            known = artifact.metadata if isinstance(artifact, _Usual) else _metadata(artifact)
        paths = tuple([location.path for location in artifact.locations or ()])
        yield _cached((kind, artifact.name, artifact.version or "", text, paths, known))


def _artifacts(raw: Raw) -> Sequence[_Usual | _Other]:
    try:
        return items(raw, _Usual, "`artifacts`")
    except Malformed:  # what stands there for a type that is not of the system may be of any shape
        return items(raw, _Other, "`artifacts`")


def _metadata(artifact: _Other) -> _Metadata | None:
    if not artifact.metadata or bytes(memoryview(artifact.metadata)[:4]) == b"null":
        return None
    return decode(artifact.metadata, _Metadata, f"the metadata of `{artifact.name[:100]}`")


def _kind_of(text: str) -> str:
    purl = parse_purl(text) if text else None
    return purl.type if purl else ""


def _entry(kind: str, name: str, version: str, text: str, paths: tuple[str, ...], known: _Metadata | None) -> Listed:
    """An artifact: the database's own words decide over what the scanner made of them."""
    entry = listed(ecosystem_of(kind), name, version, parse_purl(text) if text else None, paths=paths)
    if known is None:
        return entry
    # dpkg leaves the source out where it has the package's own name.
    own = entry.name if entry.ecosystem == "deb" else None
    of_rpm = entry.ecosystem == "rpm" and known.version
    return entry._replace(
        version=whole("rpm", name, known.epoch, known.version or "", known.release) if of_rpm else entry.version,
        exact=True,
        arch=known_arch(known.architecture) or known_arch(known.arch) or entry.arch,
        vendor=known.vendor or entry.vendor,
        module=known.module or None,
        source=source_name(known.source_rpm or known.source or known.base_package) or entry.source or own,
    )


_MADE_SIZE = 2000  # characters
_MADE_COUNT = 16_384
_made: dict[_Key, Listed] = {}  # the lists of a release's images share nearly all of theirs


def _cached(key: _Key) -> Listed:
    found = _made.get(key)
    if found is None:
        found = _entry(*key)
        *texts, paths, known = key
        if sum(map(len, texts)) + sum(map(len, paths)) + (known.size if known else 0) < _MADE_SIZE:
            if len(_made) >= _MADE_COUNT:
                _made.clear()
            _made[key] = found
    return found


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
    components: Raw = ABSENT


_SYFT_PATH = re.compile(r"syft:location:[0-9]+:path")


def _cyclonedx(document: _Document) -> Iterator[Listed]:
    kind = decode(document.bom_format, str, "`bomFormat`")
    if kind != "CycloneDX":
        raise Malformed(f"its `bomFormat` is `{kind[:40]}`, not `CycloneDX`")
    lists = [document.components]
    while lists:
        for component in items(lists.pop(), _Component, "`components`"):
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
    yield entry._replace(exact=entry.exact or "syft:package:metadataType" in said)
