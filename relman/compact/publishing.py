"""Attaching compact lists to an image: what would be done, and doing it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec

from relman.compact.attached import CREATED, attached_document, created, lists_among
from relman.compact.lists import ARTIFACT_TYPE, LAYER_TYPE, document_bytes, pack
from relman.errors import Malformed, NotFound, PartlyDone, RelmanError
from relman.model.contents import Contents
from relman.model.oci import Descriptor, Digest, Image, Platform, PlatformImage, Repository
from relman.registry.attaching import CAREFUL, Patience, attach
from relman.registry.protocol import RegistryReader, RegistryWriter

_WORKERS = 8


class Publication(msgspec.Struct, frozen=True):
    """A list for one platform's image. ``there`` is the referrer that already says the same, or `None`."""

    image: PlatformImage
    contents: Contents
    packed: bytes
    there: Digest | None
    created: datetime | None


def publications(
    reader: RegistryReader, image: Image, contents: Mapping[Platform, Contents], *, now: datetime
) -> tuple[Publication, ...]:
    """What attaching ``contents`` to the platforms of ``image`` would write. Only reads.

    An image's first list takes the image's own time, so that whoever makes the same list makes the same bytes; one
    that replaces another takes ``now``.
    """
    made = []
    for platform, listed in contents.items():
        part = image.on(platform)
        if part is None:
            raise NotFound(f"`{image.reference}` is not there for {platform}")
        document = document_bytes(platform, listed, image=part.manifest.digest)
        repository = image.reference.repository
        older = lists_among(reader.referrers(repository, part.manifest.digest))
        newest, said = _newest(reader, repository, older, part.manifest.digest)
        same = newest.digest if newest and said == document else None
        moment = _after(older, now) if older else part.created
        made.append(Publication(part, listed, pack(document), same, moment))
    return tuple(made)


def publish(
    writer: RegistryWriter, repository: Repository, made: tuple[Publication, ...], *, patience: Patience = CAREFUL
) -> tuple[Digest, ...]:
    """Attach every list that is not there; the digests of the manifests that do so, or did before.

    Raises `PartlyDone` where some were attached and others not.
    """

    def one(publication: Publication) -> Digest | RelmanError:
        if publication.there is not None:
            return publication.there
        try:
            return _attach(writer, repository, publication, patience).digest
        except RelmanError as error:
            return error

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="publish") as pool:
        done = list(pool.map(one, made))
    failed = [(publication, result) for publication, result in zip(made, done, strict=True) if _failed(result)]
    if failed:
        _raise(failed, len(made))
    return tuple(result for result in done if isinstance(result, Digest))


def _attach(writer: RegistryWriter, repository: Repository, publication: Publication, patience: Patience) -> Descriptor:
    moment = publication.created
    annotations = {CREATED: moment.astimezone(UTC).isoformat().replace("+00:00", "Z")} if moment else {}
    return attach(
        writer,
        repository,
        publication.image.manifest.digest,
        publication.packed,
        artifact_type=ARTIFACT_TYPE,
        media_type=LAYER_TYPE,
        annotations=annotations,
        inline=True,
        patience=patience,
    )


def _failed(result: Digest | RelmanError) -> bool:
    return isinstance(result, RelmanError)


def _raise(failed: list[tuple[Publication, Digest | RelmanError]], count: int) -> None:
    publication, error = failed[0]
    assert isinstance(error, RelmanError)
    if len(failed) == count:
        raise error
    raise PartlyDone(
        f"{count - len(failed)} of {count} lists are attached; that of {publication.image.platform} is not: "
        f"{error.message}",
        hint="the same command again attaches what is missing",
    ) from error


def _newest(
    reader: RegistryReader, repository: Repository, older: tuple[Descriptor, ...], subject: Digest
) -> tuple[Descriptor | None, bytes | None]:
    """The list that readers would take now, and its document. Broken ones are passed over, as readers do."""
    for referrer in older:
        try:
            return referrer, attached_document(reader, repository, referrer, subject)
        except (Malformed, NotFound):
            continue
    return None, None


def _after(older: tuple[Descriptor, ...], now: datetime) -> datetime:
    """A time that is later than that of every list there is."""
    latest = max((moment for one in older if (moment := created(one))), default=None)
    return now if latest is None or latest < now else latest + timedelta(seconds=1)
