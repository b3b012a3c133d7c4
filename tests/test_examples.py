"""The examples are used: on composed registries whose tags have the spellings of the projects' own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType

import pytest

from relman import config as configuration
from relman import standing
from relman.demo.source import make_source
from relman.model.changelog import Changelog
from relman.model.diff import ChangeKind
from relman.model.oci import Digest, Platform
from relman.model.plan import Plan
from relman.model.release import Release
from relman.registry import Registries
from relman.testing import MemoryRegistry, put_image
from relman.walk.comparing import pairs_of_release
from tests.walking import World

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
UBLUE = "ghcr.io/ublue-os"


Checkout = tuple[Path, tuple[str, ...]]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A git repository, and the revisions that builds are made from, the oldest first."""
    folder = tmp_path_factory.mktemp("examples") / "source"
    return folder, make_source(folder).revisions


def project(name: str, folder: Path, checkout: Checkout, *, prefix: str = UBLUE) -> World:
    """The example as a project has it: in its repository. ``prefix`` only says where the images are instead."""
    shutil.copytree(checkout[0], folder, dirs_exist_ok=True)
    text = (EXAMPLES / name / "relman.toml").read_text(encoding="utf-8")
    (folder / "relman.toml").write_text(f'{text}\n[registry]\nprefix = "{prefix}"\n', encoding="utf-8")
    registry = Registries(folder) if prefix.startswith("oci:") else MemoryRegistry(referrers_api=False)
    return World(folder, registry, prefix, datetime(2026, 7, 14, 12, tzinfo=UTC))


def signed(world: World, name: str, digest: Digest) -> None:
    """Beside an image: the tags that hold its signature and its attestation."""
    repository = world.reference(f"{name}@{digest}").repository
    tags = [f"{digest.fallback_tag}.sig", f"{digest.fallback_tag}.att"]
    put_image(world.registry, repository, tags=tags, labels={"of": digest})


def notes(world: World, stream: str) -> tuple[Release, Changelog, str]:
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream(stream))
        changelog = walk.compose(walk.inspect(pairs_of_release(release)), release)
        return release, changelog, walk.instruments.renderer(changelog, release.id).notes("markdown")


def names(release: Release) -> dict[str, tuple[str, str | None]]:
    """Which build each variant is, and what it follows."""
    return {
        c.variant.name: (c.build.tag if c.build else "", c.follows.version if c.follows else None)
        for c in release.candidates
    }


def rows(changelog: Changelog) -> dict[str, dict[str, tuple[ChangeKind, tuple[str, ...], tuple[str, ...]]]]:
    return {
        group.title: {row.packages[0].name: (row.kind, row.before, row.after) for row in group.rows}
        for group in changelog.groups
    }


@pytest.mark.parametrize("name", sorted(file.parent.name for file in EXAMPLES.glob("*/relman.toml")))
def test_an_example_loads(name: str) -> None:
    config = configuration.load(EXAMPLES / name / "relman.toml")

    assert config.streams
    assert config.variants


# ------------------------------------------------------------------------------------------------- Bluefin


def test_bluefin_writes_the_notes_of_what_stable_holds(tmp_path: Path, checkout: Checkout) -> None:
    world = project("bluefin", tmp_path, checkout)
    old, _, new = checkout[1]
    variants = ("bluefin", "bluefin-dx", "bluefin-nvidia-open", "bluefin-dx-nvidia-open")
    for name in variants:
        nvidia = "nvidia" in name
        for day, revision, kernel, moving in (
            (date(2026, 6, 9), old, "6.18.1-200.fc44", ()),
            (date(2026, 6, 23), new, "6.18.5-200.fc44", ("stable", "gts", "latest", "44")),
        ):
            dated = f"{day:%Y%m%d}"
            packages = {"kernel": kernel, "gnome-shell": "50.1-1.fc44", "mesa-filesystem": "26.1.3-1.fc44"}
            packages |= {"nvidia-driver": f"3:{600 + day.day}.1-1.fc44"} if nvidia else {}
            packages |= {"incus": "6.1-1.fc44"} if "dx" in name else {}
            tags = [f"stable-{dated}", f"stable-44.{dated}", f"44.{dated}", f"gts-{dated}", f"stable-daily-{dated}"]
            digest = world.push(
                name,
                *tags,
                *moving,
                day=day,
                packages=packages,
                revision=revision,
                v=name,
                ostree__linux=f"{kernel}.x86_64",
            )
            signed(world, name, digest)
        # Daily builds, newer and in between, which share the bare spelling and are never stable.
        for dated in ("20260616", "20260630", "20260701"):
            daily = [f"44.{dated}", f"stable-daily-44.{dated}", f"stable-daily-{dated}", f"pr-4700-44.{dated}"]
            world.push(name, *daily, packages={"kernel": f"6.19.{dated}-1.fc44"}, v=name)

    release, changelog, text = notes(world, "stable")

    assert names(release) == dict.fromkeys(variants, ("stable-20260623", "stable-20260609"))
    assert [c.image.digest for c in release.candidates] == [world.holds(f"{name}:stable") for name in variants]
    assert [c.follows.digest for c in release.candidates if c.follows] == [
        world.holds(f"{name}:stable-20260609") for name in variants
    ]
    assert (release.version, release.previous) == ("stable-20260623", "stable-20260609")
    assert changelog.title == f"stable-20260623: Stable (F44, #{new[:7]})"
    assert rows(changelog) == {
        "All images": {"kernel": (ChangeKind.UPGRADED, ("6.18.1-200.fc44",), ("6.18.5-200.fc44",))},
        "Nvidia Images": {"nvidia-driver": (ChangeKind.UPGRADED, ("3:609.1-1.fc44",), ("3:623.1-1.fc44",))},
    }
    assert [(major.label, major.before, major.after) for major in changelog.majors][:2] == [
        ("Kernel", ("6.18.1-200.fc44",), ("6.18.5-200.fc44",)),
        ("Gnome", ("50.1-1.fc44",), ("50.1-1.fc44",)),
    ]
    assert {c.reason for c in changelog.commits if not c.listed} == {"excluded by `^chore`"}
    assert "6.18.5" in text
    assert "6.19" not in text
    assert notes(world, "gts")[0].version == "gts-20260623"


def test_one_line_beside_a_checkout_is_enough_for_the_state_and_for_notes(tmp_path: Path, checkout: Checkout) -> None:
    shutil.copytree(checkout[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "relman.toml").write_text('profile = "aurora"\n', encoding="utf-8")
    world = World(tmp_path, MemoryRegistry(referrers_api=False), UBLUE, datetime(2026, 8, 20, 12, tzinfo=UTC))
    for name in ("aurora", "aurora-dx", "aurora-nvidia-open", "aurora-dx-nvidia-open"):
        for tags, day, revision, version in (
            (("stable-20260812", "stable-44.20260812"), date(2026, 8, 12), checkout[1][0], "6.7.3-1.fc44"),
            (("stable-20260819.1", "stable"), date(2026, 8, 19), checkout[1][2], "6.7.4-1.fc44"),
        ):
            world.push(name, *tags, day=day, packages={"plasma-desktop": version}, revision=revision, v=name)

    release, changelog, text = notes(world, "stable")
    with world.walk() as walk:
        states = {name: standing.stream_state(walk, stream) for name, stream in walk.config.streams.items()}

    assert (release.version, release.previous) == ("stable-20260819.1", "stable-20260812")
    assert [(m.label, m.before, m.after) for m in changelog.majors] == [("KDE", ("6.7.3-1.fc44",), ("6.7.4-1.fc44",))]
    assert [variant.version for variant in states["stable"].variants] == ["stable-20260819.1"] * 4
    assert states["beta"].problem == ("variant `aurora` has no candidate: `ghcr.io/ublue-os/aurora:beta` is not there")
    aurora = f"ghcr.io/ublue-os/aurora@{world.holds('aurora:stable')}"
    for command in (
        "sudo bootc switch --enforce-container-sigpolicy ghcr.io/ublue-os/aurora:stable",
        f"sudo bootc switch --enforce-container-sigpolicy {aurora}",
        "sudo bootc rollback",
        f"cosign verify --key https://raw.githubusercontent.com/ublue-os/aurora/main/cosign.pub {aurora}",
        f"oras discover {aurora}",
    ):
        assert f"\n{command}\n" in text


# ------------------------------------------------------------------------------------------------- Bazzite

BAZZITE = (
    "bazzite",
    "bazzite-gnome",
    "bazzite-nvidia",
    "bazzite-gnome-nvidia",
    "bazzite-nvidia-open",
    "bazzite-gnome-nvidia-open",
    "bazzite-deck",
    "bazzite-deck-gnome",
    "bazzite-deck-nvidia",
    "bazzite-deck-nvidia-gnome",
)


def fill_bazzite(world: World, revisions: tuple[str, ...]) -> None:
    """Stable holds 44.20260630; testing went on to a second build of 9 July, of which there were ten."""
    old, middle, new = revisions
    for name in BAZZITE:
        desktop = {"plasma-desktop": "6.7.1-1.fc44"} if "gnome" not in name else {"gnome-shell": "50.2-1.fc44"}
        digest = world.push(
            name,
            *("testing-44.20260629", "44.20260630", "stable", "latest", "stable-44"),
            day=date(2026, 6, 29),
            packages={"kernel-core": "6.18.1-1.bazzite.fc44", **desktop},
            revision=old,
            v=name,
        )
        signed(world, name, digest)
        for tag, kernel, revision in (
            ("testing-44.20260709.9", "6.18.4-1.bazzite.fc44", middle),
            ("testing-44.20260709.10", "6.18.5-1.bazzite.fc44", new),
        ):
            packages = {"kernel-core": kernel, **desktop}
            world.push(name, tag, day=date(2026, 7, 9), packages=packages, revision=revision, v=name)
        world.tag(f"{name}:testing-44.20260709.10", "testing", "testing-44")
        world.push(name, "unstable-44.20260713.1", "unstable", packages={"kernel-core": "7.0-1.fc44"})
        world.push(name, "v3.7.0", "41.20241029.1", "testing-41.20241025.2", day=date(2024, 10, 25), n="old")


def test_bazzite_follows_the_last_stable_and_names_the_new_one_without_a_stream(
    tmp_path: Path, checkout: Checkout
) -> None:
    world = project("bazzite", tmp_path, checkout)
    fill_bazzite(world, checkout[1])

    release, changelog, text = notes(world, "stable")

    assert names(release) == dict.fromkeys(BAZZITE, ("testing-44.20260709.10", "44.20260630"))
    assert release.version == "44.20260714"
    assert [m.reference.tag for m in release.candidates[0].moves] == ["stable", "latest", "stable-44", "44.20260714"]
    assert rows(changelog) == {
        "All images": {
            "kernel-core": (ChangeKind.UPGRADED, ("6.18.1-1.bazzite.fc44",), ("6.18.5-1.bazzite.fc44",)),
        }
    }
    assert len(changelog.commits) == 11
    assert "6.18.5" in text
    assert notes(world, "testing")[0].version == "testing-44.20260709.10"


def relman(folder: Path, *arguments: str, code: int = 0) -> str:
    argv = [sys.executable, "-m", "relman", "--now", "2026-07-14T12:00:00Z", *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "RELMAN_"))}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_bazzite_promotes_testing_to_stable_by_a_plan(tmp_path: Path, checkout: Checkout) -> None:
    world = project("bazzite", tmp_path, checkout, prefix="oci:images")
    fill_bazzite(world, checkout[1])
    tested = {name: world.holds(f"{name}:testing") for name in BAZZITE}
    before = {name: world.holds(f"{name}:stable") for name in BAZZITE}

    plan = json.loads(relman(tmp_path, "plan", "stable", "-o", "plan.json", "--format", "json"))
    assert {name: world.holds(f"{name}:stable") for name in BAZZITE} == before
    relman(tmp_path, "apply", "plan.json")

    assert plan["version"] == "44.20260714"
    for tag in ("stable", "latest", "stable-44", "44.20260714"):
        assert {name: world.holds(f"{name}:{tag}") for name in BAZZITE} == tested
    assert {name: world.holds(f"{name}:44.20260630") for name in BAZZITE} == before
    (record,) = world.ledger.records("stable")
    assert (record.state, record.version, {v.name: v.digest for v in record.variants}) == (
        "finished",
        "44.20260714",
        tested,
    )


# --------------------------------------------------------------------------------------------- Bluefin LTS

BOTH = ("linux/amd64", "linux/arm64")


def fill_lts(
    world: World, revisions: tuple[str, ...], platforms: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> None:
    """Releases of both spellings: `lts-20250602`, and `lts.20250808`, which holds `lts`."""
    old, _, new = revisions
    for name in ("bluefin", "bluefin-dx", "bluefin-gdx"):
        for tags, day, revision, kernel in (
            (("lts-20250602",), date(2025, 6, 2), old, "6.12.0-55.el10"),
            (("lts.20250808", "lts", "stream10"), date(2025, 8, 8), new, "6.12.0-100.el10"),
        ):
            there = platforms.get(name, BOTH)
            digest = world.push(
                name, *tags, day=day, packages={"kernel": kernel}, revision=revision, platforms=there, v=name
            )
            signed(world, name, digest)
        world.push(name, "lts-testing-50-20260502", "lts-hwe-20260502", "lts-amd64", "lts-testing", n="other")


def test_bluefin_lts_compares_both_platforms_over_both_spellings(tmp_path: Path, checkout: Checkout) -> None:
    world = project("bluefin-lts", tmp_path, checkout)
    fill_lts(world, checkout[1])

    release, changelog, text = notes(world, "lts")

    variants = ("bluefin", "bluefin-dx", "bluefin-gdx")
    assert names(release) == dict.fromkeys(variants, ("lts.20250808", "lts-20250602"))
    assert [c.platforms for c in release.candidates] == [tuple(map(Platform.parse, BOTH))] * 3
    assert [c.image.digest for c in release.candidates] == [world.holds(f"{name}:lts") for name in variants]
    assert [
        (
            group.variants,
            tuple(map(str, group.platforms)),
            [(p.name, p.arch) for row in group.rows for p in row.packages],
        )
        for group in changelog.groups
    ] == [
        (variants, ("linux/amd64",), [("kernel", "x86_64")]),
        (variants, ("linux/arm64",), [("kernel", "aarch64")]),
    ]
    assert changelog.accounting.packages_changed == 6
    assert "6.12.0-100" in text


def test_bluefin_lts_keeps_out_an_image_that_lacks_a_platform(tmp_path: Path, checkout: Checkout) -> None:
    world = project("bluefin-lts", tmp_path, checkout)
    fill_lts(world, checkout[1], {"bluefin-gdx": ("linux/amd64",)})

    with world.walk() as walk:
        plan = walk.plan(walk.config.stream("lts"))

    assert [(gate.gate, gate.variant, gate.reason) for gate in plan.closed] == [
        ("complete", "bluefin-gdx", "the image has no linux/arm64: it has linux/amd64")
    ]


# --------------------------------------------------------------------------------------------------- uCore

UCORE = {
    "ucore-minimal": ("ucore-minimal", ""),
    "ucore-minimal-nvidia": ("ucore-minimal", "-nvidia"),
    "ucore-minimal-nvidia-lts": ("ucore-minimal", "-nvidia-lts"),
    "ucore": ("ucore", ""),
    "ucore-nvidia": ("ucore", "-nvidia"),
    "ucore-nvidia-lts": ("ucore", "-nvidia-lts"),
    "ucore-hci": ("ucore-hci", ""),
    "ucore-hci-nvidia": ("ucore-hci", "-nvidia"),
    "ucore-hci-nvidia-lts": ("ucore-hci", "-nvidia-lts"),
}


def test_ucore_tells_variants_of_one_repository_apart_by_their_suffix(tmp_path: Path, checkout: Checkout) -> None:
    world = project("ucore", tmp_path, checkout)
    old, _, new = checkout[1]
    built: dict[str, dict[str, Digest]] = {}
    for name, (repository, suffix) in UCORE.items():
        driver = {"nvidia-driver": f"3:{len(name)}.1-1.fc44"} if suffix else {}
        built[name] = {
            stream: world.push(
                repository,
                *(f"{stream}{suffix}-{day:%Y%m%d}", *moving),
                day=day,
                packages={"kernel": kernel, **driver},
                revision=revision,
                v=f"{name} {stream}",
            )
            for stream, day, kernel, revision, moving in (
                ("stable", date(2026, 6, 20), "6.18.1-1.fc44", old, (f"stable{suffix}",)),
                ("testing", date(2026, 7, 12), "6.18.5-1.fc44", new, (f"testing{suffix}",)),
            )
        }

    with world.walk() as walk:
        plan: Plan = walk.plan(walk.config.stream("stable"))
        release = walk.resolve(walk.config.stream("stable"))
        walk.apply(plan, lambda action, receipt: None)

    assert names(release) == {
        name: (f"testing{suffix}-20260712", f"stable{suffix}-20260620") for name, (_, suffix) in UCORE.items()
    }
    assert {c.variant.name: c.image.digest for c in release.candidates} == {
        name: digests["testing"] for name, digests in built.items()
    }
    assert (plan.version, plan.previous) == ("stable-20260714", "stable-20260620")
    for name, (repository, suffix) in UCORE.items():
        for tag in (f"stable{suffix}", f"stable{suffix}-20260714"):
            assert world.holds(f"{repository}:{tag}") == built[name]["testing"]
        assert world.holds(f"{repository}:stable{suffix}-20260620") == built[name]["stable"]
    assert [(major.label, major.after) for major in plan.changelog.majors] == [("Kernel", ("6.18.5-1.fc44",))]
    assert rows(plan.changelog) == {
        "All images": {"kernel": (ChangeKind.UPGRADED, ("6.18.1-1.fc44",), ("6.18.5-1.fc44",))}
    }
