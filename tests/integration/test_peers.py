"""Side by side with the tools that others list packages with, on the same images: rpm, dpkg-query and syft.

Where a tool gives another row than relman, the rule that explains it is written here. syft takes minutes to build:
`./dev test --peers` does it, and without it what needs it is not run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from relman.model.contents import Contents
from relman.model.oci import parse_reference, parse_repository
from relman.plugin import ImageUnderRead
from relman.registry.layout import Layouts
from relman.testing import MemoryRegistry
from relman.walk.compare import compare_contents
from relman_plugins.inspect.sbom import SbomSource
from tests import trap_sources
from tests.layer_factories import RPMDB, Entries, Symlink, gzipped, put_layers, read
from tests.test_databases import SPECS, build
from tests.test_traps import expected, ordered, shown
from tests.traps import TRAPS, Pkg

FORMS = {
    "syft-json": frozenset({"obsoletes"}),
    "spdx-json": frozenset({"obsoletes", "modules"}),
    "cyclonedx-json": frozenset({"obsoletes", "modules"}),
}
"""syft's formats, and what each cannot say of rpm packages."""
SYSTEMS = {"rpm": "fedora\nVERSION_ID=44", "deb": "debian\nVERSION_ID=13", "alpm": "arch\nBUILD_ID=rolling"}
STATUS = Path("/var/lib/dpkg/status")

needs_syft = pytest.mark.skipif(
    shutil.which("syft") is None, reason="`syft` is not there: `./dev test --peers` builds it"
)
needs_rpm = pytest.mark.skipif(
    shutil.which("rpm") is None or shutil.which("rpmbuild") is None, reason="`rpm` and `rpmbuild` are not installed"
)
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="`dpkg-query` is not installed")

Rows = list[tuple[str, str | None, str, str | None]]


def rows(found: Contents) -> Rows:
    """Name, arch, version and source of every package."""
    return sorted((p.name, p.arch, p.version, p.source) for p in found.packages)


def image(folder: Path, system: str, files: Entries) -> Contents:
    """An image in a layout `os` below ``folder``, and what relman finds in its layers."""
    release = {"etc/os-release": f"NAME=composed\nID={SYSTEMS[system]}\n".encode()}
    layouts = Layouts(folder)
    found = read(layouts, put_layers(layouts, parse_repository("oci:os"), [gzipped(release), gzipped(files)]))
    assert isinstance(found, Contents), found
    return found


def syft(folder: Path) -> dict[str, Path]:
    """What syft writes of the image in ``folder``, by format."""
    written = {form: folder / f"{form}.json" for form in FORMS}
    command = ["syft", "scan", "--quiet", f"oci-dir:{folder / 'os'}"]
    command += [f"--output={form}={path}" for form, path in written.items()]
    environment = {**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false", "SYFT_FORMAT_PRETTY": "false"}
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=environment)
    return written


def listed(path: Path) -> Contents:
    """What relman reads of a list."""
    found = SbomSource().read(ImageUnderRead(parse_reference(f"sbom:{path}"), None, MemoryRegistry()))
    assert isinstance(found, Contents), found
    return found


def artifacts(path: Path, kind: str) -> list[dict[str, Any]]:
    """syft's own rows of one kind."""
    return [one for one in json.loads(path.read_bytes())["artifacts"] if one["type"] == kind]


# ------------------------------------------------------------------------------------------------------- rpm


def real(folder: Path) -> bytes:
    """A database that rpm itself made: an epoch, two architectures, two kernels, `~` and `^`."""
    for name, spec in SPECS.items():
        build(folder, name, spec)
    build(folder, "beta", SPECS["beta"], "i686")
    files = sorted(map(str, folder.glob("RPMS/*/*.rpm")))
    options = ["--justdb", "--nodeps", "--ignorearch", "--noscripts", "--force"]
    subprocess.run(["rpm", f"--dbpath={folder / 'db'}", "-i", *options, *files], check=True, capture_output=True)
    return (folder / "db" / "rpmdb.sqlite").read_bytes()


@needs_rpm
@needs_syft
def test_rpm_syft_and_relman_give_the_same_rows_of_a_real_database(tmp_path: Path) -> None:
    database = real(tmp_path)
    link = {"usr/lib/sysimage/rpm": Symlink("../../share/rpm")}
    ours = image(tmp_path, "rpm", {RPMDB: database, **link, "usr/lib/node_modules/alpha/package.json": NPM})
    asked = "%{NAME}\t%{ARCH}\t%{EVR}\t%{SOURCERPM}\n"
    done = subprocess.run(
        ["rpm", f"--dbpath={tmp_path / 'db'}", "-qa", f"--qf={asked}"], check=True, capture_output=True, text=True
    )
    written = syft(tmp_path)

    by_rpm = [line.split("\t") for line in done.stdout.splitlines()]
    by_syft = artifacts(written["syft-json"], "rpm")

    assert rows(ours) == sorted((n, a, evr, source.rsplit("-", 2)[0]) for n, a, evr, source in by_rpm)
    assert rows(ours) == sorted(
        (one["name"], one["metadata"]["architecture"], one["version"], one["metadata"]["sourceRpm"].rsplit("-", 2)[0])
        for one in by_syft
    )
    assert [one["name"] for one in artifacts(written["syft-json"], "npm")] == ["alpha"], "of the same name as an rpm"
    for path in written.values():
        assert listed(path).packages == ours.packages


NPM = b'{"name": "alpha", "version": "9.9.9"}'


# ------------------------------------------------------------------------------------------------------ dpkg


def everything() -> bytes:
    """This machine's own packages, where it is of Debian's kin, and the traps."""
    traps = [one for trap in TRAPS["deb"] for one in trap.after]
    own = STATUS.read_bytes().rstrip() + b"\n\n" if STATUS.exists() else b""
    names = {line.partition(b" ")[2] for line in own.splitlines() if line.startswith(b"Package: ")}
    new = [one for one in traps if one.name.encode() not in names]
    return own + trap_sources.status(new)["var/lib/dpkg/status"]


@needs_dpkg
@needs_syft
def test_dpkg_query_syft_and_relman_give_the_same_rows_of_the_same_status(tmp_path: Path) -> None:
    status = everything()
    ours = image(tmp_path, "deb", {"var/lib/dpkg/status": status})
    admin = tmp_path / "admin"
    for folder in ("info", "updates", "triggers"):
        (admin / folder).mkdir(parents=True)
    (admin / "status").write_bytes(status)
    asked = "${db:Status-Status}\t${Package}\t${Architecture}\t${Version}\t${source:Package}\n"
    done = subprocess.run(
        ["dpkg-query", f"--admindir={admin}", "-W", "-f", asked], check=True, capture_output=True, text=True
    )
    written = syft(tmp_path)

    by_dpkg = [line.split("\t") for line in done.stdout.splitlines()]
    by_syft = artifacts(written["syft-json"], "deb")

    # dpkg-query lists what is half there, too; relman and syft list what is installed.
    there = [row for row in by_dpkg if row[0] in ("installed", "triggers-awaited", "triggers-pending")]
    assert rows(ours) == sorted((n, a, v, source) for _, n, a, v, source in there)
    # syft leaves the source out where it has the package's own name.
    assert rows(ours) == sorted(
        (one["name"], one["metadata"]["architecture"], one["version"], one["metadata"]["source"] or one["name"])
        for one in by_syft
    )
    for path in written.values():
        assert rows(listed(path)) == rows(ours)


# ------------------------------------------------------------------------------------ every trap, by way of syft


@pytest.fixture(scope="module", params=sorted(TRAPS))
def scanned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The ecosystem, and for each build the lists that syft makes of an image with every trap."""
    if shutil.which("syft") is None:
        pytest.skip("`syft` is not there: `./dev test --peers` builds it")
    ecosystem = request.param
    builds = []
    for number in (0, 1):
        folder = tmp_path_factory.mktemp(f"{ecosystem}-{number}")
        packages = [one for trap in TRAPS[ecosystem] for one in (trap.before, trap.after)[number]]
        ours = image(folder, ecosystem, database(ecosystem, packages))
        builds.append({form: listed(path) for form, path in syft(folder).items()} | {"relman": ours})
    return ecosystem, builds


def database(ecosystem: str, packages: list[Pkg]) -> dict[str, bytes]:
    if ecosystem == "deb":
        return trap_sources.status(packages)
    return trap_sources.local(packages) if ecosystem == "alpm" else {RPMDB: trap_sources.rpmdb(packages)}


@pytest.mark.parametrize("form", FORMS)
def test_every_trap_comes_right_by_way_of_syft(form: str, scanned: Any) -> None:
    ecosystem, (before, after) = scanned
    source = trap_sources.Source(form, frozenset({ecosystem}), trap_sources.on_disk, FORMS[form])

    found = compare_contents(before[form], after[form])

    wrong = {
        trap.name: (shown(found, trap), expected(trap, source))
        for trap in TRAPS[ecosystem]
        if ordered(shown(found, trap)) != ordered(expected(trap, source))
    }
    assert wrong == {}
    assert found.exact
    assert compare_contents(before[form], before["relman"]).changes == ()
