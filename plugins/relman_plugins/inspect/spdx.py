"""SPDX as JSON: 2.2 and 2.3, and 3.0 (JSON-LD, as its own context names things).

Sources: the SPDX specification, 2.3 and 3.0.1, and what syft and trivy write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Raw, Struct, field

from relman.plugin import Malformed

from .decoding import decode, items
from .listed import SYSTEM, Listed, ecosystem_of, listed
from .purl import Purl, parse_purl


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


def spdx_2(spdx_version: Raw, listing: Raw) -> Iterator[Listed]:
    """The packages of a document of SPDX 2. Raises `Malformed`."""
    version = decode(spdx_version, str, "`spdxVersion`")
    if not version.startswith("SPDX-2."):
        raise Malformed(f"it is `{version[:40]}`, which is not read: publish SPDX 2.3")
    yield from _entries(items(listing, _SpdxPackage, "`packages`"))


def _entries(packages: list[_SpdxPackage]) -> Iterator[Listed]:
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


# ---------------------------------------------------------------------------------------------------- SPDX 3

_CONTEXT = re.compile(r"spdx\.org/rdf/3\.")
_PURLS = ("packageUrl", "purl")


class _Identifier(Struct, gc=False):
    kind: str = field(default="", name="externalIdentifierType")
    identifier: str = ""


class _Element(Struct, gc=False):
    type: str = ""
    id: str = field(default="", name="spdxId")
    name: str | None = None
    version: str | None = field(default=None, name="software_packageVersion")
    purl: str | None = field(default=None, name="software_packageUrl")
    source_info: str | None = field(default=None, name="software_sourceInfo")
    supplier: str | None = field(default=None, name="suppliedBy")
    identifiers: list[_Identifier] | None = field(default=None, name="externalIdentifier")


def spdx_3(context: Raw, graph: Raw) -> Iterator[Listed]:
    """The packages of a document of SPDX 3. Raises `Malformed`, also for JSON-LD of other kinds."""
    if not _CONTEXT.search(bytes(memoryview(context)[:4096]).decode("utf-8", "replace")):
        raise Malformed("it is JSON-LD, but its `@context` is not that of SPDX 3")
    elements = items(graph, _Element, "`@graph`")
    named = {one.id: one.name for one in elements if one.type == "Organization" and one.name}
    yield from _entries([_as_2(one, named) for one in elements if one.type == "software_Package"])


def _as_2(element: _Element, named: dict[str, str]) -> _SpdxPackage:
    """The same package as SPDX 2 has it; agents are elements of their own here."""
    purls = [element.purl or "", *(one.identifier for one in element.identifiers or () if one.kind in _PURLS)]
    supplier = named.get(element.supplier or "")
    return _SpdxPackage(
        name=element.name or "",
        version=element.version,
        source_info=element.source_info,
        supplier=f"Organization: {supplier}" if supplier else None,
        references=[_ExternalRef("purl", purl) for purl in purls if purl],
    )
