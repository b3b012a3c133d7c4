"""The composed set as images in a registry: labels, lists of contents and tags as Bluefin's builds have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from relman.model.oci import Digest, Repository, parse_repository
from relman.registry.protocol import RegistryWriter
from relman.testing import attach, put_image
from tests import bluefin_sboms as sboms
from tests.bluefin import DATES, MAJOR, Composed
from tests.bluefin_commits import History

SPDX = "application/vnd.spdx+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
FORMATS: Mapping[str, str] = {
    "bluefin": "syft",
    "bluefin-dx": "syft-zstd",
    "bluefin-nvidia-open": "spdx",
    "bluefin-dx-nvidia-open": "cyclonedx",
}
"""How each list is written: `syft`, `syft-zstd`, `spdx`, `cyclonedx`, or `label` for rechunk's label alone."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where the set lies. ``digests`` are those of the builds, by variant and number."""

    prefix: str
    digests: Mapping[tuple[str, int], Digest]

    def repository(self, variant: str) -> Repository:
        """Where a variant's images are."""
        return parse_repository(f"{self.prefix}/{variant}")


def tags_of(day: date) -> tuple[str, ...]:
    """The dated tags of a stable build, all for one digest (docs of `generate-build-tags`: 13 spellings of a day)."""
    text = f"{day:%Y%m%d}"
    both = [f"{stream}-{form}" for stream in ("stable", "stable-daily", "gts") for form in (text, f"{MAJOR}.{text}")]
    return (f"{MAJOR}.{text}", *both, f"latest-{MAJOR}.{text}", f"latest-{text}")


MOVING = ("latest", "stable", "stable-daily", "gts", str(MAJOR))


def publish(
    composed: Composed,
    history: History,
    writer: RegistryWriter,
    prefix: str,
    *,
    formats: Mapping[str, str] = FORMATS,
    by_fallback_tag: bool = False,
) -> Published:
    """Write every build of the variants that ``formats`` names below ``prefix``: the newest holds the moving tags.

    Between the builds lies a daily one, which shares the bare `44.…` spelling with them and is never stable; beside
    them lie a signature's tag and the tag of a pull request.
    """
    digests: dict[tuple[str, int], Digest] = {}
    for variant in formats:
        repository = parse_repository(f"{prefix}/{variant}")
        for build, day in enumerate(DATES):
            tags = [*tags_of(day), f"pr-47{build}-{MAJOR}.{day:%Y%m%d}"]
            if build == len(DATES) - 1:
                tags += MOVING
            labels = _labels(composed, history, variant, build)
            packages = composed.installed(variant, build)
            if formats[variant] == "label":
                labels["dev.hhd.rechunk.info"] = sboms.rechunk(
                    packages, composed.trusted[build], version=labels[_VERSION], revision=labels[_REVISION]
                )
            digest = put_image(writer, repository, tags=tags, labels=labels, created=_created(day))
            digests[variant, build] = digest
            put_image(writer, repository, tags=[f"{digest.fallback_tag}.sig"], labels={"signature": digest})
            if formats[variant] != "label":
                content, artifact_type = _list(formats[variant], composed, variant, build)
                attach(
                    writer,
                    repository,
                    digest,
                    content,
                    artifact_type=artifact_type,
                    media_type=LAYER,
                    by_fallback_tag=by_fallback_tag,
                )
        daily = [f"{MAJOR}.20260620", f"stable-daily-{MAJOR}.20260620", "stable-daily-20260620"]
        put_image(writer, repository, tags=daily, labels={_TITLE: variant, _VERSION: f"{MAJOR}.20260620"})
    return Published(prefix, digests)


_TITLE = "org.opencontainers.image.title"
_VERSION = "org.opencontainers.image.version"
_REVISION = "org.opencontainers.image.revision"


def _created(day: date) -> datetime:
    return datetime.combine(day, time(4, 40), UTC)


def _labels(composed: Composed, history: History, variant: str, build: int) -> dict[str, str]:
    kernels = [p for p in composed.installed(variant, build) if p.name == "kernel-core"]
    return {
        "containers.bootc": "1",
        _TITLE: variant,
        _VERSION: f"stable-{DATES[build]:%Y%m%d}",
        _REVISION: history.revisions[build],
        "org.opencontainers.image.created": _created(DATES[build]).isoformat().replace("+00:00", "Z"),
        "ostree.linux": f"{kernels[0].version}.{kernels[0].arch}",
    }


def _list(form: str, composed: Composed, variant: str, build: int) -> tuple[bytes, str]:
    """The list's bytes, and the artifact type that projects publish it under."""
    packages, keys = composed.installed(variant, build), composed.trusted[build]
    if form == "spdx":
        return sboms.spdx(packages, keys, build), SPDX
    if form == "cyclonedx":
        return sboms.cyclonedx(packages, keys, build), "application/vnd.cyclonedx+json"
    content = sboms.syft(packages, keys, build)
    return (sboms.compressed(content) if form == "syft-zstd" else content), SPDX
