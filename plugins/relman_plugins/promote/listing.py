"""How a registry lists what is attached to an image, as a sentence for plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from relman.model.oci import Reference
from relman.plugin import RegistryReader


def listing(reader: RegistryReader, images: Iterable[Reference]) -> Iterator[str]:
    """A sentence for each registry of ``images``; one that was not asked before is asked after one image."""
    first = {image.repository.registry: image for image in images}
    for registry, image in sorted(first.items()):
        assert image.digest
        known = reader.lists_referrers(image.repository)
        if known is None:
            reader.referrers(image.repository, image.digest)
            known = reader.lists_referrers(image.repository)
        where = f"`{registry}`" if registry else f"`{image.repository}`"
        way = "by its API" if known else "under fallback tags"
        yield f"{where} lists what is attached {way}"
