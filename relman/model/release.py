"""A release: the candidates that move together, and what each follows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from relman.model.gates import GateResult, State
from relman.model.oci import Digest, Image, Platform, PlatformImage, Reference
from relman.model.streams import Place, Variant, Version


class Predecessor(msgspec.Struct, frozen=True):
    """The published release that a candidate follows.

    ``image`` is `None` where the registry no longer has it; then ``contents`` names the list kept with its record, if
    one was kept. ``why`` says how it was chosen, for people.
    """

    version: str | None
    digest: Digest | None
    image: Image | None
    why: str
    revision: str | None = None
    contents: Digest | None = None


class TagMove(msgspec.Struct, frozen=True):
    """A tag that a promotion writes, and what it held when looked at (`None`: it was not there).

    ``dated`` tags are written once, after all the others, and never moved.
    """

    reference: Reference
    before: Digest | None
    dated: bool


class Candidate(msgspec.Struct, frozen=True):
    """A variant's image that asks to enter a stream, pinned.

    ``place`` is where the stream lives, ``image.reference`` where the image was found; ``platforms`` those that are
    compared; ``build`` what its own dated tag says; ``moves`` the tags that would be written, none for a stream that
    builds write directly; ``required`` the platforms that the configuration demands.
    """

    place: Place
    image: Image
    platforms: tuple[Platform, ...]
    build: Version | None = None
    follows: Predecessor | None = None
    moves: tuple[TagMove, ...] = ()
    required: tuple[Platform, ...] = ()

    @property
    def variant(self) -> Variant:
        """The edition."""
        return self.place.variant

    @property
    def first(self) -> PlatformImage:
        """The part for the first platform that is compared, whose labels speak for the image."""
        return self.image.on(self.platforms[0]) or self.image.platforms[0]

    @property
    def revision(self) -> str | None:
        """The commit that it was built from."""
        return self.first.revision

    def gate(
        self,
        gate: str,
        state: State,
        reason: str,
        *,
        code: str = "",
        needs: str | None = None,
        at: datetime | None = None,
        evidence: Mapping[str, object] = MappingProxyType({}),
        platform: Platform | None = None,
    ) -> GateResult:
        """What the gate of that name says of this image, bound to its digest."""
        return GateResult(
            gate, self.variant.name, self.image.digest, state, reason, dict(evidence), platform, at, code, needs
        )


class Release(msgspec.Struct, frozen=True):
    """What would enter a stream together. ``previous`` and ``previous_id`` are those of the last finished record.

    ``changed`` is false where the stream holds exactly this already, as its last finished record says.
    ``assumed`` lists, for people, every choice that was made for want of better knowledge.
    """

    id: str
    project: str
    stream: str
    source: str | None
    version: str
    previous: str | None
    previous_id: str | None
    candidates: tuple[Candidate, ...]
    assumed: tuple[str, ...] = ()
    changed: bool = True

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError(f"a release of `{self.stream}` needs at least one variant")


def release_id(
    project: str,
    stream: str,
    digests: Iterable[tuple[str, Platform, Digest]],
    previous_id: str | None,
) -> str:
    """The first 16 hex digits of the SHA-256 of what makes a release this one and no other.

    That is the canonical JSON of ``[project, stream, [[variant, platform, digest], …] sorted, id of the previous
    record]``. The version is no part of it: made again tomorrow, or on another machine, it is the same release.
    """
    rows = sorted([variant, str(platform), digest] for variant, platform, digest in digests)
    text = json.dumps([project, stream, rows, previous_id], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def imported_id(project: str, stream: str, version: str) -> str:
    """The id of a release that was imported, whose digests nobody knows.

    The first 16 hex digits of the SHA-256 of the canonical JSON of ``[project, stream, version]``: the same whatever
    it was read from, and in whatever order. A list of three is never the four of `release_id`.
    """
    text = json.dumps([project, stream, version], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def release_marker(id: str) -> str:
    """What the text of a pull request has where it speaks for a release: its id, in a comment that nobody sees."""
    return f"<!-- relman:release:{id} -->"
