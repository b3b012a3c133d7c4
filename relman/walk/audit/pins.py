"""Images that only a moving tag keeps: once it has moved on, a registry's clean-up takes them."""

from __future__ import annotations

from collections.abc import Iterator

from relman.model.audit import Code
from relman.model.oci import Digest, Image
from relman.model.streams import Place
from relman.walk.audit.facts import Answer, Facts
from relman.walk.parallel import in_parallel
from relman.walk.tags import pinned


def unpinned(facts: Facts) -> Iterator[Answer]:
    """What the stream holds now and no dated tag does, so that it cannot be gone back to for long."""
    streams = tuple(facts.config.streams.values())

    def loose(place: Place) -> Digest | None:
        digest = facts.tags.holds(facts.primary(place))
        if facts.stream.source and facts.current and digest != facts.digest_at(facts.current, place):
            return None  # what no release gave it is said elsewhere
        image = facts.images.look(place.repository.digest(digest)) if digest else None
        return digest if isinstance(image, Image) and not pinned(facts.tags, streams, place, image) else None

    every = in_parallel(loose, facts.places)
    found = {place.variant.name: digest for place, digest in zip(facts.places, every, strict=True) if digest}
    if found:
        one, words = facts.variants(found)
        yield facts.finding(
            Code.UNPINNED,
            f"what the stream holds for {words} has no dated tag: once the stream moves on, clean-up may take it",
            "give it a dated tag of its own, which nothing moves",
            variant=one,
            evidence={"holds": found},
        )
