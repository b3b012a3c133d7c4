"""What the images of releases tell: those that are gone, those made before what they follow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

from relman.errors import NotFound
from relman.model.audit import Code
from relman.model.oci import Digest, Image
from relman.model.record import Record
from relman.walk.audit.facts import Answer, Facts


def image_gone(facts: Facts) -> Iterator[Answer]:
    """Releases whose image the registry no longer has whole: who pinned or goes back to it gets an error."""
    wanted = [
        (record, variant.name, reference)
        for record in facts.recent
        for variant in record.variants
        if (reference := facts.image(variant))
    ]
    if not wanted:
        why = facts.unrecorded or f"`{facts.stream.name}` has no finished record with digests"
        yield facts.unchecked(Code.IMAGE_GONE, why)
    found = facts.images.look_all(reference for _, _, reference in wanted)
    for record in facts.recent:
        missing = {name: ref for of, name, ref in wanted if of is record and isinstance(found[ref], NotFound)}
        if missing:
            one, words = facts.variants(missing)
            first = found[next(iter(missing.values()))]
            assert isinstance(first, NotFound)
            yield facts.finding(
                Code.IMAGE_GONE,
                f"the image of `{record.version}` for {words} is not whole any more: {first.message}",
                "keep what was released from being cleaned up: pin it by a dated tag",
                variant=one,
                version=record.version,
                evidence={"record": record.id, "images": {name: str(ref) for name, ref in missing.items()}},
            )
    if left := len(facts.finished) - len(facts.recent):
        yield facts.unchecked(
            Code.IMAGE_GONE,
            f"the images and texts of {left:,} older releases were not asked for: `--all` asks for them",
        )


def made_before(facts: Facts) -> Iterator[Answer]:
    """Releases whose image was made before that of the release before, and a stream that went back since."""
    for record, before in pairwise(facts.recent):
        back: dict[str, tuple[datetime, datetime]] = {}
        for variant in record.variants:
            mine, theirs = _made(facts, record, variant.name), _made(facts, before, variant.name)
            if mine and theirs and mine < theirs:
                back[variant.name] = (mine, theirs)
        if back:
            one, words = facts.variants(back)
            mine, theirs = next(iter(back.values()))
            yield facts.finding(
                Code.BACKWARDS,
                f"`{record.version}` has an image for {words} that was made at {mine:%Y-%m-%d %H:%M}, before that of "
                f"`{before.version}` ({theirs:%Y-%m-%d %H:%M})",
                "who updates gets an older build: release a newer one",
                variant=one,
                version=record.version,
                evidence={
                    "record": record.id,
                    "before": before.id,
                    "created": {name: [str(one) for one in times] for name, times in back.items()},
                },
            )
    yield from _held_before(facts)


def _held_before(facts: Facts) -> Iterator[Answer]:
    """A stream that builds push to, and that holds an older build than its last release: somebody went back."""
    current = facts.current
    if current is None or facts.stream.source is not None:
        return
    back: dict[str, tuple[Digest, datetime, datetime]] = {}
    for place in facts.places:
        held, theirs = facts.tags.holds(facts.primary(place)), _made(facts, current, place.variant.name)
        if held is None or theirs is None or held == facts.digest_at(current, place):
            continue
        image = facts.images.look(place.repository.digest(held))
        mine = _earliest(image) if isinstance(image, Image) else None
        if mine and mine < theirs:
            back[place.variant.name] = (held, mine, theirs)
    if back:
        one, words = facts.variants(back)
        _, mine, theirs = next(iter(back.values()))
        yield facts.finding(
            Code.BACKWARDS,
            f"the tag of {words} holds an image that was made at {mine:%Y-%m-%d %H:%M}, before that of the last "
            f"release, `{current.version}` ({theirs:%Y-%m-%d %H:%M})",
            "who updates gets an older build: push a newer one, or release it and say why",
            variant=one,
            version=current.version,
            evidence={
                "record": current.id,
                "holds": {name: held for name, (held, _, _) in back.items()},
                "created": {name: [str(one) for one in times] for name, (_, *times) in back.items()},
            },
        )


def _made(facts: Facts, record: Record, name: str) -> datetime | None:
    image = image_of(facts, record, name)
    return _earliest(image) if image else None


def _earliest(image: Image) -> datetime | None:
    return min((part.created for part in image.platforms if part.created), default=None)


def image_of(facts: Facts, record: Record, name: str) -> Image | None:
    """The image of a release; `None` where it is gone, or was never on record."""
    variant = record.variant(name)
    reference = facts.image(variant) if variant else None
    found = facts.images.look(reference) if reference else None
    return found if isinstance(found, Image) else None
