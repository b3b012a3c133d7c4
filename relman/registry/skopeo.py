"""skopeo, for what it is best at: copies between registries, and transports that relman does not read by itself.

One function per sub-command that is used. skopeo finds logins by itself, in the places that `credentials` names. Its
exit codes differ between versions (1 for everything in 1.9), so callers read the state again in place of the code.
"""

from __future__ import annotations

import functools
import json
import re

from relman import process
from relman.addresses import is_plain
from relman.errors import Malformed
from relman.model.oci import Reference, Repository, Transport

_QUICK = 60.0
_COPY_SECONDS = 3600.0


@functools.cache
def version() -> tuple[int, ...]:
    """The installed version, such as ``(1, 9, 3)``; asked once. Raises `Unequipped` where there is no skopeo."""
    text = process.run(["skopeo", "--version"], timeout=_QUICK).stdout.decode(errors="replace")
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    if found is None:
        raise Malformed(f"`skopeo --version` says `{text.strip()[:80]}`, which holds no version")
    return tuple(int(part) for part in found[1].split("."))


def inspect_raw(reference: Reference, *, insecure: frozenset[str] = frozenset()) -> bytes:
    """The exact bytes of a manifest or index."""
    argv = ["skopeo", "inspect", "--raw", *_tls("", reference.repository, insecure), _name(reference)]
    return process.run(argv, timeout=_QUICK).stdout


def list_tags(repository: Repository, *, insecure: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The tags of a repository on a registry."""
    argv = ["skopeo", "list-tags", *_tls("", repository, insecure), f"docker://{repository}"]
    answer = process.run(argv, timeout=_QUICK).stdout
    try:
        tags = json.loads(answer)["Tags"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"`skopeo list-tags` answered for `{repository}` without `Tags`") from error
    if tags is None:
        return ()
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Malformed(f"`skopeo list-tags` answered for `{repository}` with no list of names")
    return tuple(tags)


def copy(
    source: Reference,
    target: Reference,
    *,
    insecure: frozenset[str] = frozenset(),
    timeout: float = _COPY_SECONDS,
) -> None:
    """Copy an image with all its platforms, digests kept. Raises `ProcessFailed` with skopeo's words.

    Without `--all` an index would silently become one platform; without `--preserve-digests` it may change.
    """
    argv = ["skopeo", "copy", "--quiet", "--all", "--preserve-digests", "--retry-times=3"]
    argv += _tls("src-", source.repository, insecure) + _tls("dest-", target.repository, insecure)
    argv += [_name(source), _name(target)]
    process.run(argv, timeout=timeout)


def export(image: Reference, layout: Repository, tag: str, *, timeout: float = _COPY_SECONDS) -> None:
    """Copy one image out of containers-storage into an OCI layout, as ``tag``. Raises `ProcessFailed`.

    The storage keeps layers uncompressed: what comes out has the same configuration and other digests.
    """
    process.run(["skopeo", "copy", "--quiet", str(image.repository), f"{layout}:{tag}"], timeout=timeout)


def _name(reference: Reference) -> str:
    if reference.repository.transport is Transport.DOCKER:
        # skopeo refuses a tag beside a digest; the digest decides.
        return f"docker://{reference.repository}" + (
            f"@{reference.digest}" if reference.digest else f":{reference.tag}"
        )
    return f"{reference.repository}" + (f":{reference.tag}" if reference.tag else "")


def _tls(side: str, repository: Repository, insecure: frozenset[str]) -> list[str]:
    plain = repository.transport is Transport.DOCKER and is_plain(repository.registry, insecure)
    return [f"--{side}tls-verify=false"] if plain else []
