"""The way back: which recorded release a stream returns to, and what is noted around the tags that move.

A rollback is a release of images that were released before: planned, checked, carried out and recorded as one. What it
does beside that is a hold, before the first tag moves, and a word in the record of the release that it takes back,
after the last one has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from relman.config import Config
from relman.errors import ConfigError, Malformed, NotFound, PartlyDone, RelmanError, StalePlan, UsageError
from relman.ledger.protocol import Ledger
from relman.model.changelog import Accounting, Changelog
from relman.model.holds import Hold
from relman.model.oci import Descriptor, Digest, Image, Reference, parse_repository
from relman.model.plan import Plan
from relman.model.record import Record, RecordedVariant, RecordState, Withdrawal, called
from relman.model.release import Candidate, Predecessor, Release, TagMove
from relman.model.rollback import rollback_id
from relman.model.streams import Place, Stream, Version
from relman.registry.look import look_at
from relman.registry.protocol import RegistryReader
from relman.walk.acting import TAGS, UNFINISHED, Outcome, begun
from relman.walk.parallel import in_parallel
from relman.walk.tags import TagBook, pinned, unpinned

PlanOf = Callable[[Record], Plan | None]


def held_now(records: Sequence[Record]) -> Record | None:
    """Of a stream's records, the newest first, the one whose images its tags were given last; `None` where none was.

    Raises `PartlyDone` for a rollback that is not finished: another one on top of it would be a guess.
    """
    for record in records:
        if record.rollback and record.state in UNFINISHED and begun(record.receipts) and not _is_over(record, records):
            raise PartlyDone(
                f"a rollback of `{record.stream}` to `{record.version}` is not finished",
                hint=f"finish it: `relman resume {record.id}`",
            )
        if record.state in (RecordState.FINISHED, RecordState.PARTIAL, RecordState.YANKED):
            return record
    return None


def _is_over(record: Record, records: Sequence[Record]) -> bool:
    """Whether a rollback has only people left to tell: what it takes back is marked so after the last tag has moved."""
    gone = (RecordState.ROLLED_BACK, RecordState.YANKED)
    return any(one.id == record.rollback.of and one.state in gone for one in records) if record.rollback else True


def origin(record: Record, records: Sequence[Record]) -> Record:
    """The release whose images ``record`` gave: itself, or the one that it went back to."""
    to = record.rollback.to if record.rollback else record.id
    return next((one for one in records if one.id == to), record)


def destination(stream: Stream, records: Sequence[Record], current: Record, to: str | None) -> Record | None:
    """The release to go back to: the one called ``to``, else the finished one before the current.

    `None` where the stream was rolled back already and nobody says how much further. Raises `NotFound` where there is
    none, and what says why one cannot be gone back to.
    """
    if to is not None:
        return _called(to, stream, records)
    first = origin(current, records)
    if current.rollback and first.state is not RecordState.YANKED:
        return None
    older = records[records.index(first) + 1 :]
    found = next(
        (
            record
            for record in older
            if record.state is RecordState.FINISHED
            and not record.rollback
            and _digests(record)
            and _digests(record) != _digests(current)
        ),
        None,
    )
    if found is None:
        known = any(variant.previous_digest for variant in first.variants)
        raise NotFound(
            f"there is no finished release of `{stream.name}` with digests before `{first.version}`",
            hint=f"`relman records show {first.id}` names the digests that it replaced"
            if known
            else f"`relman records --stream {stream.name}` lists those there are",
        )
    return found


def _called(to: str, stream: Stream, records: Sequence[Record]) -> Record:
    found = called(records, to)
    if not found:
        raise NotFound(
            f"stream `{stream.name}` has no record `{to}`",
            hint=f"`relman records --stream {stream.name}` lists those there are",
        )
    record = origin(next((one for one in found if one.state is RecordState.FINISHED), found[0]), records)
    if record.state is RecordState.YANKED:
        why = f": {record.withdrawn.reason}" if record.withdrawn else ""
        raise RelmanError(f"`{record.version}` was yanked{why}", hint="go back to another release")
    if record.state not in (RecordState.FINISHED, RecordState.ROLLED_BACK):
        raise RelmanError(f"`{record.version}` is {record.state}: it never was what `{stream.name}` held")
    if not _digests(record):
        raise RelmanError(
            f"`{record.version}` was imported, and nobody knows the digests of its images",
            hint="go back to a release that relman made",
        )
    return record


def _digests(record: Record) -> dict[str, Digest] | None:
    """Each variant's digest; `None` where the record does not know one."""
    found = {variant.name: variant.digest for variant in record.variants if variant.digest}
    return found if found and len(found) == len(record.variants) else None


class WayBack(msgspec.Struct, frozen=True):
    """Makes a release of ``to``, to be promoted instead of ``current``."""

    config: Config
    reader: RegistryReader
    tags: TagBook
    plan_of: PlanOf
    now: datetime

    def release(self, stream: Stream, current: Record, to: Record) -> Release:
        """The images of ``to``, all of them there and whole, with the tags to move. Raises `NotFound`."""
        candidates = in_parallel(
            lambda place: self._candidate(stream, place, current, to),
            [self.config.place(variant, stream) for variant in self.config.variants],
        )
        planned = self._tags_of(to, stream)
        candidates = in_parallel(lambda c: self._with_moves(c, stream, planned), candidates)
        left = self.left(stream, current, candidates)
        digests = ((c.variant.name, platform, c.image.digest) for c in candidates for platform in c.platforms)
        return Release(
            id=rollback_id(self.config.project, stream.name, digests, current.id),
            project=self.config.project,
            stream=stream.name,
            source=None,  # the images are not taken from another stream's tag, so none can move away
            version=to.version,
            previous=current.version,
            previous_id=current.id,
            candidates=candidates,
            changed=_digests(to) != _digests(current)
            or any(move.before != c.image.digest for c in candidates for move in c.moves),
            assumed=(
                f"this goes back from `{current.version}` to `{to.version}`",
                *(f"`{tag}` stays where it is: `{to.version}` did not have it" for tag in left),
                *self._loose(candidates),
            ),
        )

    def _loose(self, candidates: Sequence[Candidate]) -> Iterator[str]:
        streams = tuple(self.config.streams.values())
        for one in candidates:
            if not pinned(self.tags, streams, one.place, one.image):
                yield unpinned(one.variant.name)

    def left(self, stream: Stream, current: Record, candidates: Sequence[Candidate]) -> tuple[str, ...]:
        """The moving tags of ``current`` that ``candidates`` do not get: they go on holding what is withdrawn."""
        moved = {move.reference for candidate in candidates for move in candidate.moves}
        return tuple(str(reference) for reference in self._tags_of(current, stream) if reference not in moved)

    def _candidate(self, stream: Stream, place: Place, current: Record, to: Record) -> Candidate:
        name = place.variant.name
        recorded = to.variant(name)
        if recorded is None or recorded.digest is None:
            raise NotFound(
                f"`{to.version}` has no `{name}`: a rollback moves every variant, or none",
                hint="go back to another release (`--to`), or take the variant out of the configuration",
            )
        reference = parse_repository(recorded.reference).digest(recorded.digest)
        try:
            image = look_at(self.reader, reference)
            self._require_whole(image)
        except NotFound as error:
            raise NotFound(
                f"`{name}` of `{to.version}` cannot be gone back to: {error.message}",
                hint="go back to another release: `--to`",
            ) from error
        wanted = self.config.platforms_of(place.variant)
        there = tuple(platform for platform in wanted if image.on(platform))
        platforms = there or tuple(part.platform for part in image.platforms)
        follows = self._follows(place, current, current.variant(name))
        build = self._build(stream, place, image)
        return Candidate(place, image, platforms, build, follows=follows, required=wanted)

    def _build(self, stream: Stream, place: Place, image: Image) -> Version | None:
        source = self.config.stream(stream.source) if stream.source else stream
        try:
            return self.tags.build(source, self.config.place(place.variant, source), image)
        except NotFound:
            return None

    def _require_whole(self, image: Image) -> None:
        """Every layer answers: a registry's clean-up takes them, and the tag of a hollow image still answers."""
        layers = {layer.digest: layer for part in image.platforms for layer in part.layers if layer.size}

        def there(layer: Descriptor) -> None:
            try:
                self.reader.blob_range(image.reference.repository, layer.digest, 0, 1)
            except Malformed as error:
                raise NotFound(error.message) from error

        in_parallel(there, tuple(layers.values()))

    def _follows(self, place: Place, current: Record, recorded: RecordedVariant | None) -> Predecessor | None:
        if recorded is None or recorded.digest is None:
            return None
        try:
            image = look_at(self.reader, parse_repository(recorded.reference).digest(recorded.digest))
        except NotFound:
            image = None
        return Predecessor(
            current.version, recorded.digest, image, "as given by its record", recorded.revision, recorded.contents
        )

    def _tags_of(self, record: Record, stream: Stream) -> tuple[Reference, ...]:
        """The moving tags that a release wrote, as its plan has them; none where the plan is not there any more."""
        plan = self.plan_of(record)
        return tuple(
            parse_repository(str(planned.reference.repository)).tag(tag)
            for planned in (plan.variants if plan else ())
            for variant in self.config.variants
            if variant.name == planned.name
            for tag in planned.tags
            if stream.read(tag, variant) is None
        )

    def _with_moves(self, candidate: Candidate, stream: Stream, planned: Sequence[Reference]) -> Candidate:
        """The stream's tags for a candidate. One that its build does not say is that which its release wrote."""
        repository, suffix = candidate.place.repository, candidate.variant.suffix
        made: dict[Reference, None] = {}
        for pattern in stream.tags:
            try:
                tag = pattern.make(suffix, today=self.now.date(), build=candidate.build)
            except ValueError:
                others = {c.suffix for c in self.config.variants if c.repository == candidate.variant.repository}
                mine = [
                    one for one in planned if one.repository == repository and _is_of(one.tag or "", suffix, others)
                ]
                made |= dict.fromkeys(mine)
            else:
                made[repository.tag(tag)] = None
        if not made:
            raise ConfigError(f"`{stream.name}` has no tag for `{candidate.variant.name}`")
        moves = tuple(TagMove(reference, self.tags.holds(reference), dated=False) for reference in made)
        return replace(candidate, moves=moves)


def _is_of(tag: str, suffix: str, others: set[str]) -> bool:
    """Whether a tag is the variant's with ``suffix``, of several that share a repository."""
    longest = max((one for one in others if tag.endswith(one)), key=len, default="")
    return longest == suffix


def bare_changelog(release: Release, why: str) -> Changelog:
    """The changelog of a rollback whose images could not be compared: it must not fail for want of a list."""
    return Changelog(
        project=release.project,
        stream=release.stream,
        version=release.version,
        previous=release.previous,
        title=f"{release.version}: {release.project} {release.stream}",
        variants=(),
        majors=(),
        groups=(),
        commits=(),
        security=None,
        sections=(),
        keys_added=(),
        keys_removed=(),
        accounting=Accounting(0, 0, 0, 0, 0, 0),
        notes=(*(f"{text[:1].upper()}{text[1:]}." for text in release.assumed), f"Nothing was compared: {why}."),
    )


def require_promoting(stream: Stream, current: Record | None) -> Record:
    """What the stream holds. Raises for a stream that relman gives nothing: then there is nothing to take back."""
    if stream.source is None:
        raise UsageError(
            f"stream `{stream.name}` is built in place: its builds write `{stream.primary.text}`, and would move it "
            "forward again",
            hint="stop that job, or let it build from an earlier commit; `relman yank` says in the notes what is wrong",
        )
    if current is None:
        raise NotFound(f"`{stream.name}` was never released by relman: there is nothing to go back from")
    return current


# ------------------------------------------------------------------------------------------------ carrying it out


def check_target(plan: Plan, records: Sequence[Record]) -> None:
    """Raise `StalePlan` where the release to go back to was yanked after the plan was made."""
    assert plan.rollback
    to = next((record for record in records if record.id == plan.rollback.to), None)
    if to is not None and to.state is RecordState.YANKED:
        raise StalePlan(
            f"`{to.version}` was yanked since the plan was made",
            hint=f"make a new plan: `relman rollback {plan.stream}`",
        )


def hold_of(plan: Plan) -> Hold:
    """The hold that a rollback sets, so that the next promotion does not undo it."""
    assert plan.rollback
    said = f": {plan.rollback.reason}" if plan.rollback.reason else ""
    reason = f"rolled back from {plan.previous} to {plan.version}{said}"
    return Hold(plan.stream, None, reason, plan.rollback.by, plan.created)


def hold_stream(plan: Plan, ledger: Ledger) -> None:
    """Hold the stream before its first tag moves. A hold of all of it that a person set stays as it is."""
    if not any(hold.stream == plan.stream and hold.variant is None for hold in ledger.holds()):
        ledger.hold(hold_of(plan))


def let_go(plan: Plan, ledger: Ledger) -> None:
    """Lift the hold of a rollback that came to nothing, where it is the only one."""
    if tuple(hold for hold in ledger.holds() if hold.stream == plan.stream) == (hold_of(plan),):
        ledger.unhold(plan.stream)


def conclude(plan: Plan, outcome: Outcome, ledger: Ledger, *, host: str, now: datetime) -> None:
    """After the tags: note what was taken back; where nothing was, let go of the stream.

    An announcement that failed, or of which nobody knows, changes nothing in what the stream holds.
    """
    settled = {receipt.key for receipt in outcome.receipts if receipt.settled}
    if settled.issuperset(action.key for action in plan.actions if action.stage in TAGS):
        take_back(plan, ledger, host=host, now=now)
    elif outcome.state is RecordState.INTENDED or outcome.restored:
        let_go(plan, ledger)


def take_back(plan: Plan, ledger: Ledger, *, host: str, now: datetime) -> None:
    """Note in the record of the release that was taken back that it was. Done again it changes nothing."""
    assert plan.rollback
    records = ledger.records(plan.stream)
    current = next((record for record in records if record.id == plan.rollback.of), None)
    if current is None:
        return
    said = f": {plan.rollback.reason}" if plan.rollback.reason else ""
    why = Withdrawal(f"rolled back to {plan.version}{said}", plan.rollback.by, now)
    first, to = origin(current, records), next((one for one in records if one.id == plan.rollback.to), None)
    ledger.withdraw(current, RecordState.ROLLED_BACK, why, host=host, now=now)
    if first is not current and to is not None and records.index(to) > records.index(first):
        ledger.withdraw(first, RecordState.ROLLED_BACK, why, host=host, now=now)
