"""What composing a changelog starts from: each image beside the one it follows."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from relman.model.contents import Contents
from relman.model.details import DiffDetails
from relman.model.diff import Diff
from relman.model.oci import Digest, Platform
from relman.model.streams import Variant


class Compared(msgspec.Struct, frozen=True):
    """One platform's image of a variant, with what it was compared with.

    ``name`` is the variant's, or what an image given by hand is called; ``variant`` is then `None`. ``before`` and
    ``diff`` are `None` where there was nothing to compare with; ``details`` is what was wanted beside the diff, whose
    changelogs and files the contents no longer hold; ``previous_digest`` is `None` only where nothing was
    published before. Digests are those of the platform's own image or of its index, as the caller shows them.
    ``download`` is what a host fetches that has the image before, in bytes; `None` where that is not known.
    """

    variant: Variant | None
    name: str
    platform: Platform
    after: Contents
    digest: Digest
    after_labels: Mapping[str, str]
    revision: str | None = None
    before: Contents | None = None
    diff: Diff | None = None
    details: DiffDetails | None = None
    before_labels: Mapping[str, str] | None = None
    previous_digest: Digest | None = None
    download: int | None = None

    def __post_init__(self) -> None:
        if (self.before is None) != (self.diff is None):
            raise ValueError(f"`{self.name}` on `{self.platform}` has a diff exactly where it has contents before")

    @property
    def traits(self) -> frozenset[str]:
        """The variant's; none for an image given by hand."""
        return self.variant.traits if self.variant else frozenset()
