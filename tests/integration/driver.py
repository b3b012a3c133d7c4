"""Runs `relman` as its users do, as a program, in project folders that are made to order from a small composed set.

Two variants, three builds, 131 or 134 packages each: `stable` holds the first build, `testing` the second, and the
third waits under its dated tag alone. The large set is `tests.bluefin`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

from relman.model.oci import Digest, parse_repository
from relman.registry import Registries
from relman.registry.protocol import OCI_MANIFEST, RegistryWriter
from relman.testing import attach, put_image
from tests import bluefin_sboms as sboms
from tests.bluefin import Installed
from tests.bluefin_commits import History, make_history
from tests.integration import forked

VARIANTS = ("base", "dx")
DAYS = (date(2026, 6, 9), date(2026, 6, 16), date(2026, 6, 23))
NOW = datetime(2026, 6, 24, 12, tzinfo=UTC)
RELEASED = "stable-20260610"
"""The dated tag that `stable` had before relman came: the first build's."""

REVISION = "org.opencontainers.image.revision"
_FOREIGN = (
    "GITHUB_",
    "RELMAN_",
    "SOURCE_DATE_",
    "GIT_",
    "XDG_",
    "REGISTRY_AUTH",
    "DOCKER_CONFIG",
    "NO_COLOR",
    "FORCE_",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    arguments: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What was printed, as JSON: all of it, or it is no JSON."""
        return json.loads(self.stdout)


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Ours without what says how to run, with a home that knows no login and the time of the set."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    fixed = {"HOME": str(folder), "SOURCE_DATE_EPOCH": f"{NOW.timestamp():.0f}", "GIT_CONFIG_SYSTEM": os.devnull}
    return {**own, **fixed, **extra}


def command(arguments: Sequence[str]) -> list[str]:
    """What to run for `relman` with these arguments."""
    return [sys.executable, "-m", "relman", *arguments]


def relman(folder: Path, *arguments: str, code: int | None = 0, stdin: str | None = None, **variables: str) -> Ran:
    """Run it in ``folder`` and see that it exits with ``code``; `None` leaves that to the caller."""
    if forked.fits(variables):
        done = forked.run(arguments, folder, environment(folder, variables), stdin, 120)
    else:
        done = subprocess.run(
            command(arguments),
            cwd=folder,
            env=environment(folder, variables),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    ran = Ran(arguments, done.returncode, done.stdout, done.stderr)
    assert code is None or ran.code == code, f"relman {' '.join(arguments)} exited with {ran.code}:\n{ran.stderr}"
    assert "Traceback" not in ran.stderr or "--verbose" in arguments, ran.stderr
    return ran


def mortal(folder: Path, reins: forked.Reins, *arguments: str) -> Ran:
    """Run it in ``folder`` until it ends, or is killed by ``reins``: then its code is minus the signal's number."""
    done = forked.run(arguments, folder, environment(folder, {}), None, 120, reins)
    return Ran(arguments, done.returncode, done.stdout, done.stderr)


def start(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Begin it in ``folder``, to be interrupted or killed, and then waited for."""
    return subprocess.Popen(
        command(arguments),
        cwd=folder,
        env=environment(folder, variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever starts tests in the background has interrupts ignored, and that is inherited.
        preexec_fn=_interruptible,
    )


def _interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def installed(variant: str, build: int) -> tuple[Installed, ...]:
    """The small set: in each build one package of all is upgraded, and in the second `dx` gets one more."""
    names = [f"package-{number:03}" for number in range(131)] + ["tool-a", "tool-b", "tool-c"] * (variant == "dx")
    found = [
        Installed(name, "x86_64", f"1.{max((b for b in range(build + 1) if number == b), default=0)}-1.fc44", name)
        for number, name in enumerate(names)
    ]
    return (*found, *([Installed("tool-new", "noarch", "2.0-1.fc44", "tool-new")] if variant == "dx" and build else []))


def publish(writer: RegistryWriter, prefix: str, history: History) -> dict[tuple[str, int], Digest]:
    """Write the small set below ``prefix``; the digests by variant and build."""
    digests = {}
    for variant, (build, day) in itertools.product(VARIANTS, enumerate(DAYS)):
        tags = [f"testing-44.{day:%Y%m%d}", *[("stable", RELEASED), ("testing",), ()][build]]
        digests[variant, build] = put_build(writer, f"{prefix}/{variant}", variant, build, history, tags)
    return digests


def put_build(
    writer: RegistryWriter,
    repository: str,
    variant: str,
    build: int,
    history: History,
    tags: Sequence[str],
    *,
    labels: Mapping[str, str | None] | None = None,
    sbom: bytes | None = None,
    platform: str = "linux/amd64",
) -> Digest:
    """One build of one variant. ``labels`` change its own, or take away those that are `None`; ``sbom`` is its list."""
    place = parse_repository(repository)
    created = datetime.combine(DAYS[build], time(4, 40), UTC)
    own: dict[str, str | None] = {
        "org.opencontainers.image.title": variant,
        "org.opencontainers.image.version": f"44.{DAYS[build]:%Y%m%d}",
        REVISION: history.revisions[build],
        **(labels or {}),
    }
    kept = {name: value for name, value in own.items() if value is not None}
    digest = put_image(writer, place, tags=tags, labels=kept, created=created, platform=platform)
    content = sboms.syft(installed(variant, build), (), build) if sbom is None else sbom
    kind, media_type = "application/vnd.spdx+json", "application/vnd.oci.image.layer.v1.tar"
    attach(writer, place, digest, content, artifact_type=kind, media_type=media_type)
    return digest


CONFIGURATION = """\
[project]
name = "Composed"
repository = "https://example.org/composed/os"
checkout = {checkout}
[registry]
prefix = "{prefix}"
[[variants]]
name = "base"
traits = ["base"]
[[variants]]
name = "dx"
traits = ["dx"]
[streams.testing]
tags = ["testing"]
versions = ["testing-{{major}}.{{date}}[.{{point}}]"]
[streams.stable]
tags = ["stable"]
versions = ["stable-{{date}}[.{{point}}]"]
from = "testing"
new_version = "stable-{{today}}[.{{point}}]"
[changelog]
commits = {{ exclude = ["^chore", "^Merge "] }}
[ledger]
path = "releases"
"""


@dataclass(frozen=True)
class Project:
    """A folder with a relman.toml. ``store`` is where its images really are, whatever stands before that."""

    folder: Path
    store: str
    history: History
    digests: Mapping[tuple[str, int], Digest]

    def relman(self, *arguments: str, code: int | None = 0, **variables: str) -> Ran:
        """Run relman in the folder."""
        return relman(self.folder, *arguments, code=code, **variables)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Begin relman in the folder."""
        return start(self.folder, *arguments, **variables)

    def plan(self, stream: str = "stable", **variables: Any) -> dict[str, Any]:
        """Save a plan of ``stream`` as plan.json, and answer with it."""
        self.relman("plan", stream, "-o", "plan.json", "--quiet", **variables)
        plan: dict[str, Any] = self.read("plan.json")
        return plan

    def read(self, path: str) -> Any:
        """A JSON file of the folder; a glob that fits one alone will do."""
        (file,) = self.folder.glob(path)
        return json.loads(file.read_bytes())

    @property
    def record(self) -> Any:
        """The one record of `stable`."""
        return self.read("releases/stable/*/record.json")

    def configure(self, old: str, new: str) -> None:
        """Change relman.toml."""
        file = self.folder / "relman.toml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def add(self, text: str) -> None:
        """Append tables to relman.toml."""
        file = self.folder / "relman.toml"
        file.write_text(f"{file.read_text()}{text}\n")

    @property
    def writer(self) -> Registries:
        """For changing what lies in the registry, past every front."""
        return Registries(self.folder)

    def repository(self, variant: str) -> str:
        """Where a variant's images are, as relman names it."""
        return f"{self.store}/{variant}"

    def retag(self, variant: str, tag: str, build: int) -> None:
        """Point a tag at another build, as somebody else would."""
        place = parse_repository(self.repository(variant))
        manifest = self.writer.manifest(place.digest(self.digests[variant, build]))
        self.writer.put_manifest(place, manifest.content, OCI_MANIFEST, tag=tag)

    def holds(self, tag: str) -> dict[str, str | None]:
        """The digest under a tag in every variant's repository, as skopeo sees it."""
        return {variant: self._seen_by_skopeo(variant, tag) for variant in VARIANTS}

    def builds(self, *tags: str) -> dict[str, set[int | None]]:
        """Which builds are under each tag, over all variants: one alone where they agree."""
        names: dict[str | None, int] = {digest: build for (_, build), digest in self.digests.items()}
        return {tag: {names.get(digest) for digest in self.holds(tag).values()} for tag in tags}

    def _seen_by_skopeo(self, variant: str, tag: str) -> str | None:
        place = self.repository(variant)
        oci = place.startswith("oci:")
        source = f"oci:{self.folder / place.removeprefix('oci:')}:{tag}" if oci else f"docker://{place}:{tag}"
        done = subprocess.run(
            ["skopeo", "inspect", "--raw", "--tls-verify=false", source], capture_output=True, check=False, timeout=60
        )
        return f"sha256:{hashlib.sha256(done.stdout).hexdigest()}" if done.returncode == 0 else None


@dataclass
class Workshop:
    """Makes projects, each with its images in a place of its own."""

    folder: Path
    registry: str
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def history(self) -> History:
        """The git repository that all images of all workshops are built from."""
        return _history(self.folder.parent / "source-of-all")

    def layouts(self, extra: str = "") -> Project:
        """A project on OCI layouts, in a folder that can be copied as a whole."""
        folder = self._fresh()
        template, digests = _template(self.folder.parent / "layouts-of-all", self.history)
        shutil.copytree(template, folder / "images")
        return self._project(folder, "oci:images", "oci:images", digests, extra)

    def behind(self, host: str, extra: str = "") -> Project:
        """A project on the real docker-registry, which it knows as ``host``: a front's, or its own."""
        folder = self._fresh()
        name = f"walk/{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        store = f"{self.registry}/{name}"
        with Registries(folder) as writer:
            digests = publish(writer, store, self.history)
        return self._project(folder, f"{host}/{name}", store, digests, extra)

    def _fresh(self) -> Path:
        folder = self.folder / f"project-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder

    def _project(
        self, folder: Path, prefix: str, store: str, digests: Mapping[tuple[str, int], Digest], extra: str
    ) -> Project:
        text = CONFIGURATION.format(checkout=json.dumps(str(self.history.folder)), prefix=prefix)
        (folder / "relman.toml").write_text(text + extra)
        return Project(folder, store, self.history, digests)


@functools.cache
def _made(key: str) -> list[Any]:
    return []


def _history(folder: Path) -> History:
    """Made once for a whole run, wherever it was first asked for."""
    made = _made("history")
    if not made:
        made.append(make_history(folder))
    found: History = made[0]
    return found


def _template(folder: Path, history: History) -> tuple[Path, Mapping[tuple[str, int], Digest]]:
    """The small set as layouts, made once for a whole run."""
    made = _made("layouts")
    if not made:
        folder.mkdir(parents=True)
        made.append((folder / "images", publish(Registries(folder), "oci:images", history)))
    found: tuple[Path, Mapping[tuple[str, int], Digest]] = made[0]
    return found
