"""What gates that ask others are asked about in tests: one release of one image or more, and the answers as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec.structs import replace

from relman.http import Client, Retry
from relman.model.gates import GateResult, State
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, parse_repository
from relman.model.release import Candidate, Predecessor, Release
from relman.model.streams import GateRule, Place, Stream, TagPattern, Variant
from relman.plugin import GatesContext
from relman.testing import MemoryRegistry
from relman.web import ReadingWeb

NOON = datetime(2026, 6, 24, 12, tzinfo=UTC)
REVISION = "1f" * 20
ID = "0123456789abcdef"
REPOSITORY = parse_repository("ghcr.io/acme/os")
AMD, ARM = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
BEFORE = Digest.of(b"before")


def candidate(
    name: str = "os",
    *,
    revision: str | None = REVISION,
    platforms: Sequence[Platform] = (AMD,),
    revisions: Sequence[str] = (),
) -> Candidate:
    """An image built from ``revision``; of several platforms it is an index, each with a manifest of its own."""
    told = revisions or [revision or ""] * len(platforms)
    parts = []
    for platform, one in zip(platforms, told, strict=True):
        manifest = Descriptor("application/json", Digest.of(f"{name} {platform}".encode()), 1)
        labels = {"org.opencontainers.image.revision": one} if one else {}
        parts.append(PlatformImage(platform, manifest, labels, NOON, 1))
    digest = parts[0].manifest.digest if len(parts) == 1 else Digest.of(name.encode())
    image = Image(REPOSITORY.digest(digest), "application/json", tuple(parts))
    follows = Predecessor("stable-20260601", BEFORE, None, "the last finished record")
    return Candidate(Place(Variant(name, name), REPOSITORY), image, tuple(platforms), follows=follows)


OS = candidate()


def context(
    rules: Iterable[GateRule] | GateRule,
    *candidates: Candidate,
    folder: Path = Path(),
    web: Client | None = None,
    environ: Mapping[str, str] | None = None,
    by: str = "ada",
    now: datetime = NOON,
    read: bool = True,
    repository_url: str | None = "https://github.com/acme/os",
) -> GatesContext:
    """What a gate is handed."""
    rules = (rules,) if isinstance(rules, GateRule) else tuple(rules)
    release = Release(ID, "X", "stable", "testing", "stable-20260624", None, None, candidates or (OS,))
    stream = Stream("stable", (TagPattern("stable"),), (TagPattern("stable-{date}"),))
    made = GatesContext(release, stream, rules, (), MemoryRegistry(), (), now, lambda model: ())
    return replace(
        made,
        folder=folder,
        read=read,
        web=ReadingWeb(web, environ or {}) if web else None,
        by=lambda: by,
        repository_url=repository_url,
    )


def rule(type: str, **table: object) -> GateRule:
    """The rule of that type, as it is called by itself."""
    return GateRule(type, type, table)


def answers(plugin: ModuleType, asked: GatesContext) -> list[GateResult]:
    """What a gate says."""
    found: list[GateResult] = list(plugin.relman_gates(asked))
    assert all(bool(one.needs) is not one.opens for one in found), "a refusal says what is needed"
    return found


def said(results: Iterable[GateResult]) -> list[tuple[State, str]]:
    """States and codes."""
    return [(result.state, result.code) for result in results]


def hurried(sleep: Callable[[float], None] = lambda seconds: None) -> Client:
    """A client that waits for nobody."""
    return Client(timeout=10, retry=Retry(wait_initial=0.001, wait_max=0.002, wait_jitter=0), **_clock(sleep))


def _clock(sleep: Callable[[float], None]) -> dict[str, Any]:
    import time

    skipped = [0.0]

    def skip(seconds: float) -> None:
        skipped[0] += seconds
        sleep(seconds)

    return {"clock": lambda: time.monotonic() + skipped[0], "sleep": skip}
