"""Names of images as containers/image reads them, and the scopes under which policies speak of them.

Sources: containers-policy.json(5), containers-registries.d(5); distribution/reference, `ParseNormalizedNamed`.
"""

from __future__ import annotations

import re
from typing import Self

import msgspec

from relman.model.oci import Digest, Reference, Transport

_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_LONGEST = 255


class Name(msgspec.Struct, frozen=True):
    """A repository in its full form, with a tag, a digest, both or neither."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name; ``busybox`` is ``docker.io/library/busybox``. Raises `ValueError` for what is no name."""
        rest, at, digest = text.partition("@")
        if at:
            Digest(digest)
        rest, tag = _untagged(rest)
        host, slash, path = rest.partition("/")
        if not slash or not ("." in host or ":" in host or host == "localhost" or host != host.lower()):
            host, path = "docker.io", rest
        if host == "index.docker.io":
            host = "docker.io"
        if host == "docker.io" and "/" not in path:
            path = f"library/{path}"
        repository = f"{host}/{path}"
        if not _HOST.fullmatch(host) or not _PATH.fullmatch(path) or len(repository) > _LONGEST:
            raise ValueError(f"`{text[:300]}` is not the name of an image")
        if re.fullmatch(r"[0-9a-f]{64}", rest):
            raise ValueError(f"`{rest}` is an image's id, not a name")
        return cls(repository, tag, digest or None)

    @classmethod
    def of(cls, reference: Reference) -> Self:
        """The name that a host pulls ``reference`` by. Raises `ValueError` for what lies in files: it has none."""
        if reference.repository.transport is not Transport.DOCKER:
            raise ValueError(f"`{reference}` lies in files: no host pulls it by a name that a policy could speak of")
        return cls.parse(f"{reference.repository}:{reference.tag}" if reference.tag else str(reference))

    @property
    def bare(self) -> bool:
        """Whether it is a repository alone."""
        return self.tag is None and self.digest is None

    @property
    def scopes(self) -> tuple[str, ...]:
        """Where policies and registries.d look, the most precise first: the name, its parents, wildcards of the host.

        The host's port is no part of wildcards; ``""``, the transport's default, is left to the caller.
        """
        parts = self.repository.split("/")
        found = [str(self)] if not self.bare else []
        found += ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
        labels = parts[0].partition(":")[0].split(".")
        found += ["*." + ".".join(labels[start:]) for start in range(1, len(labels))]
        return tuple(found)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def _untagged(text: str) -> tuple[str, str | None]:
    rest, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, None
    if not _TAG.fullmatch(tag):
        raise ValueError(f"`{tag[:140]}` is not a tag")
    return rest, tag
