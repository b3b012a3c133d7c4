"""What is attached to a release: named, measured and hashed when planning, so that nothing is chosen when applying.

Texts stand in the plan. What lies in the registry (SBOMs of a hundred megabytes) is named there by digest, and read
when it is uploaded: from a repository of the project's own images, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from relman.model.oci import Platform, Reference, parse_reference
from relman.model.plan import Action
from relman.model.release import Candidate, Release
from relman.plugin import (
    ActionsContext,
    ChannelWriter,
    ConfigError,
    ImageUnderRead,
    Malformed,
    RegistryReader,
    Renderer,
)
from relman_plugins.inspect.sbom import SbomBlob, sbom_blobs

from .table import AssetKind, ForgeSettings

MIB = 1024 * 1024
NOTES = "notes.md"
CHANGELOG = "changelog.json"
RECORD = "release.json"


class Asset(msgspec.Struct, frozen=True):
    """A file of a release. ``text`` is what is in it; where it is `None`, the registry has it under ``blob``."""

    name: str
    type: str
    size: int
    sha256: str
    text: str | None = None
    blob: Reference | None = None

    @classmethod
    def of_text(cls, name: str, type: str, text: str) -> Asset:
        """A text, as it is in the plan."""
        content = text.encode()
        return cls(name, type, len(content), hashlib.sha256(content).hexdigest(), text)

    def as_json(self) -> dict[str, object]:
        """As the plan has it."""
        found: dict[str, object] = {"name": self.name, "type": self.type, "size": self.size, "sha256": self.sha256}
        return found | ({"blob": str(self.blob)} if self.text is None else {"text": self.text})

    def content(self, writer: ChannelWriter) -> bytes:
        """What is in it, which is checked to be what was planned."""
        if self.text is not None:
            content = self.text.encode()
        else:
            assert self.blob is not None
            content = writer.released(self.blob, size=self.size)
        if len(content) != self.size or hashlib.sha256(content).hexdigest() != self.sha256:
            raise Malformed(f"`{self.name}` is not what the plan says: it has other bytes")
        return content


def assets_of(action: Action) -> tuple[Asset, ...]:
    """The assets in a plan. Raises `Malformed` for one that was edited into something else."""
    listed = action.payload.get("assets")
    if not isinstance(listed, list | tuple):
        raise Malformed(f"action `{action.target}` lists no assets")
    return tuple(_read(one, action) for one in listed)


def _read(one: object, action: Action) -> Asset:
    if isinstance(one, Mapping):
        name, type, size, sha256 = (one.get(key) for key in ("name", "type", "size", "sha256"))
        text, blob = one.get("text"), one.get("blob")
        if (
            isinstance(name, str)
            and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name)
            and isinstance(type, str)
            and isinstance(size, int)
            and isinstance(sha256, str)
            and isinstance(text, str) != isinstance(blob, str)
        ):
            return Asset(name, type, size, sha256, text, parse_reference(blob) if isinstance(blob, str) else None)
    raise Malformed(f"action `{action.target}` has an asset that is none in its plan")


# -------------------------------------------------------------------------------------------------- planning


class Planned(msgspec.Struct, frozen=True):
    """The assets of a release, and for people the SBOMs that were asked for and are not there."""

    assets: tuple[Asset, ...]
    missing: tuple[str, ...] = ()


def plan_assets(context: ActionsContext, settings: ForgeSettings, *, notes: bool) -> Planned:
    """What ``settings`` ask for, and the whole ``notes`` where they were cut.

    Raises `ConfigError` for a file that is larger than allowed.
    """
    wanted = set(settings.assets)
    found: list[Asset] = []
    missing: list[str] = []
    if notes or AssetKind.NOTES in wanted:
        found += _notes(context.renderer, whole=AssetKind.NOTES in wanted)
    if AssetKind.RECORD in wanted:
        found.append(Asset.of_text(RECORD, "application/json", record_text(context.release)))
    if AssetKind.SBOM in wanted:
        for asset in _sboms(context.release, context.registry, {asset.name for asset in found}):
            if isinstance(asset, str):
                missing.append(asset)
            else:
                found.append(asset)
    channel = settings.name or settings.type
    for asset in found:
        if asset.size > settings.asset_limit * MIB:
            raise ConfigError(
                f"channel `{channel}` would attach `{asset.name}`, which has {asset.size:,} bytes: "
                f"more than the {settings.asset_limit} MiB that it may",
                hint="raise `asset_limit` in its table, or leave `sbom` out of its `assets`",
            )
    return Planned(tuple(found), tuple(missing))


def _notes(renderer: Renderer, *, whole: bool) -> Iterator[Asset]:
    yield Asset.of_text(NOTES, "text/markdown; charset=utf-8", renderer.notes("markdown"))
    if whole:
        yield Asset.of_text(CHANGELOG, "application/json", renderer.notes("json"))


def record_text(release: Release) -> str:
    """The release as it is known before anything is done: which images it consists of (`relman.release/1`).

    What came of it is in the ledger's record, which is only whole after the release is published.
    """
    document = {
        "schema": "relman.release/1",
        "id": release.id,
        "project": release.project,
        "stream": release.stream,
        "version": release.version,
        "previous": release.previous,
        "previous_id": release.previous_id,
        "variants": [_variant(candidate) for candidate in release.candidates],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _variant(candidate: Candidate) -> dict[str, object]:
    return {
        "name": candidate.variant.name,
        "reference": str(candidate.place.repository.digest(candidate.image.digest)),
        "digest": candidate.image.digest,
        "previous_digest": candidate.follows.digest if candidate.follows else None,
        "platforms": {str(part.platform): part.manifest.digest for part in candidate.image.platforms},
        "revision": candidate.revision,
        "tags": [move.reference.tag for move in candidate.moves],
    }


def _sboms(release: Release, registry: RegistryReader | None, taken: Iterable[str]) -> Iterator[Asset | str]:
    """The newest SBOM of every variant and platform, or where there is none whose it would be."""
    names = set(taken)
    for candidate in release.candidates:
        for platform in candidate.platforms:
            found = _newest(candidate, platform, registry) if registry else None
            if found is None:
                yield f"{candidate.variant.name} ({platform})"
                continue
            asset = _of_blob(_stem(candidate, platform), found, candidate.image.reference)
            number = 1
            while asset.name in names:
                number += 1
                asset = _of_blob(f"{_stem(candidate, platform)}-{number}", found, candidate.image.reference)
            names.add(asset.name)
            yield asset


def _newest(candidate: Candidate, platform: Platform, registry: RegistryReader) -> SbomBlob | None:
    part = candidate.image.on(platform)
    if part is None:
        return None
    image = ImageUnderRead(candidate.image.reference, part, registry)
    # What is attached to an index is of one platform at best: it says for which only inside.
    digests = [part.manifest.digest] + ([candidate.image.digest] if len(candidate.image.platforms) == 1 else [])
    found = (one for digest in dict.fromkeys(digests) for one in sbom_blobs(image, digest))
    return next((one for one in found if one.digest.algorithm == "sha256"), None)


def _of_blob(stem: str, found: SbomBlob, image: Reference) -> Asset:
    blob = image.repository.digest(found.digest)
    return Asset(f"{stem}{_suffix(found)}", _plain(found.media_type), found.size, found.digest.hex, blob=blob)


def _stem(candidate: Candidate, platform: Platform) -> str:
    several = f"-{platform.architecture}{platform.variant or ''}" if len(candidate.platforms) > 1 else ""
    # GitHub would put full stops for what is neither letter, digit nor one of these, and at no end keep one.
    return (
        re.sub(r"[^A-Za-z0-9._-]+", "-", f"{candidate.variant.name}{several}", flags=re.ASCII).strip(".-_") or "image"
    )


_SUFFIXES = (("spdx", ".spdx"), ("cyclonedx", ".cdx"), ("syft", ".syft"), ("in-toto", ".intoto"), ("dsse", ".intoto"))


def _suffix(found: SbomBlob) -> str:
    """By its own type, else by what it is attached as: many are plain JSON by the former."""
    types = (found.media_type.lower(), found.kind.lower())
    kind = next((suffix for type in types for word, suffix in _SUFFIXES if word in type), ".sbom")
    packed = next((end for word, end in (("zst", ".zst"), ("gzip", ".gz")) if word in types[0]), "")
    form = ".xml" if "xml" in types[0] else ".json"
    return f"{kind}{form}{packed}"


def _plain(media_type: str) -> str:
    return media_type if re.fullmatch(r"[\w.+-]+/[\w.+-]+", media_type, re.ASCII) else "application/octet-stream"
