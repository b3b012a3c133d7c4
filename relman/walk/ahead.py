"""Looking ahead: what is inside an image is read as soon as it is known, while others are still being looked for.

Nothing is decided here. What was read ahead is remembered by the comparer's inspector, and what failed is asked for
again by whoever needs it, who then says so. In vain is at most the list of referrers of an image that is not compared.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from relman.errors import RelmanError
from relman.model.oci import Digest, Platform, PlatformImage, Reference, Repository
from relman.registry.forwarding import Forwarding
from relman.registry.manifests import read_manifest
from relman.registry.protocol import MANIFESTS, Manifest, RegistryReader
from relman.walk.parallel import WORKERS

if TYPE_CHECKING:
    from relman.walk.comparing import Comparer
    from relman.walk.resolve import Resolver

log = logging.getLogger(__name__)


class Pieces(Protocol):
    """Where configurations are kept between runs."""

    def piece(self, digest: Digest) -> bytes | None:
        """The content with this digest; `None` where it is not there."""


class Ahead:
    """Reads for ``comparer``, on ``platforms`` (empty: all that are compared). ``pieces`` is what earlier runs kept.

    It is asked for the comparer when there is something to read: until then that may still be on its way.
    """

    def __init__(
        self,
        comparer: Callable[[], Comparer],
        platforms: Collection[Platform] = (),
        pieces: Pieces | None = None,
    ) -> None:
        self._comparer = comparer
        self._platforms = frozenset(platforms)
        self._pieces = pieces
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="ahead")
        self._lock = threading.Lock()
        self._seen: set[Digest] = set()

    def of(self, resolver: Resolver) -> Resolver:
        """A ``resolver`` that tells this of every image that it looks at, and of those that it chose."""
        watched = _Watched(resolver.reader, self._found), _Watched(resolver.past, self._found)
        return replace(resolver, reader=watched[0], past=watched[1], chosen=self._chosen)

    def _chosen(self, reference: Reference, image: PlatformImage) -> None:
        if not self._platforms or image.platform in self._platforms:
            self._pool.submit(self._read, reference, image)

    def _read(self, reference: Reference, image: PlatformImage) -> None:
        inspector = self._comparer().inspector
        if not inspector.wants:  # changelogs and files are large, and held only while their pair is compared
            self._quietly(lambda: inspector.contents(reference, image))

    def _found(self, reference: Reference, manifest: Manifest) -> None:
        """The manifest of an image whose configuration is still to come: meanwhile ask what is attached to it."""
        digest = manifest.descriptor.digest
        with self._lock:
            if reference.tag is None or digest in self._seen or manifest.descriptor.media_type not in MANIFESTS:
                return
            self._seen.add(digest)
        self._pool.submit(self._quietly, lambda: self._list(reference.repository, manifest))

    def _list(self, repository: Repository, manifest: Manifest) -> None:
        digest = manifest.descriptor.digest
        parts = read_manifest(manifest.content, manifest.descriptor.media_type, f"`{digest.short}`")
        known = parts.config and self._pieces and self._pieces.piece(parts.config.digest)
        if parts.is_image and not known and (inspector := self._comparer().inspector).begins_with_referrers:
            inspector.look_for_lists(repository, digest)

    def _quietly(self, read: Callable[[], object]) -> None:
        try:
            read()
        except RelmanError as error:
            log.debug("looked ahead in vain: %s", error.message)


class _Watched(Forwarding):
    """Tells of manifests as they come."""

    def __init__(self, reader: RegistryReader, tell: Callable[[Reference, Manifest], None]) -> None:
        super().__init__(reader)
        self._tell = tell

    def manifest(self, reference: Reference) -> Manifest:
        """See `RegistryReader.manifest`."""
        found = self._reader.manifest(reference)
        self._tell(reference, found)
        return found
