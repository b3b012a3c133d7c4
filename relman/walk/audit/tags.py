"""What tags tell beside the records: builds that nobody announced, dated tags that moved, tags that others moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from relman.model.audit import Code
from relman.model.oci import Digest
from relman.model.record import Record
from relman.model.streams import Place, Version
from relman.walk.acting import UNFINISHED
from relman.walk.audit.facts import TAGS_AT_MOST, Answer, Facts, Order, short

_NAMED = 50
_GRACE = timedelta(days=1)
"""A build of today or yesterday may still be on its way into the stream."""


@dataclass(slots=True)
class _Build:
    """Dated tags of one (date, point) that are on no record."""

    tags: list[str] = field(default_factory=list)
    digests: dict[str, Digest] = field(default_factory=dict)


def unannounced(facts: Facts) -> Iterator[Answer]:
    """Builds since the first record that are on none: what users got, and were told nothing of.

    What the stream's tag holds now waits for its release, and is none of them; neither is a build of today or
    yesterday. In a stream that is promoted every dated tag is a release's: one that no record wrote is a stranger's.
    """
    orders = _orders_on_record(facts)
    if not orders:
        why = facts.unrecorded or f"`{facts.stream.name}` has no record whose version can be read"
        yield facts.unchecked(Code.UNANNOUNCED, why)
        return
    builds: dict[Order, _Build] = {}
    for place in facts.places:
        newer = tuple(v for v in facts.dated(place) if v.order > min(orders))
        asked = facts.bounded(tuple(v for v in newer if v.order not in orders))
        for version, digest in _unknown(facts, place, asked, orders):
            build = builds.setdefault(version.order, _Build())
            build.tags += [version.tag] if version.tag not in build.tags else []
            build.digests[place.variant.name] = digest
        if left := len([v for v in newer if v.order not in orders]) - len(asked):
            yield facts.unchecked(Code.UNANNOUNCED, _left(place, left))
    for order in sorted(builds, reverse=True)[:_NAMED]:
        yield _unannounced(facts, builds[order])
    if len(builds) > _NAMED:
        yield facts.finding(
            Code.UNANNOUNCED,
            f"{len(builds) - _NAMED:,} older builds are on no record either",
            "`relman tags` lists them",
            evidence={"builds": len(builds), "named": _NAMED},
        )


def _unannounced(facts: Facts, build: _Build) -> Answer:
    one, words = facts.variants(build.digests)
    if facts.stream.source:
        message = f"no record wrote the dated tag `{build.tags[0]}` of {words}"
        hint = "find out who wrote it: dated tags of this stream are relman's to write"
    else:
        message = f"the build `{build.tags[0]}` of {words} is on no record: nobody was told of it"
        hint = f"`relman changelog --stream {facts.stream.name} --to {build.tags[0]}` writes its notes"
    evidence: dict[str, object] = {"tags": build.tags[:10], "digests": dict(build.digests)}
    return facts.finding(Code.UNANNOUNCED, message, hint, variant=one, version=build.tags[0], evidence=evidence)


def _orders_on_record(facts: Facts) -> set[Order]:
    versions = [record.version for record in facts.records] + [record.version for record in facts.broken]
    return {order for version in versions if (order := facts.order(version))}


def _unknown(
    facts: Facts, place: Place, versions: Iterable[Version], orders: set[Order]
) -> Iterator[tuple[Version, Digest]]:
    """Those that hold what is on no record; of several tags that hold the same image, the first alone."""
    name = place.variant.name
    recorded = {variant.digest for record in facts.records if (variant := record.variant(name))}
    waiting = None if facts.stream.source else facts.tags.holds(facts.primary(place))
    newest = max(orders)
    fresh = (facts.now - _GRACE).date()
    seen = set(recorded)
    for version, digest in facts.holding(place, versions):
        on_its_way = not facts.stream.source and version.order > newest and version.date >= fresh
        if digest not in seen and digest != waiting and not on_its_way:
            yield version, digest
        seen.add(digest)


def moved_tag(facts: Facts) -> Iterator[Answer]:
    """Dated tags that hold something else than their record says, or than they held when they were first seen."""
    for place in facts.places:
        wanted = {**_observed(facts, place), **_recorded(facts, place)}
        there = {version.tag: version for version in facts.dated(place)}
        ranked = tuple(version for tag, version in there.items() if tag in wanted)
        asked = facts.bounded(ranked)
        for version, digest in facts.holding(place, asked):
            expected, evidence = wanted[version.tag]
            if digest != expected:
                yield facts.finding(
                    Code.MOVED_TAG,
                    f"`{place.repository}:{version.tag}` is dated, held {short(expected)}, and holds {short(digest)}",
                    "whoever pinned it gets another build: find out who moved it, and put it back",
                    variant=place.variant.name,
                    version=version.tag,
                    evidence={**evidence, "expected": expected, "holds": digest},
                )
        if left := len(ranked) - len(asked):
            yield facts.unchecked(Code.MOVED_TAG, _left(place, left))
        yield from _missing(facts, place, frozenset(there))


def _observed(facts: Facts, place: Place) -> dict[str, tuple[Digest, dict[str, object]]]:
    """What each dated tag held when it was first seen."""
    found: dict[str, tuple[Digest, dict[str, object]]] = {}
    for history in facts.observed.dated(facts.stream.name, place.variant.name):
        first = next((entry for entry in history if entry.digest), None)
        if first and first.digest:
            found[first.tag] = (first.digest, {"observed": f"{first.at:%Y-%m-%dT%H:%M:%SZ}"})
    return found


def _recorded(facts: Facts, place: Place) -> dict[str, tuple[Digest, dict[str, object]]]:
    """What the dated tags of the last releases were given, the oldest first."""
    found: dict[str, tuple[Digest, dict[str, object]]] = {}
    for record in reversed(facts.recent):
        digest = facts.digest_at(record, place)
        for version in facts.dated(place) if digest else ():
            if digest and _is_tag_of(facts, record, version, place):
                found[version.tag] = (digest, {"record": record.id})
    return found


def _is_tag_of(facts: Facts, record: Record, version: Version, place: Place) -> bool:
    """Whether the release wrote this tag, or was named by it.

    A promotion writes all of a day and number. Of a stream that is built in place only the tag that names the release
    is surely its own: other variants may have been built on other days.
    """
    if not facts.stream.source:
        return version.tag == record.version and place.variant == facts.config.variants[0]
    made = any(pattern.read(version.tag, place.variant.suffix) for pattern in facts.stream.new_versions)
    return made and version.order == facts.order(record.version)


def _missing(facts: Facts, place: Place, there: frozenset[str]) -> Iterator[Answer]:
    """Releases whose image is there, and whose dated tag is not."""
    if not facts.stream.source and place.variant != facts.config.variants[0]:
        return
    orders = {v.order for tag in there if (v := facts.stream.read(tag, place.variant))}
    for record in facts.recent:
        digest = facts.digest_at(record, place)
        if digest is None or facts.order(record.version) in orders | {None}:
            continue
        if facts.reader.resolve(place.repository.digest(digest)):
            yield facts.finding(
                Code.MOVED_TAG,
                f"`{place.repository}` has no dated tag of `{record.version}` any more; its image is still there",
                "let the tag point at that digest again",
                variant=place.variant.name,
                version=record.version,
                evidence={"record": record.id, "expected": digest, "holds": None},
            )


def foreign_move(facts: Facts) -> Iterator[Answer]:
    """A tag of a promoted stream that holds what the last release did not give it."""
    if facts.stream.source is None:
        return
    current = facts.current
    if current is None:
        why = facts.unrecorded or f"`{facts.stream.name}` has no finished record"
        yield facts.unchecked(Code.FOREIGN_MOVE, why)
        return
    open_ends = [record for record in facts.records if record.state in UNFINISHED]
    for place in facts.places:
        variant = current.variant(place.variant.name)
        if variant is None or variant.digest is None:
            yield facts.unchecked(
                Code.FOREIGN_MOVE, f"`{current.version}` has no digest for `{place.variant.name}` on record"
            )
            continue
        allowed = {variant.digest}
        for record in open_ends:
            if pending := record.variant(place.variant.name):
                allowed |= {digest for digest in (pending.digest, pending.previous_digest) if digest}
        for pattern in facts.stream.tags:
            if "major" in pattern.placeholders:
                continue
            tag = pattern.make(place.variant.suffix, today=facts.now.date(), build=None)
            held = facts.tags.holds(place.repository.tag(tag))
            if held not in allowed:
                yield facts.finding(
                    Code.FOREIGN_MOVE,
                    f"`{place.repository}:{tag}` holds {short(held)}{_known(facts, place, held)}, and the last "
                    f"release, `{current.version}`, gave it {variant.digest.short}",
                    f"`relman plan {facts.stream.name}` puts a tested build there",
                    variant=place.variant.name,
                    version=current.version,
                    evidence={"record": current.id, "tag": tag, "expected": variant.digest, "holds": held},
                )


def _known(facts: Facts, place: Place, held: Digest | None) -> str:
    """Which release an image is of, in words."""
    for record in facts.records:
        if held and (variant := record.variant(place.variant.name)) and variant.digest == held:
            return f" (`{record.version}`)"
    return ""


def same_tagged_build(facts: Facts) -> Iterator[Answer]:
    """Dated tags newer than the last release that hold its image: builds in which nothing is new."""
    current = facts.current
    newest = facts.order(current.version) if current else None
    if current is None or newest is None:
        return
    found: dict[Order, tuple[str, dict[str, Digest]]] = {}
    for place in facts.places:
        variant = current.variant(place.variant.name)
        if variant is None or variant.digest is None:
            continue
        newer = tuple(version for version in facts.dated(place) if version.order > newest)
        for version, digest in facts.holding(place, facts.bounded(newer)):
            if digest == variant.digest:
                found.setdefault(version.order, (version.tag, {}))[1][place.variant.name] = digest
    for order in sorted(found, reverse=True)[:_NAMED]:
        tag, digests = found[order]
        one, words = facts.variants(digests)
        yield facts.finding(
            Code.SAME_BUILD,
            f"the build `{tag}` of {words} is the image of the last release, `{current.version}`",
            "see whether the build did what it should",
            variant=one,
            version=tag,
            evidence={"record": current.id, "digests": digests},
        )


def _left(place: Place, left: int) -> str:
    return (
        f"{left:,} older dated tags of `{place.variant.name}` were not asked for, after the newest {TAGS_AT_MOST}: "
        f"`--all` asks for them"
    )
