"""Posts rehearsed with a release that never was, so that what does not fit is found before a release needs it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from relman.config import Config
from relman.errors import RelmanError, Unequipped
from relman.model.changelog import Changelog
from relman.model.check import Fault
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, Image, PlatformImage, Repository, Transport
from relman.model.release import Candidate, Release
from relman.model.streams import Place, Variant
from relman.registry.protocol import OCI_MANIFEST

ID = "0123456789abcdef"
_NOWHERE = "registry.invalid"
"""A host that nobody has (RFC 2606)."""


def rehearse(config: Config, post: Callable[[Release, Changelog, Config], object]) -> tuple[Fault, ...]:
    """What is wrong with the posts of channels. ``post`` makes what a configuration has of them, for a release."""
    from relman.render.sample import sample

    names = tuple(variant.name for variant in config.variants) or ("os",)
    faults: list[Fault] = []
    for channel in config.channels:
        stream = next((name for name in config.streams if channel.applies(name)), None)
        if stream is None:
            continue
        made, release = sample(config.project, stream, names), sample_release(config.project, stream, names)
        try:
            post(release, made, replace(config, channels=(channel,)))
        except RelmanError as error:
            found = fault_of(error, channel.name, config.where)
            faults += [found] if found else []
    return tuple(faults)


def sample_release(project: str, stream: str, variants: tuple[str, ...]) -> Release:
    """A release of ``project`` that never was: it moves no tag, and its images are nowhere."""
    return Release(
        id=ID,
        project=project,
        stream=stream,
        source=None,
        version="sample-20260705",
        previous="sample-20260621",
        previous_id=None,
        candidates=tuple(map(_candidate, variants)),
    )


def _candidate(name: str) -> Candidate:
    repository = Repository(Transport.DOCKER, _NOWHERE, f"sample/{name.lower()}")
    digest = Digest.of(name.encode())
    part = PlatformImage(LINUX_AMD64, Descriptor(OCI_MANIFEST, digest, 1), {}, None, 1)
    image = Image(repository.digest(digest), OCI_MANIFEST, (part,))
    return Candidate(Place(Variant(name, name), repository), image, (LINUX_AMD64,))


def fault_of(error: RelmanError, channel: str, where: str) -> Fault | None:
    """What `relman check` says of a post that could not be made; `None` where this machine lacks what it takes."""
    if isinstance(error, Unequipped):
        return None
    who = f"channel `{channel}`"
    message = error.message if error.message.startswith(who) else f"{who}: {error.message}"
    return Fault(where, None, message, error.hint)
