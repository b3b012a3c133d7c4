"""Dated builds beside the records: those that nobody was told of, and those in which nothing is new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import msgspec

from relman.model.audit import Code
from relman.model.oci import Digest
from relman.model.streams import Place, Version
from relman.walk.audit.facts import Answer, Facts, Order

_NAMED = 50
_GRACE = timedelta(days=1)
"""A build of today or yesterday may still be on its way into the stream."""


class _Build(msgspec.Struct):
    """Dated tags of one (date, point) that are on no record."""

    tags: list[str] = msgspec.field(default_factory=list)
    digests: dict[str, Digest] = msgspec.field(default_factory=dict)


def unannounced(facts: Facts) -> Iterator[Answer]:
    """Builds since the first record that are on none: what users got, and were told nothing of.

    What the stream's tag holds now waits for its release, and is none of them; neither is a build of today or
    yesterday. In a stream that is promoted every dated tag is a release's: one that no record wrote is a stranger's.
    """
    versions = [record.version for record in facts.records] + [record.version for record in facts.broken]
    orders = {order for version in versions if (order := facts.order(version))}
    if not orders:
        why = facts.unrecorded or f"`{facts.stream.name}` has no record whose version can be read"
        yield facts.unchecked(Code.UNANNOUNCED, why)
        return
    builds: dict[Order, _Build] = {}
    for place in facts.places:
        since = _since(facts, place)
        if since is None:
            yield facts.unchecked(
                Code.UNANNOUNCED, f"no record of `{facts.stream.name}` has `{place.variant.name}` yet"
            )
            continue
        told = orders if facts.names_its_tag(place) else orders - _told_by_digest(facts, place)
        newer = tuple(v for v in facts.dated(place) if v.order > since and v.order not in told)
        asked = facts.bounded(newer)
        for version, digest in _unknown(facts, place, asked, max(orders)):
            build = builds.setdefault(version.order, _Build())
            build.tags.append(version.tag)
            build.digests[place.variant.name] = digest
        if left := len(newer) - len(asked):
            yield facts.unchecked(Code.UNANNOUNCED, facts.left(place, left))
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
    tags = list(dict.fromkeys(build.tags))
    evidence: dict[str, object] = {"tags": tags, "digests": dict(build.digests)}
    return facts.finding(Code.UNANNOUNCED, message, hint, variant=one, version=tags[0], evidence=evidence)


def _since(facts: Facts, place: Place) -> Order | None:
    """The first release that had the variant. Imported ones need not say which they had."""
    with_it = (r for r in facts.records if not r.variants or r.variant(place.variant.name))
    return min((order for record in with_it if (order := facts.order(record.version))), default=None)


def _told_by_digest(facts: Facts, place: Place) -> set[Order]:
    """Releases whose image of the variant is on record: its build of that day may be another one."""
    records = (record for record in facts.records if facts.digest_at(record, place))
    return {order for record in records if (order := facts.order(record.version))}


def _unknown(
    facts: Facts, place: Place, versions: tuple[Version, ...], newest: Order
) -> Iterator[tuple[Version, Digest]]:
    """Those that hold what is on no record; of several tags that hold the same image, the first alone."""
    in_place = facts.stream.source is None
    seen = {variant.digest for record in facts.records if (variant := record.variant(place.variant.name))}
    seen |= {facts.tags.holds(facts.primary(place))} if in_place else set()
    fresh = (facts.now - _GRACE).date()
    for version, digest in facts.holding(place, versions):
        on_its_way = in_place and version.order > newest and version.date >= fresh
        if digest not in seen and not on_its_way:
            yield version, digest
        seen.add(digest)


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
