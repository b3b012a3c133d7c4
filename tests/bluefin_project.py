"""The composed set as a project: images in OCI layouts, a checkout, a configuration; and relman run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from relman.registry import Registries
from tests.bluefin import TRAITS, VARIANTS, Composed
from tests.bluefin_commits import History
from tests.bluefin_images import publish

NOW = "1782216000"
"""2026-06-23 12:00 UTC: the day of the newest build."""

TITLES = {
    frozenset({"bluefin", "bluefin-dx", "bluefin-nvidia-open", "bluefin-dx-nvidia-open"}): "All images",
    frozenset({"bluefin-dx", "bluefin-dx-nvidia-open"}): "Dev Experience Images",
    frozenset({"bluefin-nvidia-open", "bluefin-dx-nvidia-open"}): "Nvidia Images",
}
"""What the configuration calls sets of variants; any other is titled by the names in it."""


def make_project(folder: Path, composed: Composed, history: History) -> None:
    """Fill ``folder``: a stream that builds write directly, as Bluefin's is."""
    publish(composed, history, Registries(folder), f"oci:{folder}/images")
    variants = "".join(
        f'[[variants]]\nname = "{variant}"\ntraits = {json.dumps(TRAITS[variant])}\n' for variant in VARIANTS
    )
    (folder / "relman.toml").write_text(
        f"""
[project]
name = "Bluefin"
repository = "https://github.com/ublue-os/bluefin"
checkout = {json.dumps(str(history.folder))}
[registry]
prefix = "oci:images"
{variants}
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
label = "Mesa"
package = "mesa-filesystem"
[[majors]]
label = "Docker"
package = "docker-ce"
traits = ["dx"]
[streams.stable]
tags = ["stable"]
versions = ["stable-{{date}}[.{{point}}]", "stable-{{major}}.{{date}}[.{{point}}]"]
[changelog]
commits = {{ exclude = ["^chore", "^Merge "] }}
[ledger]
path = "releases"
"""
    )


def title(variants: frozenset[str]) -> str:
    """What the notes call this set of variants."""
    return TITLES.get(variants) or ", ".join(variant for variant in VARIANTS if variant in variants)


def relman(project: Path, *arguments: str) -> str:
    """What a command prints; it has to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "relman", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": NOW, "NO_COLOR": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
