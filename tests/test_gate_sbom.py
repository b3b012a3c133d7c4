"""The gate `sbom`, on a registry in memory: attached, readable, about this image, and no placeholder."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.errors import Passing
from relman.model.contents import EXACT, Contents, PackageSet
from relman.model.gates import GateResult, State
from relman.model.oci import Digest, Repository
from relman.model.release import Candidate
from relman.registry.forwarding import Forwarding
from relman.registry.look import look_at
from relman.registry.protocol import OCI_MANIFEST
from relman.testing import MemoryRegistry, attach, put_image, put_index
from relman_plugins.gates import sbom as gate
from relman_plugins.gates.sbom import Read, verdict
from tests.gates import AMD, ARM, REPOSITORY, candidate, contents, context, rule
from tests.walking import SYSTEM, sbom

SPDX, JSON = "application/vnd.spdx+json", "application/json"
WHOLE = sbom(SYSTEM)
Attach = Callable[[MemoryRegistry, Digest], object]


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def pushed(registry: MemoryRegistry, *platforms: str) -> Candidate:
    digests = [put_image(registry, REPOSITORY, platform=platform, tags=("one",)) for platform in platforms]
    digest = digests[0] if len(digests) == 1 else put_index(registry, REPOSITORY, digests)
    return candidate(look_at(registry, REPOSITORY.digest(digest)))


def answers(registry: Any, held: Candidate, *, minimum: int = 100, **more: Any) -> list[GateResult]:
    found = list(
        gate.relman_gates(context(held, rules=[rule("sbom", minimum=minimum)], **{"registry": registry} | more))
    )
    assert all(one.needs for one in found if one.state is State.FAILED)
    return found


def codes(registry: Any, held: Candidate, **more: Any) -> list[tuple[State, str]]:
    return [(one.state, one.code) for one in answers(registry, held, **more)]


def statement(content: bytes, subject: Digest | None, *, bundle: bool = False) -> bytes:
    """A list as an in-toto statement in an envelope, about ``subject``."""
    said: dict[str, object] = {
        "_type": "https://in-toto.io/Statement/v1",
        "predicateType": "https://spdx.dev/Document",
        "predicate": json.loads(content),
    }
    if subject:
        said["subject"] = [{"name": "x", "digest": {subject.algorithm: subject.hex}}]
    envelope = {
        "payloadType": "application/vnd.in-toto+json",
        "payload": base64.b64encode(json.dumps(said).encode()).decode(),
    }
    return json.dumps({"dsseEnvelope": envelope} if bundle else envelope).encode()


def attached(content: bytes, *, artifact_type: str = SPDX, media_type: str = JSON) -> Attach:
    return lambda registry, digest: attach(registry, REPOSITORY, digest, content, artifact_type, media_type)


def tagged(suffix: str, content: Callable[[Digest], bytes], media_type: str, **annotations: str) -> Attach:
    """As cosign keeps it: a manifest under a tag that is named by the digest."""

    def put(registry: MemoryRegistry, digest: Digest) -> None:
        made = content(digest)
        config = registry.put_blob(REPOSITORY, b"{}")
        layer = {"mediaType": media_type, "digest": registry.put_blob(REPOSITORY, made), "size": len(made)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{**layer, "annotations": annotations}],
        }
        registry.put_manifest(
            REPOSITORY, json.dumps(manifest).encode(), OCI_MANIFEST, tag=f"{digest.fallback_tag}{suffix}"
        )

    return put


OTHER = Digest.of(b"another image")
IN_TOTO = "application/vnd.in-toto+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
PREDICATE = {"predicateType": "https://spdx.dev/Document"}

ATTACHED: dict[str, tuple[tuple[Attach, ...], tuple[State, str]]] = {
    "nothing": ((), (State.FAILED, "no-sbom")),
    "a list": ((attached(WHOLE),), (State.PASSED, "")),
    "something else": (
        (attached(b"x", artifact_type="application/vnd.other", media_type="text/plain"),),
        (State.FAILED, "no-sbom"),
    ),
    "a signature alone": (
        (attached(b"{}", artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json"),),
        (State.FAILED, "no-sbom"),
    ),
    "an empty file": ((attached(b""),), (State.FAILED, "empty-sbom")),
    "a list of nothing": ((attached(sbom({})),), (State.FAILED, "empty-sbom")),
    "a list that is cut": ((attached(WHOLE[: len(WHOLE) // 2]),), (State.FAILED, "broken-sbom")),
    "no json": ((attached(b"SPDXVersion: SPDX-2.3"),), (State.FAILED, "broken-sbom")),
    "a placeholder": ((attached(sbom({"bash": "5-1"})),), (State.FAILED, "short-sbom")),
    "a statement about this image": (
        (lambda registry, digest: attached(statement(WHOLE, digest), media_type=IN_TOTO)(registry, digest),),
        (State.PASSED, ""),
    ),
    "a statement about another image": (
        (attached(statement(WHOLE, OTHER), media_type=IN_TOTO),),
        (State.FAILED, "foreign-sbom"),
    ),
    "a bundle about another image": (
        (attached(statement(WHOLE, OTHER, bundle=True), media_type=IN_TOTO),),
        (State.FAILED, "foreign-sbom"),
    ),
    "a broken one beside a whole one": ((attached(b"{"), attached(WHOLE)), (State.PASSED, "")),
    "cosign's tag .sbom": ((tagged(".sbom", lambda digest: WHOLE, "text/spdx+json"),), (State.PASSED, "")),
    "cosign's tag .att": (
        (tagged(".att", lambda digest: statement(WHOLE, digest), DSSE, **PREDICATE),),
        (State.PASSED, ""),
    ),
    "cosign's tag .att, of another image": (
        (tagged(".att", lambda digest: statement(WHOLE, OTHER), DSSE, **PREDICATE),),
        (State.FAILED, "foreign-sbom"),
    ),
    "cosign's tag .att, of a test": (
        (tagged(".att", lambda digest: b"{}", DSSE, predicateType="https://example.org/test"),),
        (State.FAILED, "no-sbom"),
    ),
}


@pytest.mark.parametrize("what", ATTACHED)
@pytest.mark.parametrize("api", [True, False], ids=["by API", "by tag"])
def test_what_is_attached_is_a_whole_list_of_this_image(what: str, api: bool) -> None:
    registry = MemoryRegistry(referrers_api=api)
    held = pushed(registry, "linux/amd64")
    put, found = ATTACHED[what]
    for each in put:
        each(registry, held.image.digest)

    assert codes(registry, held) == [found]


def test_each_platform_has_a_list_of_its_own_and_that_of_the_index_is_for_one(registry: MemoryRegistry) -> None:
    held = pushed(registry, "linux/amd64", "linux/arm64")
    attached(WHOLE)(registry, held.image.digest)

    found = answers(registry, held)

    assert [(one.platform, one.state, one.code) for one in found] == [
        (AMD, State.PASSED, ""),
        (ARM, State.FAILED, "foreign-sbom"),
    ]
    assert "it lists packages for `x86_64`, not for linux/arm64" in found[1].reason
    on_arm = held.image.on(ARM)
    assert on_arm
    attached(sbom(SYSTEM, "aarch64"))(registry, on_arm.manifest.digest)
    assert codes(registry, held) == [(State.PASSED, ""), (State.PASSED, "")]


class Counting(Forwarding):
    """Counts what a registry is asked."""

    def __init__(self, registry: MemoryRegistry) -> None:
        super().__init__(registry)
        self.asked: Counter[str] = Counter()

    def referrers(self, repository: Repository, digest: Digest) -> Any:
        self.asked["referrers"] += 1
        return super().referrers(repository, digest)

    def manifest(self, reference: Any) -> Any:
        self.asked["manifest"] += 1
        return super().manifest(reference)

    def open_blob(self, repository: Repository, digest: Digest) -> Any:
        self.asked["blob"] += 1
        return super().open_blob(repository, digest)

    def resolve(self, reference: Any) -> Any:
        self.asked["tag"] += 1
        return super().resolve(reference)


def test_what_relman_read_to_compare_packages_is_not_read_again(registry: MemoryRegistry) -> None:
    held = pushed(registry, "linux/amd64")
    attached(WHOLE)(registry, held.image.digest)
    counting = Counting(registry)
    known = Contents(PackageSet([*contents(*(f"p{n} 1-1" for n in range(150))).packages]), "sbom", EXACT)

    (found,) = answers(counting, held, contents={("os", AMD): known})

    assert found.reason.endswith("lists 150 packages")
    assert counting.asked == {"referrers": 1, "manifest": 1}


@pytest.mark.parametrize("source", ["sbom:given.json", "contents", "rpmdb", "label"])
def test_a_list_from_elsewhere_is_no_sbom_of_the_image(registry: MemoryRegistry, source: str) -> None:
    held = pushed(registry, "linux/amd64")
    known = {("os", AMD): contents("bash 5-1", source=source)}

    assert codes(registry, held, contents=known) == [(State.FAILED, "no-sbom")]
    attached(b"{")(registry, held.image.digest)
    assert codes(registry, held, contents=known) == [(State.FAILED, "broken-sbom")]


def test_where_images_are_not_read_one_that_is_missing_is_said_and_another_is_left_for_later(
    registry: MemoryRegistry,
) -> None:
    held = pushed(registry, "linux/amd64")
    counting = Counting(registry)

    assert codes(counting, held, read=False) == [(State.FAILED, "no-sbom")]
    attached(b"{")(registry, held.image.digest)
    assert codes(counting, held, read=False) == [(State.SKIPPED, "not-read")]
    assert counting.asked["blob"] == 0


class Unreachable(Forwarding):
    """A registry that is gone for a while."""

    def referrers(self, repository: Repository, digest: Digest) -> Any:
        raise Passing("the registry does not answer", hint="try again later")


def test_a_registry_that_does_not_answer_closes_the_gate(registry: MemoryRegistry) -> None:
    (found,) = answers(Unreachable(registry), pushed(registry, "linux/amd64"))

    assert (found.state, found.code, found.reason, found.needs) == (
        State.ERROR,
        "error",
        "the registry does not answer",
        "try again later",
    )


# ------------------------------------------------------------------------------------------------- the verdict

reads = st.lists(
    st.one_of(
        st.builds(
            Read, st.just("s"), st.just(0), st.sampled_from(["empty-sbom", "foreign-sbom", "broken-sbom"]), st.just("w")
        ),
    ),
    max_size=3,
)


@given(reads, st.none() | st.integers(1, 300), st.integers(1, 300))
def test_it_passes_exactly_where_one_could_be_read_that_is_long_enough(
    broken: list[Read], packages: int | None, minimum: int
) -> None:
    every = [*broken, *([Read("s", packages)] if packages is not None else [])]
    if not every:
        return

    found = verdict(every, minimum)

    assert (found.state is State.PASSED) == (packages is not None and packages >= minimum)
    if packages is None:
        assert found.code == broken[0].code
    elif packages < minimum:
        assert found.code == "short-sbom"
    assert len(found.evidence.get("passed_over", [])) == len(broken)  # type: ignore[arg-type]
