"""What is installed in the demo's images: a list that ships with relman, and what changed in it from build to build."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files

import msgspec

VARIANTS: Mapping[str, frozenset[str]] = {
    "bluefin": frozenset({"base", "plain"}),
    "bluefin-dx": frozenset({"dx", "plain"}),
    "bluefin-nvidia-open": frozenset({"base", "nvidia"}),
    "bluefin-dx-nvidia-open": frozenset({"dx", "nvidia"}),
}
"""The four variants and where, in the words of the data, each belongs."""


class Installed(msgspec.Struct, frozen=True):
    """A package with all its versions, each ``[epoch:]version-release``."""

    name: str
    arch: str
    source: str
    versions: tuple[str, ...]


def installed(variant: str, build: int) -> tuple[Installed, ...]:
    """Everything in one image, sorted by name; build 0 is the oldest."""
    belongs = VARIANTS[variant] | {"all"}
    packages = {row["name"]: _first(row) for row in _rows("packages.tsv") if row["where"] in belongs}
    for row in _rows("changes.tsv"):
        if int(row["build"]) <= build and row["where"] in belongs:
            versions = tuple(row["versions"].split())
            for name, arch, source in _meant(row["package"], packages):
                packages[name] = Installed(name, arch, source, versions)
    return tuple(packages[name] for name in sorted(packages) if packages[name].versions)


def kernel(variant: str, build: int) -> str:
    """The kernel that boots, as the label `ostree.linux` has it: the newest that is installed."""
    found = next(package for package in installed(variant, build) if package.name == "kernel-core")
    return f"{found.versions[-1]}.{found.arch}"


def sbom(variant: str, build: int) -> bytes:
    """The list as syft-json, which is what Universal Blue attaches to its images."""
    artifacts: list[dict[str, object]] = []
    for package in installed(variant, build):
        for version in package.versions:
            epoch, colon, rest = version.rpartition(":")
            number, _, release = rest.rpartition("-")
            metadata = {
                "name": package.name,
                "version": number,
                "epoch": int(epoch) if colon else None,
                "architecture": package.arch,
                "release": release,
                "sourceRpm": f"{package.source}-{rest}.src.rpm",
            }
            artifacts.append(
                {
                    "id": f"rpm-{len(artifacts)}",
                    "name": package.name,
                    "version": version,
                    "type": "rpm",
                    "foundBy": "rpm-db-cataloger",
                    "locations": [{"path": "/usr/share/rpm/rpmdb.sqlite"}],
                    "metadataType": "rpm-db-entry",
                    "metadata": metadata,
                }
            )
    document = {
        "artifacts": artifacts,
        "source": {"name": variant, "type": "image"},
        "distro": {"id": "fedora", "versionID": "44"},
        "schema": {"version": "16.0.34"},
    }
    return json.dumps(document, indent=1).encode()


def _first(row: Mapping[str, str]) -> Installed:
    epoch = f"{row['epoch']}:" if row["epoch"] else ""
    return Installed(row["name"], row["arch"], row["source"], (f"{epoch}{row['version-release']}",))


def _meant(package: str, packages: Mapping[str, Installed]) -> tuple[tuple[str, str, str], ...]:
    """Name, arch and source of what a change speaks of: one package, or all of a source."""
    kind, colon, source = package.partition(":")
    if colon and kind == "source":
        return tuple((p.name, p.arch, p.source) for p in packages.values() if p.source == source)
    known = packages.get(package)
    return ((package, known.arch if known else "x86_64", known.source if known else package),)


def _rows(name: str) -> Iterator[dict[str, str]]:
    text = files("relman.demo").joinpath("data", name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines(), delimiter="\t")
