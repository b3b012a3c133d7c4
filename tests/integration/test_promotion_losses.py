"""What clean-up takes from a release, on the real docker-registry; and that `relman audit` names each loss."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import servers
from tests.integration.driver import Project, Workshop
from tests.integration.elsewhere import elsewhere


@dataclass(frozen=True)
class Released:
    project: Project
    config: Path
    target: str

    def losses(self) -> list[tuple[str, str | None, str | None]]:
        """What `relman audit` names: code, variant, and the kind of evidence where it is about that."""
        ran = self.project.relman("audit", "stable", "--format", "json", code=None)
        return [
            (one["code"], one["variant"], " ".join(one["evidence"].get("lost", [])) or None)
            for one in ran.json["findings"]
        ]

    def collect_garbage(self) -> None:
        """As many administrators do: what has no tag goes, children of indexes and referrers too."""
        argv = ["docker-registry", "garbage-collect", "-m", str(self.config)]
        subprocess.run(argv, capture_output=True, check=True, timeout=60)

    def delete(self, name: str) -> None:
        """One tag, as skopeo deletes it."""
        argv = ["skopeo", "delete", "--tls-verify=false", f"docker://{self.target}/{name}"]
        subprocess.run(argv, capture_output=True, check=True, timeout=60)


@pytest.fixture
def released(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    if shutil.which("docker-registry") is None:
        pytest.skip("`docker-registry` is not installed, and no package of this system has it")
    history = Workshop(tmp_path_factory.mktemp("losses"), "").history
    with servers.docker_registry(tmp_path) as host:
        project = elsewhere(
            tmp_path / "project", history, f"{host}/os", f"{host}/released", f"{host}/os", f"{host}/released"
        )
        project.relman("release", "stable", "--yes")
        yield Released(project, tmp_path / "config.yml", f"{host}/released")


def test_what_garbage_collection_and_deleting_a_tag_take_is_named(released: Released) -> None:
    assert released.losses() == []

    released.collect_garbage()

    assert released.losses() == [("image-gone", "base", None), ("evidence-lost", "dx", "SBOM")]

    released.delete("dx:stable")

    assert released.losses() == [("foreign-move", "dx", None), ("image-gone", None, None)]
