"""In which order to read layers: by the names that those who made them gave them, else from the top down.

Names come from layer annotations, from the configuration's history (annotations do not survive every copy), and from
rechunk's label. Layers that one run of such a tool named hold different files each, so among them the likeliest may
come first. Whatever lies above them was added later, may replace anything, and is read before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from relman.model.oci import HistoryEntry, PlatformImage

from ..databases import RPM_FILES
from .paths import RPM_PATHS

Names = tuple[str, ...]

_CHUNKAH = "org.chunkah.component"
_OSTREE = "ostree.components"
_COMMIT = "ostree.commit"
_RECHUNK = "dev.hhd.rechunk.info"
_LABEL_LIMIT = 4 * 1024 * 1024

# What ostree-ext writes as `created_by`: one name, some of them, or how many. Nothing that a builder runs looks so.
_ID = r"[\w.+:~^@-]+(?: \(kernel [^()/]{1,100}\))?"
_CREATED_BY = re.compile(
    rf"\d+ components|ostree export of commit [0-9a-f]+|{_ID}(?:(?:, | and |, and ){_ID})*", re.ASCII
)
_NAME = re.compile(r"[a-z0-9-]+/\S+", re.ASCII)
_COUNTED = re.compile(r"\d+ components", re.ASCII)

_LIKELY = frozenset({"rpmostree-unpackaged-content", "dedi:meta:unpackaged", "meta:unpackaged", "unpackaged"})


class _Info(msgspec.Struct):
    layers: list[list[str]] = []


_INFO = msgspec.json.Decoder(_Info)  # prepared here: msgspec crashes where two threads do that at once


def reading_order(image: PlatformImage) -> tuple[int, ...]:
    """The numbers of the image's layers (0 is the bottom) in the order in which to look for a package database."""
    names = layer_names(image)
    top = len(names)
    above = top
    while above and names[above - 1] is None:
        above -= 1
    below = above
    while below and names[below - 1] is not None:
        below -= 1
    named = sorted(range(below, above), key=lambda number: (-_likelihood(names[number] or ()), -number))
    return (*reversed(range(above, top)), *named, *reversed(range(below)))


def layer_names(image: PlatformImage) -> tuple[Names | None, ...]:
    """What each layer is said to hold; `None` for one that nobody named."""
    layers = image.layers
    history: Sequence[HistoryEntry | None] = (
        image.history if len(image.history) == len(layers) else [None] * len(layers)
    )
    is_ostree = _COMMIT in image.labels
    names = [
        _annotated(layer.annotations.get(_CHUNKAH), layer.annotations.get(_OSTREE)) or _remembered(entry, is_ostree)
        for layer, entry in zip(layers, history, strict=True)
    ]
    if not any(names):
        labelled = _labelled(image.labels.get(_RECHUNK, ""))
        # An image that was made from this one inherits the label, and has more layers.
        if len(labelled) == len(layers):
            return tuple(labelled)
    return tuple(names)


def _annotated(chunkah: str | None, ostree: str | None) -> Names | None:
    if chunkah is not None:
        return tuple(chunkah.split()) or None
    return tuple(name.strip() for name in ostree.split(",")) if ostree is not None else None


def _remembered(entry: HistoryEntry | None, is_ostree: bool) -> Names | None:
    if entry is None:
        return None
    if entry.created_by == "chunkah":
        components = tuple(entry.comment.split())
        return components if components and all(map(_NAME.fullmatch, components)) else None
    if is_ostree and len(entry.created_by) < 4096 and _CREATED_BY.fullmatch(entry.created_by):
        if _COUNTED.fullmatch(entry.created_by):
            return (entry.created_by,)
        return tuple(re.split(r", and |, | and ", entry.created_by))
    return None


def _labelled(label: str) -> list[Names]:
    if not label or len(label) > _LABEL_LIMIT:
        return []
    try:
        return [tuple(names) for names in _INFO.decode(label).layers]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return []


def _likelihood(names: Names) -> int:
    """How likely a layer of these names holds the package database; what its path in the tar is decides."""
    best = 0
    for name in names:
        # chunkah: `bigfiles/rpmdb.sqlite`. The base image's copy may have that name, and ours then has its whole path.
        place = name.partition("/")[2] or name
        if place.strip("/") in RPM_PATHS:
            return 5
        if place in RPM_FILES or place == "rpmdb":
            best = max(best, 4)
        elif name in _LIKELY:
            best = max(best, 3)
        elif name == "chunkah/unclaimed":  # where it is while it is small
            best = max(best, 2)
        elif _COUNTED.fullmatch(name):
            best = max(best, 1)
    return best
