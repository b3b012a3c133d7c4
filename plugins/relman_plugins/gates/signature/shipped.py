"""The policy that an image itself ships (`[signature] policy = "image:/etc/containers/policy.json"`).

Its policy, what it says of registries and the keys that the policy names are read from the image's layers and laid
into a folder as they would lie on a host; from there they are read as any other policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from relman.model.oci import Digest, PlatformImage, Repository
from relman.plugin import ConfigError, Malformed, RegistryReader
from relman_plugins.inspect.layers.small import small_files

PREFIX = "image:"
_REGISTRIES = "registries.d"
_MOST = 64
"""Keys that one policy may name, and images whose policy is remembered."""
_KNOWN: dict[tuple[Digest, str], Mapping[str, bytes]] = {}
_LOCK = Lock()
# A manifest's digest names its layers, and so what is in them: asked for by the gate, and again for the plan.


def lay_out(
    registry: RegistryReader, repository: Repository, image: PlatformImage, path: str, folder: Path
) -> tuple[Path, Path]:
    """The policy at ``path`` of an image, and its folder of registries.d, as files below ``folder``.

    ``/etc/…`` of an image made by ostree lies in ``/usr/etc/…``: it is looked for there, too. Raises `ConfigError`
    where there is no policy, and `Malformed` where the image cannot be read.
    """
    asked = list(_places(path))
    registries = [f"{name.rpartition('/')[0]}/{_REGISTRIES}" for name in asked]
    key = (image.manifest.digest, path)
    with _LOCK:
        found = _KNOWN.get(key)
    if found is None:
        found = _read(registry, repository, image, asked, registries, folder)
        with _LOCK:
            if len(_KNOWN) < _MOST:
                _KNOWN[key] = found
    policy = next(name for name in asked if name in found)
    root = folder / "root"
    for name, content in found.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root / policy, _merged(root, [one for one in registries if (root / one).is_dir()])


def _read(
    registry: RegistryReader,
    repository: Repository,
    image: PlatformImage,
    asked: Sequence[str],
    registries: Sequence[str],
    folder: Path,
) -> Mapping[str, bytes]:
    (folder / "first").mkdir(parents=True)
    found = small_files(registry, repository, image, asked, dict.fromkeys(registries, ".yaml"), folder / "first")
    policy = next((name for name in asked if name in found), None)
    if policy is None:
        raise ConfigError(
            f"the image ships no policy at `/{asked[0]}`",
            hint="`[signature] policy` may name a file of yours, or `keys` alone",
        )
    keys = [place for key in _keys(found[policy]) for place in _places(key)]
    if not keys:
        return found
    (folder / "second").mkdir()
    return {**found, **small_files(registry, repository, image, keys, {}, folder / "second")}


def _merged(root: Path, folders: list[str]) -> Path:
    """The folder that a host would read: what `/etc` has stands before what the image was built with."""
    return root / (folders[0] if folders else f"etc/containers/{_REGISTRIES}")


def _places(path: str) -> Iterator[str]:
    relative = path.lstrip("/")
    yield relative
    if relative.startswith("etc/"):
        yield f"usr/{relative}"


def _keys(policy: bytes) -> Iterable[str]:
    """The files that a policy names, whatever else is wrong with it: who reads it says so."""
    try:
        value = json.loads(policy)
    except (ValueError, RecursionError):
        return ()
    found = dict.fromkeys(_named(value))
    if len(found) > _MOST:
        raise Malformed(f"the policy of the image names {len(found)} keys, and no more than {_MOST} are read")
    return [name for name in found if not any(part in ("", ".", "..") for part in name.strip("/").split("/"))]


def _named(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > 8:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in ("keyPath", "keyPaths"):
                listed = inner if isinstance(inner, list) else [inner]
                yield from (text for text in listed if isinstance(text, str))
            else:
                yield from _named(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner, depth + 1)
