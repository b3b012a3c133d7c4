"""What a promotion inside a repository costs, counted at a front: never timed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from relman.model.oci import parse_repository
from relman.registry import Registries
from relman.testing import attach, put_image
from relman.walk.acting import WORKERS
from tests.integration.driver import CONFIGURATION, Workshop, relman
from tests.servers import Asked, Front, Reply
from tests.walking import SYSTEM, sbom

VARIANTS = 30
DATED = "stable-20260624"


class Counting(Front):
    """A front that knows how many writes are under way, and lets the first ones of a kind wait for each other."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.under_way = 0
        self.most = 0
        self.counting = threading.Condition()

    def meet(self, asked: Asked, forward: Callable[[], Reply]) -> Reply | None:
        """Hold a write until as many are under way as ever will be, or nothing more comes."""
        if asked.method != "PUT":
            return None
        with self.counting:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.counting.notify_all()
            if self.waits(asked.path):
                assert self.counting.wait_for(lambda: self.most >= WORKERS, 30)
        try:
            return forward()
        finally:
            with self.counting:
                self.under_way -= 1

    def waits(self, path: str) -> bool:
        """Not the first tag, which goes alone."""
        return "/v00/" not in path


def test_thirty_variants_flip_with_three_requests_for_each_tag_a_few_at_a_time(
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
    with Counting(docker_registry) as front:
        text = CONFIGURATION.format(checkout=f'"{history.folder}"', prefix=f"{front.host}/{place}")
        head, _, rest = text.partition("[[variants]]")
        variants = "".join(f'[[variants]]\nname = "{name}"\n' for name in names)
        gates = rest[rest.index("[streams.testing]") :].replace('from = "testing"', 'from = "testing"\ngates = []')
        (tmp_path / "relman.toml").write_text(f"{head}{variants}{gates}")
        relman(tmp_path, "plan", "stable", "-o", "plan.json")
        front.asked.clear()
        front.faults.append(front.meet)

        relman(tmp_path, "apply", "plan.json")

        lines = [asked.line.replace(f"/v2/{place}/", "") for asked in front.asked]
    asked = [short(line) for line in lines]
    puts = [number for number, line in enumerate(asked) if line.startswith("PUT")]
    flips = asked[puts[0] - 1 :][: 6 * VARIANTS]
    every = [f"{n}/{tag}" for tag in ("stable", DATED) for n in names]
    # Compare, write, read back, and nothing else from the first write to the last: no bytes are fetched again.
    assert Counter(flips) == {f"{method} {tag}": 1 + (method == "HEAD") for tag in every for method in ("HEAD", "PUT")}
    for tag in every:
        assert [line.split()[0] for line in flips if line.split()[1] == tag] == ["HEAD", "PUT", "HEAD"]
    # The first tag goes alone, all others of a stage a few at a time; every stream tag is read back before a dated one.
    assert flips[:3] == [f"{method} v00/stable" for method in ("HEAD", "PUT", "HEAD")]
    assert {line.split()[1] for line in flips[: 3 * VARIANTS]} == {f"{n}/stable" for n in names}
    assert front.most == WORKERS
    # So there are 1 + ⌈29 / 4⌉ rounds of three round trips for the stream's tags, where one after the other took 30.
    # Before that, every tag is compared with the plan, and each layer and configuration asked for: once.
    before = Counter(asked[: puts[0] - 1])
    assert {tag: before[f"HEAD {tag}"] for tag in every} == dict.fromkeys(every, 1)
    assert {line: count for line, count in before.items() if line.startswith("HEAD") and count > 1} == {}


def short(line: str) -> str:
    """`HEAD v00/stable`, `HEAD v00/blobs/sha256:…`."""
    return line.replace("/manifests", "")
