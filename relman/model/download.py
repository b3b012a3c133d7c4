"""What a user downloads to go from one build to the next: the layers that the old one does not have."""

from __future__ import annotations

import msgspec

from relman.model.oci import PlatformImage


class Download(msgspec.Struct, frozen=True):
    """The step from one image to the next, in layers and in bytes as they are compressed.

    Layers are counted once each. ``new_bytes`` is what hosts fetch that take whole layers; those that take parts of
    zstd:chunked layers fetch less. Sizes are those of all layers.
    """

    shared_layers: int
    new_layers: int
    new_bytes: int
    size_before: int
    size_after: int


def download(before: PlatformImage, after: PlatformImage) -> Download | None:
    """The step from ``before`` to ``after``; `None` where one of them was looked at without its layers."""
    if not before.layers or not after.layers:
        return None
    held = {layer.digest for layer in before.layers}
    sizes = {layer.digest: layer.size for layer in after.layers}
    new = {digest: size for digest, size in sizes.items() if digest not in held}
    return Download(
        shared_layers=len(sizes) - len(new),
        new_layers=len(new),
        new_bytes=sum(new.values()),
        size_before=before.size,
        size_after=after.size,
    )
