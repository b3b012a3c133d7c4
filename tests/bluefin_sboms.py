"""The composed set written down as syft, SPDX 2.3, CycloneDX and rechunk write lists of packages."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from tests.bluefin import Installed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DISTRO = "fedora-44"
BASE_DATABASE = "/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite"
"""What the base image had, which scanners find as well: not what is installed."""
OTHERS = (
    ("python", "requests", "2.32.{n}", "pypi"),
    ("python", "podman", "5.{n}.0", "pypi"),
    ("go-module", "golang.org/x/net", "v0.4{n}.0", "golang"),
    ("go-module", "podman", "v5.9.{n}", "golang"),
    ("npm", "typescript", "5.8.{n}", "npm"),
    ("binary", "bash", "5.3.{n}", "generic"),
    ("linux-kernel", "linux-kernel", "7.0.{n}", "generic"),
    ("rust-crate", "libc", "0.2.17{n}", "cargo"),
)
"""What scanners find beside the system's packages: some share a name with one, all change in each build."""


def _split(version: str) -> tuple[int | None, str, str]:
    epoch, colon, rest = version.rpartition(":")
    head, _, release = rest.rpartition("-")
    return (int(epoch) if colon else None), head, release


def _purl(package: Installed) -> str:
    """As syft writes it: the epoch is a qualifier, and not in the version."""
    epoch, version, release = _split(package.version)
    named = "" if epoch is None else f"&epoch={epoch}"
    upstream = quote(f"{package.source}-{version}-{release}.src.rpm", safe="")
    at = quote(f"{version}-{release}", safe="~")
    return f"pkg:rpm/fedora/{quote(package.name)}@{at}?arch={package.arch}&distro={DISTRO}{named}&upstream={upstream}"


def _shuffled(packages: Sequence[Installed], build: int) -> list[Installed]:
    """In no order, as a parallel scanner writes them, with one package found twice."""
    mixed = list(packages)
    random.Random(build).shuffle(mixed)
    return [*mixed, mixed[0]]


def syft(packages: Sequence[Installed], keys: Sequence[str], build: int) -> bytes:
    """A syft-json document (schema 16): what Bluefin, Aurora and Bazzite attach under an SPDX media type."""
    artifacts = [_syft_rpm(package, number) for number, package in enumerate(_shuffled(packages, build))]
    for number, package in enumerate(packages[:: len(packages) // 40]):
        older = replace(package, version=f"0.{build}-1.fc43")
        artifacts.append({**_syft_rpm(older, number), "id": f"b{number}", "locations": [{"path": BASE_DATABASE}]})
    for number, key in enumerate(keys):
        version, _, release = key.rpartition("-")
        metadata: dict[str, Any] = {
            "name": "gpg-pubkey",
            "version": version,
            "release": release,
            "epoch": 0,
            "architecture": "",
        }
        artifacts.append(_artifact(f"k{number}", "gpg-pubkey", key, "rpm", "", {**metadata, "sourceRpm": ""}))
    for number, (kind, name, version, purl) in enumerate(OTHERS):
        at = version.format(n=build)
        artifacts.append(_artifact(f"o{number}", name, at, kind, f"pkg:{purl}/{name}@{at}", None))
    document = {
        "artifacts": artifacts,
        "artifactRelationships": [],
        "source": {"id": "0" * 64, "name": "bluefin", "version": "", "type": "image", "metadata": {}},
        "distro": {"name": "Fedora Linux", "id": "fedora", "versionID": "44"},
        "descriptor": {"name": "syft", "version": "1.27.1"},
        "schema": {"version": "16.0.34", "url": "https://example.org/schema-16.0.34.json"},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _syft_rpm(package: Installed, number: int) -> dict[str, Any]:
    epoch, version, release = _split(package.version)
    metadata: dict[str, Any] = {
        "name": package.name,
        "version": version,
        "epoch": epoch if epoch or number % 7 else 0,  # syft writes an explicit 0 where the database has one
        "architecture": package.arch,
        "release": release,
        "sourceRpm": f"{package.source}-{version}-{release}.src.rpm",
        "size": 1000 + number,
        "vendor": "Fedora Project",
        "files": [],
    }
    shown = f"{metadata['epoch']}:{version}-{release}" if metadata["epoch"] is not None else f"{version}-{release}"
    return _artifact(f"a{number}", package.name, shown, "rpm", _purl(package), metadata)


def _artifact(
    id: str, name: str, version: str, kind: str, purl: str, metadata: dict[str, Any] | None
) -> dict[str, Any]:
    rpm = kind == "rpm"
    return {
        "id": id,
        "name": name,
        "version": version,
        "type": kind,
        "foundBy": "rpm-db-cataloger" if rpm else f"{kind}-cataloger",
        "locations": [{"path": "/usr/share/rpm/rpmdb.sqlite" if rpm else f"/usr/lib/{id}"}],
        "licenses": [],
        "language": "",
        "cpes": [],
        "purl": purl,
        **({"metadataType": "rpm-db-entry", "metadata": metadata} if rpm else {}),
    }


def spdx(packages: Sequence[Installed], keys: Sequence[str], build: int) -> bytes:
    """An SPDX 2.3 document in JSON, as syft converts its own."""
    rows: list[dict[str, Any]] = [
        {"SPDXID": "SPDXRef-DocumentRoot", "name": "bluefin", "versionInfo": "44", "primaryPackagePurpose": "CONTAINER"}
    ]
    for number, package in enumerate(_shuffled(packages, build)):
        row = _spdx_row(f"Package-rpm-{number}", package.name, package.version, _purl(package))
        rows.append({**row, "supplier": "Organization: Fedora Project"})
    for number, key in enumerate(keys):
        rows.append(_spdx_row(f"Key-{number}", "gpg-pubkey", key, f"pkg:rpm/fedora/gpg-pubkey@{key}?distro={DISTRO}"))
    for number, (_, name, version, purl) in enumerate(OTHERS):
        at = version.format(n=build)
        rows.append(_spdx_row(f"Other-{number}", name, at, f"pkg:{purl}/{name}@{at}"))
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "bluefin",
        "documentNamespace": f"https://example.org/spdx/{build}",
        "creationInfo": {"creators": ["Tool: composed"], "created": "2026-06-23T00:00:00Z"},
        "packages": rows,
        "relationships": [],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _spdx_row(id: str, name: str, version: str, purl: str) -> dict[str, Any]:
    return {
        "SPDXID": f"SPDXRef-{id}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl},
        ],
    }


def cyclonedx(packages: Sequence[Installed], keys: Sequence[str], build: int) -> bytes:
    """A CycloneDX 1.6 document in JSON."""
    rows = [
        {"type": "library", "bom-ref": f"p{n}", "name": p.name, "version": p.version, "purl": _purl(p)}
        for n, p in enumerate(_shuffled(packages, build))
    ]
    for n, key in enumerate(keys):
        purl = f"pkg:rpm/fedora/gpg-pubkey@{key}?distro={DISTRO}"
        rows.append({"type": "library", "bom-ref": f"k{n}", "name": "gpg-pubkey", "version": key, "purl": purl})
    for n, (_, name, version, purl) in enumerate(OTHERS):
        at = version.format(n=build)
        ref = f"pkg:{purl}/{name}@{at}"
        rows.append({"type": "library", "bom-ref": f"o{n}", "name": name, "version": at, "purl": ref})
    rows.append({"type": "operating-system", "bom-ref": "os", "name": "fedora", "version": "44"})
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": "bluefin", "bom-ref": "root"}},
        "components": rows,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def rechunk(packages: Sequence[Installed], keys: Sequence[str], *, version: str, revision: str) -> str:
    """The label `dev.hhd.rechunk.info`, version 2: no epoch, no arch, and the first of several versions."""
    found: dict[str, str] = {}
    for package in packages:
        found.setdefault(package.name, package.version.rpartition(":")[2])
    for key in keys[:1]:
        found.setdefault("gpg-pubkey", key)
    layers = [[package.name] for package in packages[:3]]
    return json.dumps({"version": 2, "uniq": version, "packages": found, "layers": layers, "revision": revision})


def compressed(content: bytes) -> bytes:
    """As `zstd FILE` leaves it."""
    return zstd.compress(content)
