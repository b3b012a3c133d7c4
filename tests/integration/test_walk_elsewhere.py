"""A release into other repositories and registries: what arrives, in which order, and who else sees it so."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relman.model.oci import Digest, Repository, parse_repository
from relman.registry import Registries
from relman.registry.carrying import family, first_missing
from relman.registry.evidence import evidence_of, lost
from relman.registry.protocol import OCI_MANIFEST
from relman.testing import put_image, put_index
from tests.bluefin_commits import History
from tests.integration import forked
from tests.integration.driver import Project, Workshop, mortal
from tests.integration.elsewhere import DATED, elsewhere, written
from tests.integration.front import Forward, answer, lose
from tests.servers import Asked, Fault, Front, Reply, once

_count = itertools.count()
ROUTES = [
    ("docker_registry", "docker_registry"),
    ("docker_registry", "olareg"),
    ("olareg", "docker_registry"),
    ("olareg", "olareg"),
]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return Workshop(tmp_path_factory.mktemp("elsewhere"), "").history


@dataclass(frozen=True)
class Route:
    """A project between two registries, with a front before each; within one registry they are the same front."""

    project: Project
    origin: Front
    front: Front
    source: str
    target: str

    def image(self, variant: str) -> Digest:
        return self.project.digests[variant, 1]

    def places(self, variant: str) -> tuple[Repository, Repository]:
        return parse_repository(f"{self.source}/{variant}"), parse_repository(f"{self.target}/{variant}")

    def arrived(self, variant: str) -> None:
        """All of it is there, and all that is attached to it, and both tags hold it."""
        source, target = self.places(variant)
        digest = self.image(variant)
        with Registries(self.project.folder) as reader:
            assert first_missing(reader, target.digest(digest)) is None
            assert lost(reader, source.digest(digest), target) == ()
            for tag in ("stable", DATED):
                found = reader.resolve(target.tag(tag))
                assert found is not None
                assert found.digest == digest


@pytest.fixture
def route(request: pytest.FixtureRequest, history: History, tmp_path: Path) -> Iterator[Route]:
    origin, destination = (request.getfixturevalue(name) for name in request.param)
    name = f"elsewhere/{next(_count)}-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]}"
    with Front(destination) as front, Front(origin) as before:
        own = front if origin == destination else before
        seen, prefix = f"{own.host}/{name}", f"{front.host}/{name}-released"
        source, target = f"{origin}/{name}", f"{destination}/{name}-released"
        project = elsewhere(tmp_path / "project", history, source, prefix, seen, target)
        yield Route(project, own, front, source, target)


every_route = pytest.mark.parametrize("route", ROUTES, indirect=True, ids=["→".join(route) for route in ROUTES])
one_registry = pytest.mark.parametrize(
    "route", [ROUTES[0], ROUTES[3]], indirect=True, ids=["docker-registry", "olareg"]
)


@every_route
def test_everything_arrives_in_order_the_tags_last_and_a_second_run_writes_nothing(route: Route) -> None:
    route.project.plan()
    route.project.relman("apply", "plan.json")

    for variant in ("base", "dx"):
        route.arrived(variant)
    writes = written(route.front)
    tags = ["tag stable", "tag stable", f"tag {DATED}", f"tag {DATED}"]
    assert writes[-4:] == tags
    assert [write for write in writes[:-4] if write in tags] == []
    for variant in ("base", "dx"):
        check_order(route, variant, writes)
    route.project.relman("apply", "plan.json")
    assert written(route.front) == writes


def check_order(route: Route, variant: str, writes: list[str]) -> None:
    """Children before their index, the index before what is attached to it."""
    source, _ = route.places(variant)
    digest = route.image(variant)
    with Registries(route.project.folder) as reader:
        children = [
            child["digest"] for child in json.loads(reader.manifest(source.digest(digest)).content).get("manifests", [])
        ]
        pieces = {piece.descriptor.digest for piece in evidence_of(reader, source.digest(digest))}
    assert len(pieces) == {"base": 9, "dx": 1}[variant]
    at = writes.index(f"manifest {digest}")
    assert all(writes.index(f"manifest {child}") < at for child in children)
    assert all(writes.index(f"manifest {piece}") > at for piece in pieces)


@one_registry
def test_a_sibling_repository_takes_mounts_and_no_byte_of_a_layer(route: Route) -> None:
    route.project.relman("release", "stable", "--yes")

    writes = written(route.front)
    assert "mount" in writes
    assert "blob" not in writes
    layers = {layer for variant in ("base", "dx") for layer in layers_of(route, variant)}
    read = {asked.path.rpartition("/")[2] for asked in route.front.asked if asked.method == "GET"}
    assert layers
    assert not layers & read


def layers_of(route: Route, variant: str) -> set[str]:
    source, _ = route.places(variant)
    with Registries(route.project.folder) as reader:
        manifests = family(reader, source.digest(route.image(variant)))
    found = [json.loads(manifest.content).get("layers", []) for manifest in manifests]
    return {layer["digest"] for layers in found for layer in layers}


def outside(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@every_route
def test_skopeo_crane_and_regctl_see_the_same(route: Route) -> None:
    for program in ("skopeo", "crane", "regctl"):
        if shutil.which(program) is None:
            pytest.skip(f"`{program}` is not installed")
    route.project.relman("release", "stable", "--yes")

    source, target = route.places("base")
    digest = route.image("base")
    raw = outside("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{target}:stable")
    assert f"sha256:{hashlib.sha256(raw.encode()).hexdigest()}" == digest
    assert outside("crane", "digest", "--insecure", f"{target}:{DATED}").strip() == digest
    pulled = f"dir:{route.project.folder / 'pulled'}"
    outside("skopeo", "copy", "--all", "--quiet", "--src-tls-verify=false", f"docker://{target}:stable", pulled)
    host = target.registry
    regctl = ("regctl", "--host", f"reg={host},tls=disabled", "--host", f"reg={source.registry},tls=disabled")
    assert outside(*regctl, "manifest", "head", f"{target}:stable").strip() == digest

    def attached(repository: Repository, subject: str) -> set[str]:
        listed = outside(*regctl, "artifact", "list", f"{repository}@{subject}", "--format", "{{json .}}")
        return {entry["digest"] for entry in json.loads(listed).get("descriptors") or []}

    subjects = [digest, *(child["digest"] for child in json.loads(raw)["manifests"])]
    found = {subject: attached(target, subject) for subject in subjects}
    assert found == {subject: attached(source, subject) for subject in subjects}
    assert all(found.values())
    cosign = {tag for tag in outside("crane", "ls", "--insecure", str(source)).split() if tag.startswith("sha256-")}
    there = set(outside(*regctl, "tag", "ls", str(target)).split())
    assert {tag for tag in cosign if "." in tag} <= there


# ------------------------------------------------------------------------------------------------------ faults

two_ways = pytest.mark.parametrize("route", ROUTES[:2], indirect=True, ids=["sibling", "docker-registry→olareg"])
BUSY = [answer(429, Retry_After="0"), answer(503)]


def released(route: Route, *faults: Fault, code: int | None = 0) -> str:
    """Release through ``faults`` of the target; what relman said."""
    route.project.plan()
    route.front.faults += faults
    said = route.project.relman("apply", "plan.json", code=code).stderr
    route.front.faults.clear()
    return said


@two_ways
@pytest.mark.parametrize("what", ["index", "manifest"])
def test_a_manifest_and_an_index_are_sent_again_where_the_registry_is_busy(route: Route, what: str) -> None:
    variant = "base" if what == "index" else "dx"
    put = rf"^PUT /v2/.*/manifests/{route.image(variant)}"

    released(route, *(once(put, act, times=2) for act in BUSY))

    route.arrived(variant)


@two_ways
def test_an_index_whose_answer_is_lost_arrives(route: Route) -> None:
    released(route, once(rf"^PUT /v2/.*/manifests/{route.image('base')}", lose))

    route.arrived("base")


@pytest.mark.parametrize("route", ROUTES[:1], indirect=True, ids=["docker-registry"])
def test_a_list_of_referrers_that_loses_an_update_is_whole_in_the_end(route: Route) -> None:
    swallowed = once(r"^PUT /v2/.*-released/.*/manifests/sha256-[0-9a-f]{64}$", lambda _forward: Reply(201), times=2)

    released(route, swallowed)

    route.arrived("base")
    route.arrived("dx")


@two_ways
def test_a_registry_that_shows_late_what_was_written_is_waited_for(route: Route) -> None:
    def late(asked: Asked, forward: Forward) -> Reply | None:
        """404 for the first two looks at a tag after it was written."""
        if asked.method == "PUT" and asked.path.endswith(("/stable", DATED)):
            left[asked.path] = 2
        elif left.get(asked.path, 0):
            left[asked.path] -= 1
            return Reply(404)
        return None

    left: dict[str, int] = {}
    released(route, late)

    assert set(left.values()) == {0}
    route.arrived("base")
    route.arrived("dx")


@pytest.mark.parametrize("route", ROUTES[1:3], indirect=True, ids=["docker-registry→olareg", "olareg→docker-registry"])
def test_a_flipped_byte_on_the_way_stops_the_release_before_any_tag(route: Route) -> None:
    layer = min(layers_of(route, "base"))

    def flipped(asked: Asked, forward: Forward) -> Reply | None:
        if asked.method != "GET" or not asked.path.endswith(f"/blobs/{layer}"):
            return None
        reply = forward()
        reply.body = bytes([reply.body[0] ^ 1]) + reply.body[1:]
        return reply

    route.project.plan()
    route.origin.faults.append(flipped)
    said = route.project.relman("apply", "plan.json", code=1).stderr

    assert layer in said
    assert [write for write in written(route.front) if write in ("tag stable", f"tag {DATED}")] == []
    route.origin.faults.clear()
    route.project.relman("apply", "plan.json")
    route.arrived("base")


@pytest.mark.parametrize("route", ROUTES[:1], indirect=True, ids=["docker-registry"])
def test_a_child_that_is_gone_since_the_plan_stops_the_release_before_the_first_write(route: Route) -> None:
    route.project.plan()
    source, _ = route.places("base")
    with Registries(route.project.folder) as reader:
        child = json.loads(reader.manifest(source.digest(route.image("base"))).content)["manifests"][1]["digest"]
    gone = once(rf"^(GET|HEAD) /v2/.*/manifests/{child}", answer(404), times=1000)
    route.front.faults.append(gone)

    said = route.project.relman("apply", "plan.json", code=None)

    assert said.code in (1, 6)
    assert child in said.stderr
    assert written(route.front) == []


@pytest.mark.parametrize("route", ROUTES[:1], indirect=True, ids=["docker-registry"])
def test_a_target_that_lost_a_child_is_made_whole_and_not_taken_for_done(route: Route) -> None:
    source, target = route.places("base")
    with Registries(route.project.folder) as writer:
        writer.copy(source.digest(route.image("base")), target)
        child = json.loads(writer.manifest(source.digest(route.image("base"))).content)["manifests"][1]["digest"]
    outside("skopeo", "delete", "--tls-verify=false", f"docker://{target}@{child}")

    route.project.relman("release", "stable", "--yes")

    route.arrived("base")


@two_ways
def test_an_index_with_zstd_layers_keeps_its_digest(route: Route, history: History) -> None:
    source, target = route.places("dx")
    with Registries(route.project.folder) as writer:
        old = writer.manifest(source.digest(route.image("dx")))
        fields = json.loads(old.content)
        for layer in fields["layers"]:
            layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+zstd"
        child = writer.put_manifest(source, json.dumps(fields).encode(), OCI_MANIFEST)
        index = put_index(writer, source, [child], tags=["zstd"])

        writer.copy(source.digest(index), target)

        assert first_missing(writer, target.digest(index)) is None


@pytest.mark.parametrize("route", ROUTES[:1], indirect=True, ids=["docker-registry"])
def test_a_dated_tag_that_somebody_took_meanwhile_is_stale_and_nothing_is_written(route: Route) -> None:
    route.project.plan()
    _, target = route.places("dx")
    with Registries(route.project.folder) as writer:
        put_image(writer, target, tags=[DATED])

    said = route.project.relman("apply", "plan.json", code=5).stderr

    assert DATED in said
    assert written(route.front) == []


@pytest.mark.parametrize("route", ROUTES[:1], indirect=True, ids=["docker-registry"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", ["index", "list", "signature"])
def test_who_is_killed_while_copying_finishes_when_it_is_run_again(route: Route, write: str, after: bool) -> None:
    digest = route.image("base")
    last = {"index": str(digest), "list": digest.fallback_tag, "signature": f"{digest.fallback_tag}.sig"}[write]
    reins = forked.Reins()

    def die(forward: Forward) -> Reply:
        if after:
            forward()
        reins.kill()
        return Reply(reset=True)

    route.project.plan()
    route.front.faults.append(once(f"^PUT /v2/.*-released/.*/manifests/{last}$", die))

    assert mortal(route.project.folder, reins, "apply", "plan.json").code == -signal.SIGKILL

    assert "tag stable" not in written(route.front)
    route.project.relman("apply", "plan.json")
    route.arrived("base")
    route.arrived("dx")


@pytest.mark.parametrize("route", ROUTES[:2], indirect=True, ids=["sibling", "docker-registry→olareg"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_target_that_lets_nobody_in_is_7_before_the_first_write(route: Route, status: int) -> None:
    route.project.plan()
    route.front.faults.append(once(r"^\w+ /v2/.*-released/", answer(status), times=1000))

    said = route.project.relman("apply", "plan.json", code=7).stderr

    assert "skopeo login" in said
    assert written(route.front) == []


@pytest.mark.parametrize("route", ROUTES[:1], indirect=True, ids=["docker-registry"])
def test_what_a_registry_lacks_is_said_with_verbose(route: Route) -> None:
    route.front.faults.append(once(r"^POST .*mount=", lambda _forward: Reply(202, {"Location": "/elsewhere"})))

    said = route.project.relman("release", "stable", "--yes", "--verbose").stderr

    assert "has no referrers API" in said
    assert "does not mount" in said
    route.arrived("base")
