"""Tags that hold something else than relman gave them: dated ones that moved, and those of promoted streams."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.audit import Code
from relman.model.oci import Digest
from relman.model.record import RecordState
from relman.model.streams import Place
from relman.walk.acting import UNFINISHED
from relman.walk.audit.facts import Answer, Facts, short


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
            yield facts.unchecked(Code.MOVED_TAG, facts.left(place, left))
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
    """What the dated tags of the last releases were given: those that a promotion wrote, or that name the release."""
    if not facts.names_its_tag(place):
        return {}
    by_name: dict[object, tuple[Digest, dict[str, object]]] = {}
    for record in reversed(facts.recent):
        if digest := facts.digest_at(record, place):
            name = facts.order(record.version) if facts.stream.source else record.version
            by_name[name] = (digest, {"record": record.id})
    if not facts.stream.source:
        return {v.tag: by_name[v.tag] for v in facts.dated(place) if v.tag in by_name}
    return {
        v.tag: by_name[v.order]
        for v in facts.dated(place)
        if v.order in by_name and any(made.read(v.tag, place.variant.suffix) for made in facts.stream.new_versions)
    }


def _missing(facts: Facts, place: Place, there: frozenset[str]) -> Iterator[Answer]:
    """Releases whose image is there, and whose dated tag is not."""
    if not facts.names_its_tag(place):
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
    # A yanked release stays in the stream until somebody rolls it back: nobody else moved its tags.
    newer = facts.records[: facts.records.index(current)]
    open_ends += [record for record in newer if record.state is RecordState.YANKED]
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
