"""resolve: a stream becomes a release, every candidate pinned and its predecessor chosen. Never a guess.

The rules are the contract's ("Releases"): records first, then dated tags, and every choice made for want of a record
is written down in ``assumed``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from relman.errors import ConfigError, NotFound, RelmanError
from relman.model.oci import Digest, Image, Platform, PlatformImage, Reference
from relman.model.record import Record, RecordedVariant, RecordState, called
from relman.model.release import Candidate, Predecessor, Release, release_id
from relman.model.streams import Place, Stream, Variant, Version
from relman.registry.protocol import RegistryReader
from relman.walk.moves import Moves
from relman.walk.parallel import both, in_parallel
from relman.walk.predecessors import LookAt, Predecessors
from relman.walk.tags import TagBook, pinned, unpinned

if TYPE_CHECKING:
    from relman.config import Config
    from relman.model.plan import Plan, PlannedVariant
    from relman.model.state import VariantState

log = logging.getLogger(__name__)


class Resolver(msgspec.Struct, frozen=True):
    """Everything that choosing the images of a release needs. It reads, and writes nothing.

    ``reader`` asks once for what it is asked twice in this run, ``past`` is for what was released before, and ``live``
    asks each time. ``chosen`` is told each image that will be compared, as soon as it is known.
    """

    config: Config
    reader: RegistryReader
    past: RegistryReader
    live: RegistryReader
    tags: TagBook
    look_at: LookAt
    records: tuple[Record, ...]
    now: datetime
    chosen: Callable[[Reference, PlatformImage], object] = lambda _reference, _image: None

    def release(self, stream: Stream, *, since: str | None = None) -> Release:
        """The release that ``stream`` would make now; ``since`` names another predecessor than the rule's.

        Raises `NotFound` for a candidate that is not there.
        """
        last = self.last_finished(stream.name)
        candidates = self._candidates(stream, last, since)
        id = release_id(
            self.config.project,
            stream.name,
            ((c.variant.name, platform, c.image.digest) for c in candidates for platform in c.platforms),
            last.id if last else None,
        )
        changed = last is None or not holds_exactly(last, candidates) or self._moved_away(stream, candidates)
        if last and not changed:
            version = last.version  # nothing would move, so nothing is made
        elif stream.source:
            candidates = Moves(self.tags, self.records, self.now.date()).with_moves(candidates, stream, id)
            version = next(move.reference.tag or "" for move in candidates[0].moves if move.dated)
        else:
            version = self._own_version(candidates[0], stream)
        first = candidates[0].follows
        return Release(
            id=id,
            project=self.config.project,
            stream=stream.name,
            source=stream.source,
            version=version,
            previous=first.version if first else None,
            previous_id=last.id if last else None,
            candidates=candidates,
            changed=changed,
            assumed=(*_assumptions(candidates, last, stream), *(self._loose(candidates) if changed else ())),
        )

    def _following(self, candidate: Candidate, stream: Stream, last: Record | None, since: str | None) -> Candidate:
        follows = self._predecessors.of(candidate, stream, last, since)
        if follows and follows.image and follows.image.digest != candidate.image.digest:
            self._tell(follows.image, candidate.platforms)
        return replace(candidate, follows=follows)

    def _tell(self, image: Image, platforms: Sequence[Platform]) -> None:
        for platform in platforms:
            if part := image.on(platform):
                self.chosen(image.reference, part)

    def _moved_away(self, stream: Stream, candidates: Sequence[Candidate]) -> bool:
        """Whether somebody took a promoting stream's first tag away from the images that it was given."""
        if stream.source is None:
            return False
        today = self.now.date()
        tags = [
            c.place.repository.tag(stream.primary.make(c.variant.suffix, today=today, build=None)) for c in candidates
        ]
        held = in_parallel(self.tags.holds, tags)
        return any(digest != c.image.digest for digest, c in zip(held, candidates, strict=True))

    def published(self, stream: Stream, version: str, *, since: str | None = None) -> Release:
        """A release that ``stream`` had: by its record, else by its dated tags. Raises `NotFound`."""
        record = next(iter(called((r for r in self.records if r.stream == stream.name), version)), None)
        earlier = self._predecessors.release_before(record) if record else None

        def find(variant: Variant) -> Candidate | None:
            place = self.config.place(variant, stream)
            recorded = record.variant(variant.name) if record else None
            if record and recorded is None:
                return None  # the variant did not exist yet
            digest = recorded.digest if recorded else None
            tag = self._predecessors.tag_of(version, stream, place)
            if digest is None and tag is None:
                raise NotFound(
                    f"stream `{stream.name}` has no release `{version}`: neither a record nor a dated tag of "
                    f"`{place.repository}`",
                    hint="`relman records` lists those it knows",
                )
            reference = place.repository.digest(digest) if digest else place.repository.tag(tag.tag if tag else "")
            image = self.look_at(self.reader, reference)
            candidate = self._candidate_of(variant, stream, image, tag)
            return replace(candidate, follows=self._predecessors.of(candidate, stream, earlier, since, before=tag))

        candidates = tuple(found for found in in_parallel(find, self._variants()) if found)
        if not candidates:
            raise NotFound(f"none of the variants of `{version}` is configured any more")
        first = candidates[0].follows
        digests = ((c.variant.name, platform, c.image.digest) for c in candidates for platform in c.platforms)
        previous_id = earlier.id if earlier else None
        return Release(
            id=record.id if record else release_id(self.config.project, stream.name, digests, previous_id),
            project=self.config.project,
            stream=stream.name,
            source=stream.source,
            version=record.version if record else version,
            previous=first.version if first else None,
            previous_id=previous_id,
            candidates=candidates,
            assumed=_assumptions(candidates, earlier, stream),
        )

    def pinned(self, plan: Plan) -> Release:
        """The release of a plan again, from the digests that it pins: nothing is chosen anew."""
        stream = self.config.stream(plan.stream)
        by_name = {variant.name: variant for variant in self._variants()}

        def find(planned: PlannedVariant) -> Candidate:
            image = self.look_at(self.live, planned.source or planned.reference)
            candidate = self._candidate_of(by_name[planned.name], stream, image, None)
            if planned.previous_digest is None:
                return candidate
            try:
                earlier = self.look_at(self.past, planned.reference.repository.digest(planned.previous_digest))
            except NotFound:
                earlier = None
            recorded = self._recorded_with(stream, planned)
            follows = Predecessor(plan.previous, planned.previous_digest, earlier, "as planned")
            if recorded:
                follows = replace(follows, revision=recorded.revision, contents=recorded.contents)
            return replace(candidate, follows=follows)

        return Release(
            id=plan.id,
            project=plan.project,
            stream=plan.stream,
            source=stream.source,
            version=plan.version,
            previous=plan.previous,
            previous_id=plan.previous_id,
            candidates=in_parallel(find, plan.variants),
            assumed=plan.assumed,
        )

    def _recorded_with(self, stream: Stream, planned: PlannedVariant) -> RecordedVariant | None:
        variants = (r.variant(planned.name) for r in self.records if r.stream == stream.name)
        return next((v for v in variants if v and v.digest == planned.previous_digest), None)

    @property
    def _predecessors(self) -> Predecessors:
        return Predecessors(self.config, self.past, self.tags, self.look_at, self.records)

    def last_finished(self, stream: str) -> Record | None:
        """The stream's last finished record, or `None`."""
        return next((r for r in self.records if r.stream == stream and r.state is RecordState.FINISHED), None)

    def held(self, stream: Stream, release: Release | None, released: Record | None) -> tuple[VariantState, ...]:
        """What the stream's primary tag holds for each variant, beside what ``release`` would give it."""

        from relman.model.state import VariantState  # `relman status` alone has use for it

        def one(variant: Variant) -> VariantState:
            place = self.config.place(variant, stream)
            tag = stream.primary.make(variant.suffix, today=self.now.date(), build=None)
            try:
                image = self.look_at(self.reader, place.repository.tag(tag))
            except NotFound:
                image = None
            candidate = next((c for c in release.candidates if c.variant == variant), None) if release else None
            dated = self.tags.build(stream, place, image) if image else None
            recorded = released.variant(variant.name) if released else None
            # A stream that builds write directly holds its candidate already: what waits, if ever, is its release.
            known = recorded.digest if stream.source is None and recorded else image and image.digest
            waits = candidate if candidate and candidate.image.digest != known else None
            return VariantState(
                name=variant.name,
                holds=image.digest if image else None,
                version=dated.tag if dated else image.platforms[0].version if image else None,
                created=image.platforms[0].created if image else None,
                waits=waits.image.digest if waits else None,
                waiting_version=waits.build.tag if waits and waits.build else None,
                pinned=self._is_pinned(place, image, dated) if image else None,
            )

        return in_parallel(one, self._variants())

    def _loose(self, candidates: Sequence[Candidate]) -> Iterator[str]:
        """Of a stream that is built in place; a promotion gives each image a dated tag."""
        streams = tuple(self.config.streams.values())
        for one in candidates:
            if not (
                one.build or any(move.dated for move in one.moves) or pinned(self.tags, streams, one.place, one.image)
            ):
                yield unpinned(one.variant.name)

    def _is_pinned(self, place: Place, image: Image, dated: Version | None) -> bool:
        return dated is not None or pinned(self.tags, self.config.streams.values(), place, image)

    # ------------------------------------------------------------------------------------------ candidates

    def _variants(self) -> tuple[Variant, ...]:
        if not self.config.variants:
            raise ConfigError(f"{self.config.where} has no [[variants]]: which images make up a release?")
        return self.config.variants

    def _candidates(self, stream: Stream, last: Record | None, since: str | None) -> tuple[Candidate, ...]:
        """Each variant's candidate with what it follows. No variant waits for another, but for what a record tells."""
        source = self.config.stream(stream.source) if stream.source else stream
        variants = self._variants()
        recorded: tuple[Version | None, ...] | None = None
        images: Sequence[Image | None] = [None] * len(variants)
        if last is not None and stream.source is None:
            looked = in_parallel(lambda variant: self._image(variant, source), variants)
            images, recorded = looked, self._recorded_builds(stream, looked, last)

        def candidate(number: int) -> Candidate:
            variant = variants[number]
            image = images[number] or self._looked_at(variant, stream, source, last, since)
            home = self.config.place(variant, source)
            build = recorded[number] if recorded else self.tags.build(source, home, image)
            return self._following(self._candidate_of(variant, stream, image, build), stream, last, since)

        return in_parallel(candidate, range(len(variants)))

    def _looked_at(
        self, variant: Variant, stream: Stream, source: Stream, last: Record | None, since: str | None
    ) -> Image:
        """The candidate's image; meanwhile, where nothing says so, what it follows is looked for."""
        look = partial(self._image, variant, source)
        if last is not None or since is not None:
            return look()
        image, _ = both(look, partial(self._look_ahead, variant, stream, source))
        return image

    def _look_ahead(self, variant: Variant, stream: Stream, source: Stream) -> None:
        """Ask, while the candidate is looked at, for what is wanted next if all is as it mostly is.

        Without a record, that is whether the newest dated tag holds the candidate, and the image under the one before.
        What was asked for in vain is a few requests; whatever fails is asked for again by whoever needs it.
        """
        home, place = self.config.place(variant, source), self.config.place(variant, stream)
        try:
            newest = [home.repository.tag(version.tag) for version in self.tags.dated(source, home)[:1]]
            follows = self.tags.dated(stream, place)[1 if stream is source else 0 :][:1]
            earlier = [place.repository.tag(version.tag) for version in follows]
            asks = [partial(self.tags.holds, tag) for tag in newest] + [partial(self._warm, tag) for tag in earlier]
            in_parallel(lambda ask: ask(), asks)
        except RelmanError as error:
            log.debug("looked ahead in vain: %s", error.message)

    def _warm(self, reference: Reference) -> None:
        digest = self.tags.fetched(reference)
        if digest is not None:
            self.look_at(self.past, reference.at(digest))

    def _recorded_builds(
        self, stream: Stream, images: Sequence[Image], last: Record | None
    ) -> tuple[Version | None, ...] | None:
        """The builds without asking for tags, where a stream that builds write directly holds what its record says.

        Its version is the first variant's dated tag; nobody asks for those of the others then.
        """
        if last is None or stream.source is not None:
            return None
        own = stream.read(last.version, self.config.variants[0])
        held = {variant.name: image.digest for variant, image in zip(self._variants(), images, strict=True)}
        if own is None or held != {variant.name: variant.digest for variant in last.variants}:
            return None
        return (own, *[None] * (len(images) - 1))

    def _image(self, variant: Variant, source: Stream) -> Image:
        home = self.config.place(variant, source)
        tag = source.primary.make(variant.suffix, today=self.now.date(), build=None)
        try:
            image = self.look_at(self.reader, home.repository.tag(tag))
        except NotFound as error:
            raise NotFound(
                f"variant `{variant.name}` has no candidate: {error.message}",
                hint=f"stream `{source.name}` is read from the tag `{tag}` of every variant's repository",
            ) from error
        self._tell(image, self._platforms(variant, image))
        return image

    def _candidate_of(self, variant: Variant, stream: Stream, image: Image, build: Version | None) -> Candidate:
        """The platforms that are compared are those that the configuration demands and the image has, else the image's.

        One that is demanded and missing is for the gate `complete` to say.
        """
        required = self.config.platforms_of(variant)
        return Candidate(
            self.config.place(variant, stream), image, self._platforms(variant, image), build, required=required
        )

    def _platforms(self, variant: Variant, image: Image) -> tuple[Platform, ...]:
        there = tuple(platform for platform in self.config.platforms_of(variant) if image.on(platform))
        return there or tuple(part.platform for part in image.platforms)

    def _own_version(self, candidate: Candidate, stream: Stream) -> str:
        if candidate.build is None:
            patterns = ", ".join(f"`{pattern.text}`" for pattern in stream.versions)
            raise NotFound(
                f"no dated tag of `{candidate.place.repository}` holds {candidate.image.digest.short}, which "
                f"`{candidate.image.reference.tag}` points at: its version is unknown",
                hint=f"dated tags are read by {patterns} ([streams.{stream.name}] versions)",
            )
        return candidate.build.tag


def holds_exactly(record: Record, candidates: Sequence[Candidate]) -> bool:
    """Whether ``record`` released exactly these images: then there is nothing to do.

    An imported record has no digests: what the dated tags of its version hold, which the candidates follow, stands
    for them.
    """
    follows = {candidate.variant.name: candidate.follows for candidate in candidates}
    held: dict[str, Digest | None] = {}
    for variant in record.variants:
        stands = follows.get(variant.name) if record.imported else None
        held[variant.name] = stands.digest if stands else variant.digest
    return held == {candidate.variant.name: candidate.image.digest for candidate in candidates}


def _assumptions(candidates: Sequence[Candidate], last: Record | None, stream: Stream) -> tuple[str, ...]:
    """Every choice that was made for want of better knowledge, in sentences."""
    reasons = dict.fromkeys(c.follows.why for c in candidates if c.follows)
    said = [why for why in reasons if not why.startswith(("the last finished", "given by"))]
    first = candidates[0]
    for other in candidates[1:]:
        if first.build and other.build and first.build.order != other.build.order:
            said.append(
                f"`{other.variant.name}` is the build `{other.build.tag}`, while `{first.variant.name}` is "
                f"`{first.build.tag}`"
            )
        mine, theirs = first.follows, other.follows
        if last is None and mine and theirs and _day_of(stream, first, mine) != _day_of(stream, other, theirs):
            said.append(f"`{other.variant.name}` follows `{theirs.version}`, not `{mine.version}`")
    return tuple(said)


def _day_of(stream: Stream, candidate: Candidate, follows: Predecessor) -> object:
    read = stream.read(follows.version or "", candidate.variant)
    return read.order if read else follows.version
