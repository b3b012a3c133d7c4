"""Contents from relman's own compact list, as `relman contents --publish` and `--embed` leave it.

A list that is attached to the image comes before one inside it: it names the very image, and can be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import PlatformImage
from relman.plugin import (
    ContentsContext,
    ImageUnderRead,
    Malformed,
    NotFound,
    attached_contents,
    embedded_contents,
    hookimpl,
    lists_among,
)

_REFERRERS = 8
_NONE = "the image has no list of relman's, neither attached nor inside (`relman contents --publish` attaches one)"


@hookimpl
def relman_contents_sources(context: ContentsContext) -> Iterable[CompactSource]:  # noqa: ARG001  pluggy names it
    """One source: relman's own lists."""
    return [CompactSource()]


class CompactSource:
    """Reads relman's lists. They know what their own source knew, save changelogs and files."""

    name = "contents"
    asks_referrers = True
    capabilities = frozenset(Capability) - {Capability.CHANGELOG, Capability.FILES}

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        """The image's contents by its list. What the registry itself fails at is raised, not answered."""
        if image.image is None:
            return Unavailable(f"`{image.reference}` is a file, to which nothing is attached")
        reasons: list[str] = []
        found = self._attached(image, image.image, reasons) or self._embedded(image, image.image, reasons)
        if found is None:
            return Unavailable("; ".join(reasons) or _NONE)
        return replace(found, extras={**found.extras, "passed_over": tuple(reasons)}) if reasons else found

    def _attached(self, image: ImageUnderRead, part: PlatformImage, reasons: list[str]) -> Contents | None:
        digest = part.manifest.digest
        repository = image.reference.repository
        try:
            lists = lists_among(image.registry.referrers(repository, digest))
        except Malformed as error:
            reasons.append(error.message)
            return None
        for referrer in lists[:_REFERRERS]:
            try:
                return attached_contents(image.registry, repository, referrer, part)
            except (Malformed, NotFound) as error:
                reasons.append(error.message)
        if len(lists) > _REFERRERS:
            reasons.append(f"{len(lists) - _REFERRERS} more lists of `{digest.short}` were not looked at")
        return None

    def _embedded(self, image: ImageUnderRead, part: PlatformImage, reasons: list[str]) -> Contents | None:
        try:
            return embedded_contents(image.registry, image.reference.repository, part)
        except (Malformed, NotFound) as error:
            reasons.append(error.message)
            return None
