"""What the tags of a repository say: which are dated, what each holds, which one is a given build."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TypeAlias

from relman.errors import Malformed, NotFound
from relman.model.oci import Digest, Image, Reference, Repository
from relman.model.streams import Place, Stream, Version
from relman.registry.protocol import RegistryReader
from relman.walk.parallel import in_parallel

_Ranked: TypeAlias = tuple[int, Version]

_AT_ONCE = 8
_CLOCK_SKEW = timedelta(days=2)


class TagBook:
    """A registry's tags as one run sees them: each list and each tag is asked for once."""

    def __init__(self, reader: RegistryReader) -> None:
        self._reader = reader
        self._lists: dict[Repository, tuple[str, ...]] = {}
        self._held: dict[Reference, Digest | None] = {}
        self._dated: dict[tuple[str, Place], tuple[_Ranked, ...]] = {}
        self._lock = threading.Lock()
        self._listing: dict[Repository, threading.Lock] = {}

    def list(self, repository: Repository) -> tuple[str, ...]:
        """Every tag; empty for a repository that is not there yet."""
        with self._lock:
            turn = self._listing.setdefault(repository, threading.Lock())
        with turn:
            known = self._lists.get(repository)
            if known is None:
                try:
                    known = self._reader.tags(repository)
                except NotFound:
                    known = ()
                self._lists[repository] = known
        return known

    def holds(self, reference: Reference) -> Digest | None:
        """The digest that a tag points at, or `None` where there is no such tag."""
        with self._lock:
            if reference in self._held:
                return self._held[reference]
        found = self._reader.resolve(reference)
        return self._note(reference, found.digest if found else None)

    def fetched(self, reference: Reference) -> Digest | None:
        """The same for a tag whose image is likely to be looked at next: its manifest is asked for whole."""
        with self._lock:
            if reference in self._held:
                return self._held[reference]
        try:
            return self._note(reference, self._reader.manifest(reference).descriptor.digest)
        except NotFound:
            return self._note(reference, None)
        except Malformed:  # whoever looks at it will say so
            return self.holds(reference)

    def _note(self, reference: Reference, digest: Digest | None) -> Digest | None:
        with self._lock:
            return self._held.setdefault(reference, digest)

    def dated(self, stream: Stream, place: Place) -> tuple[Version, ...]:
        """Every build that the stream's patterns read in the variant's repository, the newest first.

        Of two tags for one (date, point), the one that the earlier pattern reads comes first.
        """
        return tuple(version for _, version in self._read(stream, place))

    def _read(self, stream: Stream, place: Place) -> tuple[_Ranked, ...]:
        """What the patterns read, the newest first, each with the number of the first pattern that reads it."""
        key = (stream.name, place)
        known = self._dated.get(key)
        if known is None:
            suffix, found = place.variant.suffix, []
            for tag in self.list(place.repository):
                for rank, pattern in enumerate(stream.versions):
                    if version := pattern.read(tag, suffix):
                        found.append((rank, version))
                        break
            found.sort(key=lambda one: (-one[1].date.toordinal(), -one[1].point, one[0], one[1].tag))
            known = self._dated[key] = tuple(found)
        return known

    def build(self, stream: Stream, place: Place, image: Image) -> Version | None:
        """The dated tag that holds ``image``: the first pattern that reads one, then the highest (date, point).

        Tags of days before the image was made cannot hold it and are not asked for; two days are allowed for clocks.
        """
        created = min((part.created for part in image.platforms if part.created), default=None)
        oldest = (created - _CLOCK_SKEW).date() if created else None
        recent = [one for one in self._read(stream, place) if oldest is None or one[1].date >= oldest]
        for number in range(len(stream.versions)):
            versions = [version for rank, version in recent if rank == number]
            found = self._first(versions, place, lambda digest: digest == image.digest, self.holds)
            if found:
                return found
        return None

    def newest_other(
        self, stream: Stream, place: Place, but: frozenset[Digest], before: Version | None
    ) -> Version | None:
        """The newest dated build whose digest is none of ``but``, older than ``before`` where that is given."""
        versions = [v for v in self.dated(stream, place) if before is None or v.order < before.order]
        fits = lambda digest: digest is not None and digest not in but  # noqa: E731  as short as it is plain
        return self._first(versions, place, fits, self.fetched)

    def _first(
        self,
        versions: Sequence[Version],
        place: Place,
        fits: Callable[[Digest | None], bool],
        ask: Callable[[Reference], Digest | None],
    ) -> Version | None:
        """The first version whose digest ``fits``. ``ask`` is how one alone is asked for."""
        left = list(versions)
        # One alone at first: it nearly always fits, and asking for eight where one will do is eight times the cost.
        unknown, asked = 1, ask
        while left:
            if (known := self._known(left[0], place)) is not None:
                if fits(known[0]):
                    return left[0]
                del left[0]
                continue
            some = left[:unknown]
            digests = in_parallel(lambda v: asked(place.repository.tag(v.tag)), some)  # noqa: B023  done before it changes
            for version, digest in zip(some, digests, strict=True):
                if fits(digest):
                    return version
            del left[: len(some)]
            unknown, asked = _AT_ONCE, self.holds
        return None

    def _known(self, version: Version, place: Place) -> tuple[Digest | None] | None:
        """What a tag was found to hold before, if anybody asked."""
        with self._lock:
            reference = place.repository.tag(version.tag)
            return (self._held[reference],) if reference in self._held else None


def pinned(tags: TagBook, streams: Iterable[Stream], place: Place, image: Image) -> bool:
    """Whether a dated tag of any of ``streams`` in this repository holds ``image``: then clean-up leaves it alone."""
    return any(tags.build(stream, place, image) is not None for stream in streams)


def unpinned(variant: str) -> str:
    """What a plan says of an image that only the stream's own tag will hold."""
    return f"no dated tag holds the image of `{variant}`: a registry's clean-up may take it once the stream moves on"
