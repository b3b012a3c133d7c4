"""Makes the demo: three builds of four variants, the git repository that they were made from, a configuration."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path

import msgspec

from relman.demo.packages import VARIANTS, kernel, sbom
from relman.demo.source import make_source
from relman.model.oci import Repository, parse_repository
from relman.registry.protocol import RegistryWriter
from relman.testing import attach, put_image

MAJOR = 44
DAYS = (date(2026, 6, 20), date(2026, 6, 27), date(2026, 7, 4))
NOW = datetime(2026, 7, 5, 12, tzinfo=UTC)
"""The moment at which the demo is set: the day after the newest build."""

RELEASED = "20260621"

CONFIGURATION = """\
[project]
name = "Bluefin demo"
repository = "https://example.org/demo/bluefin"
checkout = "source"

[registry]
prefix = "{prefix}"

[[variants]]
name = "bluefin"
traits = ["base"]

[[variants]]
name = "bluefin-dx"
traits = ["dx"]

[[variants]]
name = "bluefin-nvidia-open"
traits = ["base", "nvidia"]

[[variants]]
name = "bluefin-dx-nvidia-open"
traits = ["dx", "nvidia"]

[[groups]]
title = "Dev Experience Images"
traits = ["dx"]

[[groups]]
title = "Nvidia Images"
traits = ["nvidia"]

[[majors]]
label = "Kernel"
package = "kernel"

[[majors]]
label = "GNOME"
package = "gnome-shell"

[[majors]]
label = "Mesa"
package = "mesa-filesystem"

[[majors]]
label = "Podman"
package = "podman"

[[majors]]
label = "Docker"
package = "docker-ce"
traits = ["dx"]

[[majors]]
label = "Nvidia"
package = "nvidia-driver"
traits = ["nvidia"]

# What builds push to, every week.
[streams.testing]
tags = ["testing"]
versions = ["testing-{{major}}.{{date}}[.{{point}}]"]

# What users run: a tested build, moved here by digest.
[streams.stable]
tags = ["stable"]
versions = ["stable-{{date}}[.{{point}}]"]
from = "testing"
new_version = "stable-{{today}}[.{{point}}]"

[changelog]
commits = {{ exclude = ["^chore", "^Merge "] }}

[ledger]
path = "releases"

[[announce]]
type = "file"
name = "news"
path = "news/{{{{ version }}}}.md"
streams = ["stable"]
"""


class Demo(msgspec.Struct, frozen=True):
    """Where things are. ``prefix`` is what the repositories lie below, as relman.toml says it."""

    folder: Path
    prefix: str
    revisions: tuple[str, ...]


def build_demo(folder: Path, writer: RegistryWriter, prefix: str) -> Demo:
    """Fill ``folder``, and the repositories below ``prefix``, through ``writer``. The same every time.

    ``prefix`` is ``HOST/path`` or ``oci:FOLDER``; a relative folder is relative to ``folder``, where ``writer`` looks
    for it, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = make_source(folder / "source")
    for build, (day, revision) in enumerate(zip(DAYS, source.revisions, strict=True)):
        for variant in VARIANTS:
            _push(writer, parse_repository(f"{prefix}/{variant}"), variant, build, day, revision)
    (folder / "relman.toml").write_text(CONFIGURATION.format(prefix=prefix), encoding="utf-8")
    return Demo(folder, prefix, source.revisions)


def _push(writer: RegistryWriter, repository: Repository, variant: str, build: int, day: date, revision: str) -> None:
    """One build of one variant under its dated tag. The newest holds `testing`, the oldest is what stable has."""
    tags = [f"testing-{MAJOR}.{day:%Y%m%d}"]
    if build == 0:
        tags += ["stable", f"stable-{RELEASED}"]
    if build == len(DAYS) - 1:
        tags += ["testing"]
    created = datetime.combine(day, time(4, 40), UTC)
    labels = {
        "containers.bootc": "1",
        "org.opencontainers.image.title": variant,
        "org.opencontainers.image.version": f"{MAJOR}.{day:%Y%m%d}",
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.created": created.isoformat().replace("+00:00", "Z"),
        "ostree.linux": kernel(variant, build),
    }
    digest = put_image(writer, repository, tags=tags, labels=labels, created=created)
    attach(
        writer,
        repository,
        digest,
        sbom(variant, build),
        artifact_type="application/vnd.spdx+json",  # what projects call it, although it is syft's own format
        media_type="application/vnd.oci.image.layer.v1.tar",
    )
