"""relman's own list: attached and in band, read back as it was made, refused where it is of anything else."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.compact.attached import CREATED, lists_among
from relman.compact.embedding import embedding, store
from relman.compact.inband import chain_id
from relman.compact.lists import ARTIFACT_TYPE, FILE, LABEL, LAYER_TYPE, document_bytes, pack
from relman.compact.publishing import publications, publish
from relman.documents.contents import CONTENTS_LIMIT, contents_bytes, contents_from_bytes
from relman.errors import Malformed, NotFound, PartlyDone, Passing, RelmanError
from relman.model.contents import Capability, Contents, Details, Obsolete, Unavailable
from relman.model.oci import Descriptor, Digest, Image, Platform, Repository, parse_reference, parse_repository
from relman.registry.attaching import AT_ONCE, Patience, attach, list_under_tag
from relman.registry.look import look_at
from relman.registry.manifests import as_json, encode
from relman.registry.protocol import OCI_INDEX, OCI_MANIFEST, Manifest
from relman.testing import MemoryRegistry, put_image, tar
from relman_plugins.inspect.compact import CompactSource
from tests.compact_lists import AMD64, ARM64, BUILT, NOW, RICH, at, contents, put, under_read

OS = parse_repository("registry.example/os")
BOTH = ("linux/amd64", "linux/arm64")
SOURCE = CompactSource()


@pytest.fixture(params=[True, False], ids=["referrers API", "fallback tag"])
def registry(request: pytest.FixtureRequest) -> MemoryRegistry:
    return MemoryRegistry(referrers_api=request.param)


def attach_list(registry: MemoryRegistry, image: Image, listed: Contents, *, later: int = 0) -> Digest:
    """Publish ``listed`` for amd64, as `relman contents --publish` does."""
    made = publications(registry, image, {AMD64: listed}, now=NOW + timedelta(hours=later))
    (digest,) = publish(registry, image.reference.repository, made, patience=AT_ONCE)
    return digest


def read(registry: MemoryRegistry, image: Image, platform: Platform = AMD64) -> Contents:
    found = SOURCE.read(under_read(registry, image, platform))
    assert isinstance(found, Contents), found.reason
    return found


def refused(registry: MemoryRegistry, image: Image) -> str:
    found = SOURCE.read(under_read(registry, image))
    assert isinstance(found, Unavailable)
    return found.reason


def expected(listed: Contents) -> Contents:
    """``listed`` as it comes out of a compact list."""
    details = replace(listed.details, changelogs={}, files={}) if listed.details else None
    large = {Capability.CHANGELOG, Capability.FILES}
    known = listed.capabilities - large if listed.details else listed.capabilities
    return replace(listed, source="contents", capabilities=known, details=details, extras={"made_from": listed.source})


def same(one: Contents, two: Contents) -> bool:
    """Equal in everything, also in what `==` leaves out."""
    return (one, one.details, one.extras) == (two, two.details, two.extras)


# ------------------------------------------------------------------------------------------- attached


def test_what_was_published_is_read_back_whole(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")

    attach_list(registry, image, contents())

    found = read(registry, image)
    assert same(found, expected(contents()))
    assert [p.version for p in found.packages if p.name in ("bash", "kernel")] == [
        "1:5.3-1.fc44",
        "6.19.9-200.fc44",
        "6.19.12-200.fc44",
    ]
    assert found.packages.get(next(p.identity for p in found.packages if p.name == "kernel"))[0].vendor
    assert found.capabilities == RICH


def test_a_list_without_details_stays_without(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")

    attach_list(registry, image, contents(details=False, source="sbom"))

    assert read(registry, image).details is None


def test_changelogs_and_files_are_in_no_compact_list() -> None:
    document = document_bytes(AMD64, contents(), image=Digest.of(b""))

    assert b"CVE-2026-1" not in document
    assert b"composed.conf" not in document
    assert b'"changelog"' not in document


def test_the_manifest_is_an_artifact_that_carries_its_list(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")

    digest = attach_list(registry, image, contents())

    manifest = json.loads(registry.manifest(at(image, digest)).content)
    packed = pack(document_bytes(AMD64, contents(), image=image.digest))
    assert manifest == {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest.of(b"{}"), "size": 2},
        "layers": [
            {
                "mediaType": LAYER_TYPE,
                "digest": Digest.of(packed),
                "size": len(packed),
                "data": base64.b64encode(packed).decode(),
            }
        ],
        "subject": {
            "mediaType": OCI_MANIFEST,
            "digest": image.digest,
            "size": image.platforms[0].manifest.size,
        },
        "annotations": {CREATED: "2026-06-23T04:40:00Z"},
    }
    assert registry.blob(OS, Digest.of(packed), limit=len(packed)) == packed


def test_a_list_too_large_for_a_manifest_is_a_blob_alone() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")

    attached = attach(
        registry,
        OS,
        image.digest,
        bytes(4 * 1024 * 1024),
        artifact_type=ARTIFACT_TYPE,
        media_type=LAYER_TYPE,
        inline=True,
    )

    assert "data" not in json.loads(registry.manifest(OS.digest(attached.digest)).content)["layers"][0]


def test_reading_takes_no_blob(registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    image = put(registry, OS, "stable")
    attach_list(registry, image, contents())

    reader = Counting(registry)

    assert isinstance(SOURCE.read(replace(under_read(registry, image), registry=reader)), Contents)
    assert reader.asked == ["referrers", "manifest"]


class Counting(MemoryRegistry):
    """Passes on to another registry and notes what was asked."""

    def __init__(self, inner: MemoryRegistry) -> None:
        super().__init__()
        self.inner = inner
        self.asked: list[str] = []

    def manifest(self, reference: Any) -> Manifest:
        self.asked.append("manifest")
        return self.inner.manifest(reference)

    def blob(self, repository: Repository, digest: Digest, *, limit: int) -> bytes:
        self.asked.append("blob")
        return self.inner.blob(repository, digest, limit=limit)

    def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        self.asked.append("referrers")
        return self.inner.referrers(repository, digest)


def test_publishing_twice_is_one_referrer_whatever_the_time(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")
    first = attach_list(registry, image, contents())
    before = len(registry.writes)

    second = attach_list(registry, image, contents(), later=5)

    assert second == first
    assert registry.writes[before:] == []
    assert [d.digest for d in lists_among(registry.referrers(OS, image.digest))] == [first]


def test_two_who_make_the_same_list_make_the_same_bytes() -> None:
    one, two = MemoryRegistry(), MemoryRegistry()

    assert attach_list(one, put(one, OS, "a"), contents()) == attach_list(two, put(two, OS, "b"), contents(), later=9)


def test_a_better_list_replaces_an_older_one(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")
    attach_list(registry, image, contents(details=False, source="sbom"))
    attach_list(registry, image, contents())
    attach_list(registry, image, contents(details=False, source="sbom"), later=1)

    assert read(registry, image).details is None
    assert len(lists_among(registry.referrers(OS, image.digest))) == 3


def test_a_list_is_newer_than_one_from_the_future() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")
    attach_list(registry, image, contents(details=False, source="sbom"))
    attach_list(registry, image, contents(), later=24 * 365)

    attach_list(registry, image, contents(details=False, source="sbom"))

    assert read(registry, image).details is None


def test_every_platform_has_its_own_list(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable", platforms=BOTH)
    other = contents(source="sbom")

    made = publications(registry, image, {AMD64: contents(), ARM64: other}, now=NOW)
    publish(registry, OS, made, patience=AT_ONCE)

    assert same(read(registry, image), expected(contents()))
    assert same(read(registry, image, ARM64), expected(other))
    assert lists_among(registry.referrers(OS, image.digest)) == ()


def test_a_platform_that_is_not_there_is_not_found() -> None:
    registry = MemoryRegistry()

    with pytest.raises(NotFound, match="not there for linux/arm64"):
        publications(registry, put(registry, OS, "stable"), {ARM64: contents()}, now=NOW)


def test_some_lists_attached_and_others_not_is_partly_done() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable", platforms=BOTH)
    made = publications(registry, image, {AMD64: contents(), ARM64: contents()}, now=NOW)
    missing = replace(made[1].image, manifest=replace(made[1].image.manifest, digest=Digest.of(b"gone")))

    with pytest.raises(PartlyDone, match="1 of 2 lists are attached; that of linux/arm64 is not"):
        publish(registry, OS, (made[0], replace(made[1], image=missing)), patience=AT_ONCE)
    with pytest.raises(NotFound):
        publish(registry, OS, (replace(made[1], image=missing),), patience=AT_ONCE)


# -------------------------------------------------------------------------------- attached, and wrong


def hang(
    registry: MemoryRegistry,
    image: Image,
    packed: bytes,
    change: Mapping[str, Any] | None = None,
    *,
    layer: Mapping[str, Any] | None = None,
    created: str = "2026-06-23T04:40:00Z",
) -> None:
    """Attach ``packed`` by hand, with fields of the manifest or of its layer changed; `None` takes one away."""
    registry.put_blob(OS, packed)
    registry.put_blob(OS, b"{}")
    target = image.platforms[0].manifest
    described: dict[str, Any] = {**as_json(Descriptor(LAYER_TYPE, Digest.of(packed), len(packed))), **(layer or {})}
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest.of(b"{}"), "size": 2},
        "layers": [described],
        "subject": as_json(Descriptor(target.media_type, target.digest, target.size)),
        "annotations": {CREATED: created},
        **(change or {}),
    }
    content = encode({key: value for key, value in manifest.items() if value is not None})
    digest = registry.put_manifest(OS, content, OCI_MANIFEST)
    listed = Descriptor(OCI_MANIFEST, digest, len(content), ARTIFACT_TYPE, {CREATED: created})
    list_under_tag(registry, OS, image.digest, listed)


def list_of(digest: Digest, platform: Platform = AMD64) -> bytes:
    return pack(document_bytes(platform, contents(), image=digest))


def test_a_list_of_another_image_is_refused(registry: MemoryRegistry) -> None:
    image, other = put(registry, OS, "stable"), put(registry, OS, "other", platforms=["linux/arm64"])

    hang(registry, image, list_of(other.digest))

    assert refused(registry, image) == (
        f"the list `{lists_among(registry.referrers(OS, image.digest))[0].digest.short}` is of `{other.digest}`, "
        f"not of `{image.digest}` that it hangs on"
    )


def test_a_list_that_was_moved_to_another_image_is_refused(registry: MemoryRegistry) -> None:
    """Its manifest still says whose it is, whatever lists it."""
    image, other = put(registry, OS, "stable"), put(registry, OS, "other", platforms=["linux/arm64"])
    digest = attach_list(registry, image, contents())
    found = registry.resolve(OS.digest(digest))
    assert found is not None

    list_under_tag(registry, OS, other.digest, replace(found, artifact_type=ARTIFACT_TYPE))

    reason = SOURCE.read(under_read(registry, other, ARM64))
    assert isinstance(reason, Unavailable)
    assert "refers to" in reason.reason


BROKEN: Mapping[str, tuple[dict[str, Any], str]] = {
    "another platform": ({"packed": "arm64"}, "is of linux/arm64, not of linux/amd64"),
    "not zstd": ({"packed": b"no list"}, "is not zstd"),
    "cut": ({"packed": "cut"}, "is cut"),
    "something behind its end": ({"packed": "tail"}, "something behind its end"),
    "a bomb": ({"packed": pack(bytes(CONTENTS_LIMIT + 1))}, "unpacks to more than"),
    "not a list": ({"packed": pack(b'{"schema": "relman.plan/1"}')}, "is a `relman.plan/1`"),
    "a newer format": ({"packed": pack(b'{"schema": "relman.contents/2"}')}, "reads `relman.contents/1`"),
    "no JSON": ({"packed": pack(b"[")}, "is not JSON"),
    "a plain list": ({"packed": pack(contents_bytes({AMD64: contents()}))}, "is of `no image`, not of"),
    "data that is no base64": ({"layer": {"data": "*"}}, "not base64"),
    "data that is no text": ({"layer": {"data": 7}}, "not base64"),
    "other data": ({"layer": {"data": base64.b64encode(b"x").decode()}}, "not what its digest says"),
    "a layer of another type": ({"layer": {"mediaType": "text/plain"}}, "no single layer"),
    "no layer": ({"change": {"layers": []}}, "no single layer"),
    "a layer said to be huge": ({"layer": {"size": 1 << 40}}, "more than the"),
    "no subject": ({"change": {"subject": None}}, "refers to `nothing`"),
    "another artifact": ({"change": {"artifactType": "text/x"}}, "calls itself `text/x`|no list of relman's"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_list_is_unavailable_with_its_reason(registry: MemoryRegistry, case: str) -> None:
    given_, reason = BROKEN[case]
    image = put(registry, OS, "stable")
    packed = {
        "arm64": list_of(image.digest, ARM64),
        "cut": list_of(image.digest)[:-3],
        "tail": list_of(image.digest) + b"!",
    }
    chosen = given_.get("packed", list_of(image.digest))

    hang(registry, image, packed.get(chosen, chosen), given_.get("change"), layer=given_.get("layer"))

    assert re.search(reason, refused(registry, image))


def test_a_list_whose_blob_is_gone_is_unavailable() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")
    hang(registry, image, list_of(image.digest))
    registry._shelves[OS].blobs.pop(Digest.of(list_of(image.digest)))

    assert "is not in" in refused(registry, image)


def test_a_list_without_data_is_read_from_its_blob(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")
    hang(registry, image, list_of(image.digest))

    assert same(read(registry, image), expected(contents()))


def test_a_broken_list_is_passed_over_for_an_older_one_and_that_is_said(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")
    attach_list(registry, image, contents())
    hang(registry, image, b"broken", created="2026-07-02T00:00:00Z")

    found = read(registry, image)

    assert found.packages == contents().packages
    assert "is not zstd" in str(found.extras["passed_over"])
    assert b"passed_over" not in document_bytes(AMD64, found, image=image.digest)


def test_a_time_that_is_none_comes_last_and_breaks_nothing(registry: MemoryRegistry) -> None:
    image = put(registry, OS, "stable")
    attach_list(registry, image, contents())
    for created in ("yesterday", "", "0001-01-01T00:00:00+23:59"):
        hang(registry, image, b"broken", {"annotations": {CREATED: created, "n": created}}, created=created)

    assert "passed_over" not in read(registry, image).extras


def test_an_image_without_a_list_is_unavailable(registry: MemoryRegistry) -> None:
    assert refused(registry, put(registry, OS, "stable")).startswith("the image has no list of relman's")


def test_a_file_is_unavailable() -> None:
    registry = MemoryRegistry()
    image = replace(under_read(registry, put(registry, OS, "a")), image=None, reference=parse_reference("sbom:x"))

    assert SOURCE.read(image) == Unavailable("`sbom:x` is a file, to which nothing is attached")


@settings(max_examples=200)
@given(st.binary(max_size=200), st.booleans())
def test_whatever_hangs_there_is_contents_or_a_reason(noise: bytes, packed: bool) -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")
    hang(registry, image, pack(noise) if packed else noise)

    assert isinstance(SOURCE.read(under_read(registry, image)), Unavailable)


# ------------------------------------------------------------------------------- the fallback tag's list


def entry(text: str) -> Descriptor:
    return Descriptor(OCI_MANIFEST, Digest.of(text.encode()), len(text), f"application/x-{text}")


def listed_under_tag(registry: MemoryRegistry, image: Image) -> list[dict[str, Any]]:
    manifests: list[dict[str, Any]] = json.loads(registry.manifest(OS.tag(image.digest.fallback_tag)).content)[
        "manifests"
    ]
    return manifests


class Careless(MemoryRegistry):
    """Lets somebody else overwrite the fallback tag right after each of our first writes of it."""

    def __init__(self, others: list[str]) -> None:
        super().__init__(referrers_api=False)
        self.others = others
        self.slept: list[float] = []

    def put_manifest(
        self, repository: Repository, content: bytes, media_type: str, *, tag: str | None = None
    ) -> Digest:
        digest = super().put_manifest(repository, content, media_type, tag=tag)
        if tag and tag.startswith("sha256-") and self.others:
            self._overwrite(repository, tag)
        return digest

    def _overwrite(self, repository: Repository, tag: str) -> None:
        theirs = put_image(self, repository, labels={"other": self.others[0]})
        found = self.resolve(repository.digest(theirs))
        assert found is not None
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [as_json(found)]}
        name = self.others.pop(0)
        super().put_manifest(repository, encode({**index, "annotations": {"by": name}}), OCI_INDEX, tag=tag)


def test_an_entry_that_somebody_overwrote_is_put_back_beside_theirs() -> None:
    registry = Careless([])
    image = put(registry, OS, "stable")
    registry.others = ["one", "two"]

    digest = attach_list(registry, image, contents())

    found = listed_under_tag(registry, image)
    assert digest in [one["digest"] for one in found]
    assert len(found) == 3


def test_entries_lost_after_a_clean_look_are_noticed_by_the_next() -> None:
    """A slow client writes what it made of a list from before ours."""
    registry = Careless([])
    image = put(registry, OS, "stable")
    found = registry.resolve(OS.digest(image.digest))
    assert found is not None
    pauses: list[float] = []

    def slow_client(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            registry.others = ["slow"]
            registry._overwrite(OS, image.digest.fallback_tag)

    list_under_tag(registry, OS, image.digest, found, Patience(looks=2, seconds=0.4, sleep=slow_client))

    assert len(listed_under_tag(registry, image)) == 2
    assert len(pauses) == 2
    assert all(0.3 <= seconds <= 0.5 for seconds in pauses)


def test_somebody_who_never_stops_overwriting_is_a_passing_failure() -> None:
    registry = Careless([])
    image = put(registry, OS, "stable")
    registry.others = [str(number) for number in range(1000)]

    with pytest.raises(Passing, match="keep overwriting"):
        attach_list(registry, image, contents())


def test_entries_of_others_stay_to_the_letter() -> None:
    registry = MemoryRegistry(referrers_api=False)
    image = put(registry, OS, "stable")
    other = put_image(registry, OS, labels={"other": "one"})
    found = registry.resolve(OS.digest(other))
    assert found is not None
    theirs = {**as_json(found), "artifactType": "application/x", "data": "e30=", "x-unknown": {"a": [1]}}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [theirs], "annotations": {"kept": "yes"}}
    registry.put_manifest(OS, encode(index), OCI_INDEX, tag=image.digest.fallback_tag)

    attach_list(registry, image, contents())

    after = json.loads(registry.manifest(OS.tag(image.digest.fallback_tag)).content)
    assert after["manifests"][0] == theirs
    assert after["annotations"] == {"kept": "yes"}
    assert len(after["manifests"]) == 2


def test_a_fallback_tag_that_is_no_list_is_left_alone() -> None:
    registry = MemoryRegistry(referrers_api=False)
    image = put(registry, OS, "stable")
    other = put_image(registry, OS, tags=[image.digest.fallback_tag], labels={"not": "a list"})

    with pytest.raises(Malformed, match="not an index"):
        publications(registry, image, {AMD64: contents()}, now=NOW)
    assert registry.manifest(OS.tag(image.digest.fallback_tag)).descriptor.digest == other


# --------------------------------------------------------------------------------------------- in band


def put_in(registry: MemoryRegistry, image: Image, listed: Contents | None = None, tag: str | None = None) -> Image:
    lists = {part.platform: listed or contents() for part in image.platforms}
    made = embedding(registry, image, lists)
    store(registry, OS, made, tag)
    return look_at(registry, OS.digest(made.digest))


def test_a_list_in_the_image_is_read_back_whole() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")

    new = put_in(registry, image, tag="with-list")

    assert same(read(registry, new), expected(contents()))
    assert registry.manifest(OS.tag("with-list")).descriptor.digest == new.digest
    assert registry.manifest(OS.tag("stable")).descriptor.digest == image.digest


def test_embedding_adds_one_layer_one_history_entry_and_one_label() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")

    new = put_in(registry, image)

    before, after = image.platforms[0], new.platforms[0]
    configs = [_config(registry, one) for one in (image, new)]
    assert after.layers[:-1] == before.layers
    assert after.diff_ids[:-1] == before.diff_ids
    assert after.size - before.size == after.layers[-1].size < 4000
    assert {**after.labels, LABEL: ""} == {**before.labels, LABEL: ""}
    assert len(configs[1]["history"]) == len(after.diff_ids)
    assert configs[1]["history"][-1] == {
        "created": configs[0]["created"],
        "created_by": "relman contents --embed",
        "comment": "list of contents",
    }
    changed = ("config", "rootfs", "history")
    assert {k: v for k, v in configs[1].items() if k not in changed} == {
        k: v for k, v in configs[0].items() if k not in changed
    }


def _config(registry: MemoryRegistry, image: Image) -> dict[str, Any]:
    manifest = json.loads(registry.manifest(image.reference).content)
    found: dict[str, Any] = json.loads(registry.blob(OS, Digest(manifest["config"]["digest"]), limit=1 << 20))
    return found


def test_embedding_keeps_what_others_wrote_into_the_manifest_and_its_history() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")
    config = {**_config(registry, image), "history": [{"created_by": "a"}, {"empty_layer": True}, {"created_by": "b"}]}
    config["config"] = {**config["config"], "Cmd": ["/sbin/init"]}
    encoded = encode(config)
    manifest = json.loads(registry.manifest(image.reference).content)
    manifest["config"] = as_json(
        Descriptor(manifest["config"]["mediaType"], registry.put_blob(OS, encoded), len(encoded))
    )
    manifest["annotations"] = {"kept": "yes"}
    manifest["layers"][0]["annotations"] = {"ostree.components": "a,b"}
    image = look_at(registry, OS.digest(registry.put_manifest(OS, encode(manifest), OCI_MANIFEST)))

    new = put_in(registry, image)

    after = json.loads(registry.manifest(new.reference).content)
    assert after["annotations"] == {"kept": "yes"}
    assert after["layers"][:-1] == manifest["layers"]
    assert _config(registry, new)["history"][:-1] == config["history"]
    assert _config(registry, new)["config"]["Cmd"] == ["/sbin/init"]


def test_embedding_twice_changes_nothing_and_is_the_same_everywhere() -> None:
    registry, other = MemoryRegistry(), MemoryRegistry()
    new = put_in(registry, put(registry, OS, "stable", platforms=BOTH))
    before = len(registry.writes)

    again = put_in(registry, new)

    assert again.digest == new.digest
    assert registry.writes[before:] == []
    assert put_in(other, put(other, OS, "stable", platforms=BOTH)).digest == new.digest


def test_a_tag_follows_also_where_the_list_was_there_already() -> None:
    registry = MemoryRegistry()
    new = put_in(registry, put(registry, OS, "stable"))

    put_in(registry, new, tag="later")

    assert registry.manifest(OS.tag("later")).descriptor.digest == new.digest


def test_an_index_is_embedded_whole() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable", platforms=BOTH)
    index = json.loads(registry.manifest(image.reference).content)
    index["annotations"] = {"kept": "yes"}
    image = look_at(registry, OS.digest(registry.put_manifest(OS, encode(index), OCI_INDEX)))

    new = put_in(registry, image)

    assert [part.platform for part in new.platforms] == [AMD64, ARM64]
    assert same(read(registry, new, ARM64), expected(contents()))
    after = json.loads(registry.manifest(new.reference).content)
    assert after["annotations"] == {"kept": "yes"}
    assert [one["platform"] for one in after["manifests"]] == [one["platform"] for one in index["manifests"]]


def test_a_platform_without_a_list_is_not_found() -> None:
    registry = MemoryRegistry()

    with pytest.raises(NotFound, match="no list of"):
        embedding(registry, put(registry, OS, "stable", platforms=BOTH), {AMD64: contents()})


def derived(registry: MemoryRegistry, image: Image, *, on_top: bool, like_ours: bool = False) -> Image:
    """What a build makes of ``image``: the label is inherited; a layer on top, or others beneath."""
    config = _config(registry, image)
    manifest = json.loads(registry.manifest(image.reference).content)
    layer = tar({"usr/bin/added": b"x"})
    described = as_json(Descriptor("application/vnd.oci.image.layer.v1.tar", registry.put_blob(OS, layer), len(layer)))
    place = len(manifest["layers"]) if on_top else 0
    manifest["layers"].insert(place, described)
    config["rootfs"]["diff_ids"].insert(place, Digest.of(layer))
    if like_ours:
        del manifest["layers"][-2], config["rootfs"]["diff_ids"][-2]
    encoded = encode(config)
    manifest["config"] = as_json(
        Descriptor(manifest["config"]["mediaType"], registry.put_blob(OS, encoded), len(encoded))
    )
    return look_at(registry, OS.digest(registry.put_manifest(OS, encode(manifest), OCI_MANIFEST)))


@pytest.mark.parametrize(("on_top", "like_ours"), [(True, False), (False, False), (True, True)])
def test_an_image_derived_from_one_is_stale_without_reading_a_byte(on_top: bool, like_ours: bool) -> None:
    registry = MemoryRegistry()
    child = derived(registry, put_in(registry, put(registry, OS, "stable")), on_top=on_top, like_ours=like_ours)
    reader = Counting(registry)

    found = SOURCE.read(replace(under_read(registry, child), registry=reader))

    assert isinstance(found, Unavailable)
    assert found.reason.startswith("stale: ")
    assert reader.asked == ["referrers"]


def test_a_stale_list_is_mended_by_embedding_again() -> None:
    registry = MemoryRegistry()
    child = derived(registry, put_in(registry, put(registry, OS, "stable")), on_top=True)

    mended = put_in(registry, child)

    assert same(read(registry, mended), expected(contents()))
    assert len(mended.platforms[0].layers) == len(child.platforms[0].layers) + 1


def test_an_attached_list_comes_before_the_one_inside() -> None:
    registry = MemoryRegistry()
    new = put_in(registry, put(registry, OS, "stable"), contents(details=False, source="sbom"))
    assert read(registry, new).details is None

    attach_list(registry, new, contents())

    assert read(registry, new).details is not None


def test_a_broken_attached_list_leaves_the_one_inside() -> None:
    registry = MemoryRegistry()
    new = put_in(registry, put(registry, OS, "stable"))
    hang(registry, new, b"broken")

    found = read(registry, new)

    assert found.packages == contents().packages
    assert "is not zstd" in str(found.extras["passed_over"])


def relabelled(registry: MemoryRegistry, image: Image, **label: Any) -> Image:
    """``image`` with other words in the label."""
    config = _config(registry, image)
    said = {**json.loads(config["config"]["Labels"][LABEL]), **label}
    config["config"]["Labels"][LABEL] = label.get("text", json.dumps(said))
    encoded = encode(config)
    manifest = json.loads(registry.manifest(image.reference).content)
    manifest["config"] = as_json(
        Descriptor(manifest["config"]["mediaType"], registry.put_blob(OS, encoded), len(encoded))
    )
    return look_at(registry, OS.digest(registry.put_manifest(OS, encode(manifest), OCI_MANIFEST)))


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ({"text": "yes"}, "is not JSON"),
        ({"text": "[]"}, "is not a JSON object"),
        ({"text": "{}"}, "does not name `layer`, `list` and `beneath`"),
        ({"text": "x" * 5000}, "has 5000 characters"),
        ({"list": "sha256:short"}, "does not name"),
        ({"list": 7}, "does not name"),
        ({"list": str(Digest.of(b"other"))}, "as the label says"),
        ({"beneath": str(Digest.of(b"other"))}, "stale: "),
        ({"layer": str(Digest.of(b"other"))}, "stale: "),
    ],
)
def test_a_label_that_does_not_hold_is_a_reason(label: dict[str, Any], reason: str) -> None:
    registry = MemoryRegistry()
    new = put_in(registry, put(registry, OS, "stable"))

    assert reason in refused(registry, relabelled(registry, new, **label))


def forged(registry: MemoryRegistry, archive: bytes, packed: bytes, *, layer: bytes | None = None) -> Image:
    """An image whose label announces ``archive`` as its last layer, stored as ``layer``."""
    base = put(registry, OS, "stable").platforms[0]
    label = {"layer": Digest.of(archive), "list": Digest.of(packed), "beneath": chain_id(base.diff_ids)}
    config = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Labels": {LABEL: json.dumps(label)}},
        "rootfs": {"type": "layers", "diff_ids": [*base.diff_ids, Digest.of(archive)]},
    }
    stored, encoded = layer if layer is not None else archive, encode(config)
    last = Descriptor("application/vnd.oci.image.layer.v1.tar", registry.put_blob(OS, stored), len(stored))
    about = Descriptor("application/vnd.oci.image.config.v1+json", registry.put_blob(OS, encoded), len(encoded))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": as_json(about),
        "layers": [*map(as_json, base.layers), as_json(last)],
    }
    return look_at(registry, OS.digest(registry.put_manifest(OS, encode(manifest), OCI_MANIFEST)))


@pytest.mark.parametrize(
    ("archive", "layer", "reason"),
    [
        (b"", None, "is no tar"),
        (bytes(1024), None, "is no tar"),
        (tar({"etc/passwd": b"x"}), None, "does not begin with"),
        (tar({FILE: b"x"})[:600], b"\x1f\x8bnot gzip", "is corrupt"),
        (tar({FILE: b"x"}), b"\x28\xb5\x2f\xfdnot zstd", "is corrupt"),
        (tar({FILE: b"x"}), tar({FILE: b"y"}), "does not unpack to"),
        (tar({FILE: b"x" * 600})[:700], None, "does not begin with"),
        (tar({FILE: b"x"}), None, "is not zstd"),
    ],
)
def test_a_layer_that_does_not_hold_is_a_reason(archive: bytes, layer: bytes | None, reason: str) -> None:
    registry = MemoryRegistry()

    assert reason in refused(registry, forged(registry, archive, b"x", layer=layer))


def test_a_list_for_other_layers_is_refused() -> None:
    """As when a layer was taken out of one image and put into another, with a label to fit."""
    registry = MemoryRegistry()
    packed = pack(document_bytes(AMD64, contents(), beneath=Digest.of(b"other")))

    assert "is of other layers" in refused(registry, forged(registry, tar({FILE: packed}), packed))


def test_a_layer_that_is_a_bomb_is_refused() -> None:
    import gzip

    registry = MemoryRegistry()
    bomb = gzip.compress(bytes(CONTENTS_LIMIT + 1024 * 1024))

    assert "unpacks to more than" in refused(registry, forged(registry, b"announced", b"x", layer=bomb))


def test_the_chain_is_that_of_the_image_specification() -> None:
    """`ChainID` of config.md: the digest alone for one layer, then the digest of both in words."""
    one, two = Digest.of(b"1"), Digest.of(b"2")

    assert chain_id([one]) == one
    assert chain_id([one, two]) == Digest.of(f"{one} {two}".encode())
    assert chain_id([one, two, one]) == Digest.of(f"{chain_id([one, two])} {one}".encode())


# ------------------------------------------------------------------------------------------- the document

identities = st.sampled_from([package.identity for package in contents().packages])
details = st.builds(
    Details,
    obsoletes=st.dictionaries(identities, st.just((Obsolete("sh-utils", "<", "2.0"), Obsolete("bash2")))),
    sizes=st.dictionaries(identities, st.integers(0, 1 << 60)),
)


@given(details)
@settings(max_examples=50)
def test_details_survive_in_documents(known: Details) -> None:
    listed = replace(contents(), details=known, capabilities=RICH)

    (found,) = contents_from_bytes(contents_bytes({AMD64: listed})).values()

    assert (found, found.details) == (listed, known)


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": {"rpm": [1]}},
        {"sizes": {"rpm": ["1"]}},
        {"sizes": {"deb": [1]}},
        {"sizes": {"rpm": [-1] * 122}},
        {"obsoletes": {"rpm": [["bash"]]}},
        {"obsoletes": {"rpm": [["bash", None, [["", "", ""]]]]}},
        {"obsoletes": {"rpm": "bash"}},
    ],
)
def test_details_that_do_not_add_up_are_malformed(change: dict[str, Any]) -> None:
    document = json.loads(contents_bytes({AMD64: contents()}))
    document["platforms"]["linux/amd64"]["details"].update(change)

    with pytest.raises(Malformed):
        contents_from_bytes(json.dumps(document).encode())


def test_the_time_of_a_first_list_is_the_images_own() -> None:
    registry = MemoryRegistry()
    image = put(registry, OS, "stable")

    (made,) = publications(registry, image, {AMD64: contents()}, now=NOW)

    assert made.created == BUILT
    with pytest.raises(RelmanError):
        publish(MemoryRegistry(), OS, (made,), patience=AT_ONCE)
