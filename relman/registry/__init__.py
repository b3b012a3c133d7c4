"""The registries that images lie in: servers, folders, and skopeo for what it is best at.

`Registries` is all that the rest of relman needs to know; `protocol` is what it promises.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from relman.errors import Unequipped, UsageError
from relman.model.oci import Descriptor, Digest, Reference, Repository, Transport

if TYPE_CHECKING:
    from relman.http import Client
    from relman.registry.distribution import Distribution
    from relman.registry.layout import Layouts
    from relman.registry.protocol import Manifest, RegistryWriter
    from relman.registry.session import Session

    class _Writer(RegistryWriter, Protocol):
        def put_blob_stream(
            self, repository: Repository, digest: Digest, size: int, content: Callable[[], Iterator[bytes]]
        ) -> None: ...


log = logging.getLogger(__name__)


_IMAGE_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


class Registries:
    """`RegistryWriter` for every repository: on servers over HTTP, in folders as OCI layouts.

    ``base`` is what relative folders are below, ``insecure`` the hosts that are spoken to without TLS beside
    loopback. A ``client`` that is handed in stays its maker's to close; ``sessions`` were begun with it.
    ``environment`` stands for `os.environ` where logins are looked for.
    """

    def __init__(
        self,
        base: Path,
        insecure: frozenset[str] = frozenset(),
        *,
        client: Client | None = None,
        sessions: Iterable[Session] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._base = base
        self._sessions = sessions
        self._insecure = insecure
        self._environment = environment
        self._given = client
        self._lock = threading.Lock()
        self._client = client
        self._servers: Distribution | None = None
        self._folders: Layouts | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that were opened here."""
        if self._given is None and self._client is not None:
            self._client.close()

    def _for(self, repository: Repository) -> _Writer:
        with self._lock:
            if repository.transport is Transport.DOCKER:
                return self._over_http()
            if repository.transport is Transport.OCI:
                return self._in_folders()
        if repository.transport is Transport.CONTAINERS_STORAGE:
            raise UsageError(
                f"`{repository}` is not in a registry: only `relman contents` reads it",
                hint="copy it first: `skopeo copy containers-storage:IMAGE oci:FOLDER:TAG`",
            )
        raise UsageError(
            f"`{repository}` is a list of contents, not an image in a registry",
            hint="name an image, such as `ghcr.io/owner/image:tag` or `oci:FOLDER:TAG`",
        )

    def _over_http(self) -> Distribution:
        if self._servers is None:
            from relman.http import Client
            from relman.registry.credentials import CredentialStore
            from relman.registry.distribution import Distribution

            self._client = self._client or Client()
            store = CredentialStore(self._environment)
            self._servers = Distribution(self._client, store=store, insecure=self._insecure, sessions=self._sessions)
        return self._servers

    def _in_folders(self) -> Layouts:
        if self._folders is None:
            from relman.registry.layout import Layouts

            self._folders = Layouts(self._base)
        return self._folders

    def tags(self, repository: Repository) -> tuple[str, ...]:
        """See `RegistryReader.tags`."""
        return self._for(repository).tags(repository)

    def resolve(self, reference: Reference) -> Descriptor | None:
        """See `RegistryReader.resolve`."""
        return self._for(reference.repository).resolve(reference)

    def manifest(self, reference: Reference) -> Manifest:
        """See `RegistryReader.manifest`."""
        return self._for(reference.repository).manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        """See `RegistryReader.blob`."""
        return self._for(repository).blob(repository, digest, limit=limit)

    def has_blob(self, repository: Repository, digest: Digest) -> bool:
        """See `RegistryReader.has_blob`."""
        return self._for(repository).has_blob(repository, digest)

    def open_blob(self, repository: Repository, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """See `RegistryReader.open_blob`."""
        return self._for(repository).open_blob(repository, digest)

    def blob_range(self, repository: Repository, digest: Digest, start: int, length: int) -> bytes:
        """See `RegistryReader.blob_range`."""
        return self._for(repository).blob_range(repository, digest, start, length)

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """See `RegistryReader.referrers`."""
        return self._for(repository).referrers(repository, digest)

    def lists_referrers(self, repository: Repository) -> bool | None:
        """See `RegistryReader.lists_referrers`."""
        return self._for(repository).lists_referrers(repository)

    def require_push(self, repository: Repository) -> None:
        """See `RegistryWriter.require_push`."""
        self._for(repository).require_push(repository)

    def put_blob(self, repository: Repository, content: bytes) -> Digest:
        """See `RegistryWriter.put_blob`."""
        return self._for(repository).put_blob(repository, content)

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        """See `RegistryWriter.put_manifest`."""
        return self._for(repository).put_manifest(repository, content, media_type, tag=tag)

    def copy(self, source: Reference, target: Repository) -> None:
        """See `RegistryWriter.copy`: mounted within a registry, by skopeo between two, else piece by piece."""
        from relman.registry.carrying import carry, require_pinned
        from relman.registry.uploads import reopened

        require_pinned(source)
        origin, destination = self._for(source.repository), self._for(target)
        if source.repository.transport is target.transport and source.repository.registry == target.registry:
            destination.copy(source, target)
            return
        if (
            source.repository.registry
            and target.registry
            and self._is_large(source)
            and self._by_skopeo(source, target)
        ):
            return

        def carry_blob(blob: Descriptor) -> None:
            content = reopened(origin, source.repository, blob.digest)
            destination.put_blob_stream(target, blob.digest, blob.size, content)

        carry(origin, destination, source, target, carry_blob)

    def _is_large(self, source: Reference) -> bool:
        """Whether it is an image, and no signature or list: those are carried before skopeo has begun."""
        from relman.registry.manifests import read_manifest

        manifest = self.manifest(source)
        parts = read_manifest(manifest.content, manifest.descriptor.media_type, f"`{source}`")
        layers = any(layer.media_type.startswith(_IMAGE_LAYERS) for layer in parts.layers)
        return bool(parts.children) or (parts.subject is None and parts.is_image and layers)

    def _by_skopeo(self, source: Reference, target: Repository) -> bool:
        """Whether skopeo could. Where it cannot (it refuses some zstd indexes, and 1.9 gives up on 503), we carry."""
        from relman.process import ProcessFailed
        from relman.registry import skopeo

        assert source.digest is not None
        try:
            skopeo.copy(source, target.digest(source.digest), insecure=self._insecure)
        except (ProcessFailed, Unequipped) as error:
            log.debug("%s: carrying the image without skopeo", error)
            return False
        return self._for(target).resolve(target.digest(source.digest)) is not None
