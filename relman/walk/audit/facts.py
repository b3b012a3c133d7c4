"""What the checks of one stream look at: its records, what was observed, and a registry that is asked once for each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from functools import cached_property
from typing import Any, TypeAlias

import msgspec

from relman.config import Config
from relman.errors import NotFound
from relman.hookspecs import Executor
from relman.model.audit import BrokenRecord, Code, Finding, Unchecked
from relman.model.gates import GateResult
from relman.model.observed import Observations
from relman.model.oci import Digest, Image, Reference, parse_repository
from relman.model.plan import Action, Plan
from relman.model.record import Record, RecordedVariant, RecordState
from relman.model.streams import Place, Stream, Version
from relman.registry.look import look_at
from relman.registry.protocol import RegistryReader
from relman.walk.parallel import in_parallel
from relman.walk.tags import TagBook

Answer: TypeAlias = Finding | Unchecked
Order: TypeAlias = tuple[date, int]

OVER = (RecordState.FINISHED, RecordState.ROLLED_BACK, RecordState.YANKED)
"""Records of releases that people saw."""

TAGS_AT_MOST = 200
"""Dated tags of one variant that are asked for, the newest first, unless all are wanted."""


class Images:
    """Images by reference, each looked at once."""

    def __init__(self, reader: RegistryReader) -> None:
        self._reader = reader
        self._known: dict[Reference, Image | NotFound] = {}
        self._lock = threading.Lock()

    def look(self, reference: Reference) -> Image | NotFound:
        """The image, or why it is not there: its manifest, one below it, or a configuration is missing."""
        with self._lock:
            known = self._known.get(reference)
        if known is None:
            try:
                known = look_at(self._reader, reference)
            except NotFound as error:
                known = error
            with self._lock:
                self._known[reference] = known
        return known

    def look_all(self, references: Iterable[Reference]) -> dict[Reference, Image | NotFound]:
        """All of them at once."""
        wanted = tuple(dict.fromkeys(references))
        return dict(zip(wanted, in_parallel(self.look, wanted), strict=True))


class Published(msgspec.Struct, frozen=True):
    """What reads back what was published: plans of records, executors, and what those look with."""

    plan_of: Callable[[Record], Plan | None]
    executor: Callable[[str], Executor[Any, Any] | None]
    reader: Callable[[Action, Executor[Any, Any]], Any]


class Facts(msgspec.Struct, frozen=True, dict=True):
    """One stream. ``records`` are the newest first; ``last`` is how many releases before the current one are asked
    after in registry and channels, `None` for all. ``closed`` says which gates keep out what waits, as far as that can
    be told without reading the images.
    """

    config: Config
    stream: Stream
    records: tuple[Record, ...]
    broken: tuple[BrokenRecord, ...]
    observed: Observations
    tags: TagBook
    images: Images
    reader: RegistryReader
    published: Published
    now: datetime
    last: int | None
    closed: Callable[[Stream], tuple[GateResult, ...]] = lambda _: ()

    @cached_property
    def over(self) -> tuple[Record, ...]:
        """Records of releases that people saw, the newest first."""
        return tuple(record for record in self.records if record.state in OVER)

    @cached_property
    def finished(self) -> tuple[Record, ...]:
        """Those of them that hold, the newest first."""
        return tuple(record for record in self.records if record.state is RecordState.FINISHED)

    @property
    def current(self) -> Record | None:
        """The last release that holds."""
        return self.finished[0] if self.finished else None

    @property
    def recent(self) -> tuple[Record, ...]:
        """The current release and as many before it as are to be looked into."""
        return self.finished if self.last is None else self.finished[: self.last + 1]

    @cached_property
    def unrecorded(self) -> str | None:
        """Why nothing can be compared with records, where there are none; `None` where there are."""
        if self.records or self.broken:
            return None
        count = len({(place.variant.name, version.order) for place in self.places for version in self.dated(place)})
        return f"`{self.stream.name}` has no record yet; its variants have {count:,} dated builds"

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Each variant's repository for this stream."""
        return tuple(self.config.place(variant, self.stream) for variant in self.config.variants)

    def primary(self, place: Place, stream: Stream | None = None) -> Reference:
        """The tag that says what the stream holds."""
        pattern = (stream or self.stream).primary
        return place.repository.tag(pattern.make(place.variant.suffix, today=self.now.date(), build=None))

    def held(self) -> Mapping[str, Digest | None]:
        """What the stream's tag holds for each variant."""
        digests = in_parallel(self.tags.holds, [self.primary(place) for place in self.places])
        return {place.variant.name: digest for place, digest in zip(self.places, digests, strict=True)}

    def order(self, version: str) -> Order | None:
        """What the version of a release is ordered by, or `None` where no pattern of the stream reads it."""
        if version not in self._orders:
            read = (self.stream.read(version, variant) for variant in self.config.variants)
            self._orders[version] = next((found.order for found in read if found), None)
        return self._orders[version]

    @cached_property
    def _orders(self) -> dict[str, Order | None]:
        """The versions that were read so far."""
        return {}

    def dated(self, place: Place) -> tuple[Version, ...]:
        """A variant's dated tags, the newest first."""
        if place not in self._dated:
            self._dated[place] = self.tags.dated(self.stream, place)
        return self._dated[place]

    @cached_property
    def _dated(self) -> dict[Place, tuple[Version, ...]]:
        """The places whose tags were listed so far."""
        return {}

    def bounded(self, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """As many of them as are asked for."""
        return versions if self.last is None else versions[:TAGS_AT_MOST]

    def left(self, place: Place, left: int) -> str:
        """That some dated tags were not asked for."""
        return (
            f"{left:,} older dated tags of `{place.variant.name}` were not asked for, after the newest {TAGS_AT_MOST}: "
            f"`--all` asks for them"
        )

    def names_its_tag(self, place: Place) -> bool:
        """Whether the version of a release is surely the variant's own dated tag of that day and number.

        A promotion writes them all. Of a stream that is built in place the first variant gives the name, and others
        may have been built on other days.
        """
        return self.stream.source is not None or place.variant == self.config.variants[0]

    def image(self, recorded: RecordedVariant) -> Reference | None:
        """Where the image of a release lies; `None` for a record without a digest."""
        return parse_repository(recorded.reference).digest(recorded.digest) if recorded.digest else None

    def digest_at(self, record: Record, place: Place) -> Digest | None:
        """What a release gave a variant in this very repository; `None` where streams lived elsewhere then."""
        variant = record.variant(place.variant.name)
        return variant.digest if variant and variant.reference == str(place.repository) else None

    def holding(self, place: Place, versions: Iterable[Version]) -> Iterator[tuple[Version, Digest]]:
        """Each of the dated tags with what it holds now; those that vanished meanwhile are left out."""
        versions = tuple(versions)
        digests = in_parallel(lambda version: self.tags.holds(place.repository.tag(version.tag)), versions)
        for version, digest in zip(versions, digests, strict=True):
            if digest is not None:
                yield version, digest

    def finding(
        self,
        code: Code,
        message: str,
        hint: str,
        *,
        variant: str | None = None,
        version: str | None = None,
        evidence: Mapping[str, object] | None = None,
    ) -> Finding:
        """A finding of this stream."""
        return Finding(code, self.stream.name, variant, version, message, hint, evidence or {})

    def unchecked(self, code: Code, reason: str, exit_code: int | None = None) -> Unchecked:
        """What of this stream nobody could know."""
        return Unchecked(code, self.stream.name, reason, exit_code)

    def variants(self, names: Iterable[str]) -> tuple[str | None, str]:
        """Several variants as a finding names them: its own field where it is one alone, and the words."""
        found = tuple(names)
        if len(found) == 1 and len(self.config.variants) > 1:
            return found[0], f"`{found[0]}`"
        if len(found) == len(self.config.variants):
            return (found[0] if len(found) == 1 else None), "every variant" if len(found) > 1 else f"`{found[0]}`"
        return None, ", ".join(f"`{name}`" for name in found[:5]) + (f" and {len(found) - 5} more" * (len(found) > 5))


def short(digest: Digest | None) -> str:
    """A digest for people."""
    return digest.short if digest else "nothing"
