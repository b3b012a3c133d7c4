"""What a promotion inside a repository costs, counted at a front: never timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from relman.model.oci import parse_repository
from relman.registry import Registries
from relman.testing import attach, put_image
from tests.integration.driver import CONFIGURATION, Workshop, relman
from tests.servers import Front
from tests.walking import SYSTEM, sbom

VARIANTS = 30
DATED = "stable-20260624"


def test_thirty_variants_flip_with_three_requests_for_each_tag_and_one_for_each_image(
    docker_registry: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    history = Workshop(tmp_path_factory.mktemp("costs"), docker_registry).history
    names = [f"v{number:02}" for number in range(VARIANTS)]
    place = f"costs-{tmp_path.parent.name}"
    with Registries(tmp_path) as writer:
        for name in names:
            repository = parse_repository(f"{docker_registry}/{place}/{name}")
            labels = {"org.opencontainers.image.revision": history.revisions[0], "x": name}
            for tags in (["stable", "stable-20260610"], ["testing", "testing-44.20260616"]):
                image = put_image(writer, repository, tags=tags, labels={**labels, "tag": tags[0]})
                attach(writer, repository, image, sbom(SYSTEM), "application/vnd.spdx+json", "application/json")
    with Front(docker_registry) as front:
        text = CONFIGURATION.format(checkout=f'"{history.folder}"', prefix=f"{front.host}/{place}")
        head, _, rest = text.partition("[[variants]]")
        variants = "".join(f'[[variants]]\nname = "{name}"\n' for name in names)
        gates = rest[rest.index("[streams.testing]") :].replace('from = "testing"', 'from = "testing"\ngates = []')
        (tmp_path / "relman.toml").write_text(f"{head}{variants}{gates}")
        relman(tmp_path, "plan", "stable", "-o", "plan.json")
        front.asked.clear()

        relman(tmp_path, "apply", "plan.json")

        lines = [asked.line.replace(f"/v2/{place}/", "") for asked in front.asked]
    puts = [number for number, line in enumerate(lines) if line.startswith("PUT")]
    flips = lines[puts[0] - 2 : puts[-1] + 2]
    stream = [[f"HEAD {n}/stable", f"GET {n}/sha256", f"PUT {n}/stable", f"HEAD {n}/stable"] for n in names]
    dated = [[f"HEAD {n}/{DATED}", f"PUT {n}/{DATED}", f"HEAD {n}/{DATED}"] for n in names]
    assert [short(line) for line in flips] == [line for one in (*stream, *dated) for line in one]
    # Before the first of them every tag is compared with the plan: one request for each.
    compared = [f"HEAD {n}/{tag}" for n in names for tag in ("stable", DATED)]
    assert [short(line) for line in lines[: len(compared)]] == compared


def short(line: str) -> str:
    """`HEAD v00/stable`."""
    return line.replace("/manifests", "").partition(":")[0]
