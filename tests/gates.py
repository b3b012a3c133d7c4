"""What gates are asked about, made to order: candidates, what they follow, contents, and a context around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from msgspec.structs import replace

from relman.model.contents import EXACT, Capability, Contents, Package, PackageSet
from relman.model.diff import Change, ChangeKind, Diff, Side
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.model.release import Candidate, Predecessor, Release
from relman.model.streams import GateRule, Place, Stream, TagPattern, Variant
from relman.plugin import GatesContext
from relman.testing import MemoryRegistry

NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)
REPOSITORY = parse_repository("ghcr.io/acme/os")
AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
TESTING = Stream("testing", (TagPattern("testing"),), (TagPattern("testing-{date}"),))
STABLE = Stream("stable", (TagPattern("stable"),), (TagPattern("stable-{date}"),), "testing")

LABELS = {
    "revision": "org.opencontainers.image.revision",
    "version": "org.opencontainers.image.version",
    "base": "org.opencontainers.image.base.digest",
}


def layer(name: str, size: int) -> Descriptor:
    return Descriptor("application/vnd.oci.image.layer.v1.tar", Digest.of(name.encode()), size)


def image(
    name: str,
    platforms: Iterable[Platform] = (AMD,),
    created: datetime | None = NOON,
    layers: Mapping[str, int] | None = None,
    **labels: str | None,
) -> Image:
    """An image by its name; ``layers`` are sizes by name."""
    digest = Digest.of(name.encode())
    descriptor = Descriptor("application/json", digest, 1)
    said = {LABELS[key]: value for key, value in labels.items() if value}
    parts = tuple(layer(each, size) for each, size in (layers or {}).items())
    size = sum(one.size for one in parts) if layers is not None else 1
    images = tuple(PlatformImage(platform, descriptor, said, created, size, parts) for platform in platforms)
    return Image(REPOSITORY.digest(digest), "application/json", images)


def candidate(
    held: Image | str,
    *,
    required: tuple[Platform, ...] = (),
    follows: Predecessor | None = None,
    name: str = "os",
    traits: Iterable[str] = (),
) -> Candidate:
    held = image(held) if isinstance(held, str) else held
    place = Place(Variant(name, "os", traits=frozenset(traits)), REPOSITORY)
    return Candidate(place, held, tuple(p.platform for p in held.platforms), follows=follows, required=required)


def after(earlier: Image, *, there: bool = True, revision: str | None = None) -> Predecessor:
    """A predecessor; the registry may have lost its image."""
    why = "the last finished record"
    return Predecessor("stable-20260601", earlier.digest, earlier if there else None, why, revision)


def context(*candidates: Candidate, rules: Iterable[GateRule], stream: Stream = STABLE, **others: Any) -> GatesContext:
    release = Release("0" * 16, "X", "stable", "testing", "v", None, None, candidates)
    asked = GatesContext(release, stream, tuple(rules), (), MemoryRegistry(), (), NOON, lambda model: ())
    return replace(asked, source=TESTING if stream.source else None, **others)


def rule(type: str, **table: object) -> GateRule:
    return GateRule(type, type, table)


def contents(
    *packages: str | Package, source: str = "sbom", knows: frozenset[Capability] = EXACT, ecosystem: str = "rpm"
) -> Contents:
    """A list of `name version[ arch]`."""
    made = [one if isinstance(one, Package) else Package(ecosystem, *_package(*one.split())) for one in packages]
    return Contents(PackageSet(made), source, knows)


def _package(name: str, version: str, arch: str = "x86_64") -> tuple[str, str, str]:
    return name, arch, version


def change(kind: ChangeKind, name: str, **more: Any) -> Change:
    before = () if kind is ChangeKind.ADDED else ("6.2-1.fc44",)
    later = () if kind is ChangeKind.REMOVED else ("6.1-1.fc44",)
    return Change(kind, None, "rpm", name, "x86_64", before, later, **more)


def diff(variant: str, *changes: Change, platform: Platform = AMD, notes: tuple[str, ...] = ()) -> Diff:
    side = Side("x", None, platform, None, None, 100, "sbom")
    return Diff(variant, platform, side, side, changes, (), (), not notes, notes)


def day(text: str) -> date:
    return date.fromisoformat(text)


def utc(text: str) -> datetime:
    """`2026-07-06 12:00[:00]`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
