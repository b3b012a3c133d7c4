"""`relman diff --changelogs --security --files` and the notes, on real databases by rpm and on a real registry."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from relman.model.oci import Reference, parse_repository
from relman.registry import Registries
from relman.registry.protocol import RegistryWriter
from relman.testing import attach
from tests.integration.driver import relman
from tests.layer_factories import RPMDB, gzipped, noise, put_layers
from tests.rpm_builds import two_builds
from tests.walking import sbom

CONFIGURATION = """\
[project]
name = "Composed"
[packages]
minimum = 1
[changelog]
commits = { required = false }
"""
CHANGELOGS = [
    {
        "source": "composed-ssl",
        "packages": ["composed-ssl", "composed-ssl-libs"],
        "entries": [
            {
                "time": "2026-06-16T12:00:00Z",
                "author": "Composed <composed@example.org> - 1.10-1",
                "text": "- Update to 1.10\n- Fix an overrun in the\n  parser (CVE-2026-1234)\n- Fix CVE-2026-999",
            },
            {
                "time": "2026-06-15T12:00:00Z",
                "author": "Somebody <somebody@example.org> - 1.9-1",
                "text": "- Fix CVE-2026-20000 and, again, cve-2026-1234",
            },
        ],
    }
]
SECURITY = [
    {
        "id": "CVE-2026-20000",
        "packages": ["composed-ssl", "composed-ssl-libs"],
        "text": "Fix CVE-2026-20000 and, again, cve-2026-1234",
    },
    {
        "id": "CVE-2026-1234",
        "packages": ["composed-ssl", "composed-ssl-libs"],
        "text": "Fix an overrun in the parser (CVE-2026-1234)",
    },
]
FILES = [{"path": "/etc/composed.conf", "config": True}, {"path": "/usr/lib/composed/ssl", "config": False}]
ROWS = [
    ("renamed", "composed-new", "composed-old", ["1.0-1"], ["2.0-1"]),
    ("upgraded", "composed-ssl", None, ["1.9-1"], ["1.10-1"]),
    ("upgraded", "composed-ssl-libs", None, ["1.9-1"], ["1.10-1"]),
]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("rpm") is None or shutil.which("rpmbuild") is None:
        pytest.skip("builds packages with rpmbuild, which is not installed")
    return two_builds(tmp_path_factory.mktemp("builds"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "relman.toml").write_text(CONFIGURATION)
    return tmp_path


def rows(document: object) -> list[tuple[object, ...]]:
    """The changes of a diff, as far as they matter here."""
    assert isinstance(document, dict)
    return [(c["kind"], c["name"], c.get("name_before"), c["before"], c["after"]) for c in document["changes"]]


def test_a_real_database_tells_all_of_it_and_a_rename_is_one_row(databases: tuple[Path, Path], folder: Path) -> None:
    places = [f"rpmdb:{database}" for database in databases]

    found = relman(folder, "diff", *places, "--changelogs", "--security", "--files", "--format", "json").json

    assert rows(found) == ROWS
    assert (found["changelogs"], found["security"], found["files"]) == (CHANGELOGS, SECURITY, FILES)
    assert (found["exact"], found["notes"]) == (True, [])


@pytest.fixture
def images(docker_registry: str, databases: tuple[Path, Path], folder: Path) -> list[Reference]:
    """Both builds on the registry, each with its database in a layer and, attached, an SBOM that came first."""
    lists = [
        {"composed-old": "1.0-1", "composed-same": "1.0-1", "composed-ssl": "1.9-1", "composed-ssl-libs": "1.9-1"},
        {"composed-new": "2.0-1", "composed-same": "1.0-1", "composed-ssl": "1.10-1", "composed-ssl-libs": "1.10-1"},
    ]
    name = f"{docker_registry}/details/os-{next(_numbers)}"
    with Registries(folder) as writer:
        return [
            _put(writer, name, f"build-{number}", (database / "rpmdb.sqlite").read_bytes(), sbom(packages, "noarch"))
            for number, (database, packages) in enumerate(zip(databases, lists, strict=True))
        ]


def _put(writer: RegistryWriter, name: str, tag: str, database: bytes, listed: bytes) -> Reference:
    repository = parse_repository(name)
    layers = [gzipped({"usr/bin/x": noise(10_000)}), gzipped({RPMDB: database}).named(chunkah="bigfiles/rpmdb.sqlite")]
    reference = put_layers(writer, repository, layers, tag=tag, labels={"org.opencontainers.image.version": tag})
    assert reference.digest is not None
    attach(writer, repository, reference.digest, listed, "application/vnd.syft+json", "application/json")
    return reference


def test_the_database_is_read_where_more_than_the_packages_is_asked_for(images: list[Reference], folder: Path) -> None:
    command = ("diff", *map(str, images), "--format", "json")

    plain = relman(folder, *command).json
    told = relman(folder, *command, "--security").json
    again = relman(folder, *command, "--security").json  # by now from the cache

    assert [plain[side]["source"] for side in ("before", "after")] == ["sbom", "sbom"]
    assert [told[side]["source"] for side in ("before", "after")] == ["rpmdb", "rpmdb"]
    (why,) = plain["before"]["passed_over"]
    assert why.startswith("contents: the image has no list of relman's, neither attached nor inside")
    assert "passed_over" not in told["before"]
    assert told["security"] == SECURITY
    assert "changelogs" not in told
    assert "files" not in told
    assert rows(told) == ROWS
    assert again == told


def test_where_the_database_is_out_of_reach_the_list_serves_and_the_reason_is_said(
    images: list[Reference], folder: Path
) -> None:
    (folder / "relman.toml").write_text(CONFIGURATION.replace("minimum = 1", 'minimum = 1\nsources = ["sbom"]'))

    ran = relman(folder, "diff", *map(str, images), "--security", "--files", "--verbose")

    said = [line.strip() for line in ran.stdout.splitlines() if "not known" in line or "  note " in line]
    assert said == [
        "note    The source `sbom` of both sides has no changelogs: which entries and security fixes are new cannot be "
        "told.",
        "note    The source `sbom` of both sides knows no files: which of them changed cannot be told.",
        "security fixes: not known",
        "files: not known",
    ]


def test_the_notes_name_fixes_where_the_database_is_read_and_read_it_where_they_are_told_to(
    images: list[Reference], folder: Path
) -> None:
    command = ("changelog", *map(str, images), "--format", "json")
    unknown = relman(folder, *command).json
    (folder / "relman.toml").write_text(CONFIGURATION + "security = true\n")
    opted = relman(folder, *command).json
    (folder / "relman.toml").write_text(CONFIGURATION.replace("minimum = 1", 'minimum = 1\nsources = ["rpmdb"]'))
    read_anyway = relman(folder, *command).json

    assert unknown["security"] is None
    assert opted["security"] == read_anyway["security"] == SECURITY
