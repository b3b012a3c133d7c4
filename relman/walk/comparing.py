"""inspect, the second half: two images of each variant and platform become a diff."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from relman.config.values import Packages
from relman.errors import Malformed, NotFound, UsageError
from relman.model.contents import Contents
from relman.model.details import DiffDetails
from relman.model.diff import Diff, Side
from relman.model.download import download
from relman.model.oci import LINUX_AMD64, Digest, Image, Platform, PlatformImage, Reference
from relman.model.release import Candidate, Predecessor, Release
from relman.model.streams import Variant
from relman.walk.compare import assemble, compare_contents, side
from relman.walk.compared import Compared
from relman.walk.details import details_of
from relman.walk.inspect import Inspector
from relman.walk.parallel import WORKERS, both, in_parallel

_WITH_DETAILS = 4
"""Pairs at once where changelogs or files are wanted, too: these are large, and held until their pair is compared."""

Kept = Callable[[Digest], Mapping[Platform, Contents] | None]
"""How to get at the contents that the ledger kept with a record."""

Place = tuple[Reference, PlatformImage | None]
"""Where contents are read: one platform's image, or (`None`) a file given by hand."""


class Pair(msgspec.Struct, frozen=True):
    """What is to be compared on one platform of a variant, or of two images given by hand.

    ``before`` is `None` where there is nothing to compare with; ``kept`` names contents that the ledger may have where
    the registry no longer does.
    """

    name: str
    variant: Variant | None
    platform: Platform
    after: tuple[Reference, PlatformImage]
    before: tuple[Reference, PlatformImage] | None
    digest: Digest
    previous: Predecessor | None


def _download(pair: Pair) -> int | None:
    step = download(pair.before[1], pair.after[1]) if pair.before else None
    return step.new_bytes if step else None


class Comparer(msgspec.Struct, frozen=True):
    """Reads both sides of every pair, several at once, and compares them."""

    inspector: Inspector
    packages: Packages
    kept: Kept

    def diff(self, before: Place, after: Place) -> tuple[Diff, DiffDetails | None]:
        """What changed between two images or files, and what was wanted beside the packages."""
        two = self.inspector.detailed(*after)
        one = two if _same(before, after) else self.inspector.detailed(*before)
        comparison = compare_contents(one, two, rename=self.packages.rename)
        diff = assemble(comparison, _side(before, one), _side(after, two))
        return diff, self._details(diff, one, two)

    def compare(
        self, pairs: Sequence[Pair], *, optional: Collection[tuple[str, Platform]] = ()
    ) -> tuple[Compared, ...]:
        """One result for each pair, in their order. Raises where a side cannot be read: never "empty".

        Only those that ``optional`` names, by name and platform, are left out then.
        """

        def compared(pair: Pair) -> Compared | None:
            try:
                return self._compare(pair)
            except Malformed:
                if (pair.name, pair.platform) not in optional:
                    raise
                return None

        workers = _WITH_DETAILS if self.inspector.wants else WORKERS
        return tuple(one for one in in_parallel(compared, pairs, workers=workers) if one)

    def _compare(self, pair: Pair) -> Compared:
        if pair.before is not None and _same(pair.before, pair.after):
            after = self.inspector.detailed(*pair.after)
            before: Contents | None = after
            earlier: Side | None = _side(pair.before, after)
        else:
            after, (before, earlier) = both(lambda: self.inspector.detailed(*pair.after), lambda: self._before(pair))
        diff = details = None
        if before is not None and earlier is not None:
            comparison = compare_contents(before, after, rename=self.packages.rename)
            name = pair.variant.name if pair.variant else None
            diff = assemble(comparison, earlier, _side(pair.after, after), variant=name, platform=pair.platform)
            details = self._details(diff, before, after)
        return Compared(
            variant=pair.variant,
            name=pair.name,
            platform=pair.platform,
            before=before.plain if before else None,  # the changelogs of all images at once would fill the memory
            after=after.plain,
            diff=diff,
            details=details,
            before_labels=pair.before[1].labels if pair.before else None,
            after_labels=pair.after[1].labels,
            digest=pair.digest,
            previous_digest=pair.previous.digest if pair.previous else None,
            revision=pair.after[1].revision,
            download=_download(pair),
        )

    def _details(self, diff: Diff, before: Contents, after: Contents) -> DiffDetails | None:
        wants = self.inspector.wants
        return details_of(diff, before, after, wants) if wants else None

    def _before(self, pair: Pair) -> tuple[Contents | None, Side | None]:
        previous = pair.previous
        lists = self.kept(previous.contents) if previous and previous.contents else None
        has_kept = lists is not None and pair.platform in lists
        if pair.before is not None:
            try:
                before = self.inspector.detailed(*pair.before)
            except Malformed:  # no source serves any more; what the ledger kept does
                if not has_kept:
                    raise
            else:
                return before, _side(pair.before, before)
        if previous is None or lists is None or not has_kept:
            return None, None
        kept = lists[pair.platform]
        repository = pair.after[0].repository
        return kept, Side(
            reference=str(repository.digest(previous.digest) if previous.digest else repository),
            digest=previous.digest,
            platform=pair.platform,
            version=previous.version,
            revision=previous.revision,
            packages=len(kept.packages),
            source=kept.source,
        )


def _same(before: Place, after: Place) -> bool:
    """Is it one image, or one file?"""
    if before[1] is None or after[1] is None:
        return before == after
    return before[1].manifest.digest == after[1].manifest.digest


def _side(place: Place, contents: Contents) -> Side:
    reference, image = place
    return side(reference, image, contents, digest=reference.digest)


def pairs_of_release(release: Release, platforms: Sequence[Platform] = ()) -> tuple[Pair, ...]:
    """Each candidate with its predecessor, on every platform that is compared, or only on those that are asked for.

    Raises `NotFound` for a platform that none of them has.
    """
    there = {platform for candidate in release.candidates for platform in candidate.platforms}
    for platform in platforms:
        if platform not in there:
            hint = f"they are there for {', '.join(sorted(map(str, there)))}"
            raise NotFound(f"no variant of `{release.stream}` is there for {platform}", hint=hint)
    return tuple(
        _pair(candidate, platform)
        for candidate in release.candidates
        for platform in candidate.platforms
        if not platforms or platform in platforms
    )


def _pair(candidate: Candidate, platform: Platform) -> Pair:
    follows = candidate.follows
    after = candidate.image.on(platform)
    assert after is not None
    earlier = follows.image.on(platform) if follows and follows.image else None
    return Pair(
        name=candidate.variant.name,
        variant=candidate.variant,
        platform=platform,
        after=(candidate.image.reference, after),
        before=(follows.image.reference, earlier) if follows and follows.image and earlier else None,
        digest=candidate.image.digest,
        previous=follows,
    )


def pairs_of_images(before: Image, after: Image, platforms: Sequence[Platform]) -> tuple[Pair, ...]:
    """Two images on the platforms that were asked for, else on linux/amd64 where both have it, else on the only one.

    Raises `NotFound` for a platform that is not there, `UsageError` where it is not clear which is meant.
    """
    common = [part.platform for part in after.platforms if before.on(part.platform)]
    wanted = list(platforms) or ([LINUX_AMD64] if LINUX_AMD64 in common else common)
    if not wanted:
        lists = " and ".join(", ".join(str(part.platform) for part in image.platforms) for image in (before, after))
        raise NotFound(f"the two images have no platform in common: {lists}")
    if len(wanted) > 1 and not platforms:
        raise UsageError(
            f"both images are there for {', '.join(map(str, wanted))}", hint=f"say which: `--platform {wanted[0]}`"
        )
    return tuple(_by_hand(before, after, platform) for platform in wanted)


def _by_hand(before: Image, after: Image, platform: Platform) -> Pair:
    one, two = before.on(platform), after.on(platform)
    for image, part in ((before, one), (after, two)):
        if part is None:
            there = ", ".join(str(part.platform) for part in image.platforms)
            raise NotFound(f"`{image.reference}` is not there for {platform}", hint=f"it is for {there}")
    assert one
    assert two
    return Pair(
        name=after.reference.repository.name.rpartition("/")[2],
        variant=None,
        platform=platform,
        after=(after.reference, two),
        before=(before.reference, one),
        digest=after.digest,
        previous=Predecessor(one.version, before.digest, before, "given by hand", one.revision),
    )
