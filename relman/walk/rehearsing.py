"""Posts rehearsed with a release that never was, so that what does not fit is found before a release needs it."""

from __future__ import annotations

from relman.errors import RelmanError, Unequipped
from relman.model.check import Fault
from relman.model.oci import LINUX_AMD64, Descriptor, Digest, Image, PlatformImage, Repository, Transport
from relman.model.release import Candidate, Release
from relman.model.streams import Place, Variant
from relman.registry.protocol import OCI_MANIFEST

ID = "0123456789abcdef"
_NOWHERE = "registry.invalid"
"""A host that nobody has (RFC 2606)."""


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
