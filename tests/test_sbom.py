"""Contents from SBOMs: every format, every packing, and what is wrong with the lists that projects publish."""

from __future__ import annotations

import base64
import gzip
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relman.errors import Malformed
from relman.hookspecs import ContentsContext, ContentsSource, ImageUnderRead
from relman.model.contents import EXACT, Capability, Contents, Package, Unavailable
from relman.model.oci import LINUX_AMD64, Digest, Platform, PlatformImage, parse_reference, parse_repository
from relman.registry.attaching import attach
from relman.registry.protocol import OCI_INDEX
from relman.testing.registry import MemoryRegistry, put_image, put_index
from relman.walk.compare import compare_contents
from relman_plugins.inspect.purl import Purl, parse_purl
from relman_plugins.inspect.sbom import SbomSource, relman_contents_sources
from relman_plugins.inspect.unpack import unpack
from tests import bluefin, bluefin_sboms

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DATA = Path(__file__).parent / "data" / "sbom"
REPOSITORY = parse_repository("ghcr.io/acme/os")
ARM64 = Platform("linux", "arm64")
SPDX_TYPE = "application/vnd.spdx+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CREATED = "org.opencontainers.image.created"
EPOCH, ARCH = Capability.EPOCH, Capability.ARCH


# --------------------------------------------------------------------------------------------- ways of reading


def from_file(path: Path, *ecosystems: str, source: ContentsSource | None = None) -> Contents | Unavailable:
    source = source or SbomSource(frozenset(ecosystems))
    return source.read(ImageUnderRead(parse_reference(f"sbom:{path}"), None, MemoryRegistry()))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Contents]:
    """The contents of a document, by way of a file."""

    def read(document: object, *ecosystems: str) -> Contents:
        path = tmp_path / "sbom"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        found = from_file(path, *ecosystems)
        assert isinstance(found, Contents), found
        return found

    return read


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """Why a document is not read."""

    def refusal(document: object, source: ContentsSource | None = None) -> str:
        path = tmp_path / "sbom"
        path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        found = from_file(path, source=source)
        assert isinstance(found, Unavailable), found
        return found.reason

    return refusal


class Shelf:
    """An image of one platform in a registry, inside an index, for things to be attached to."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.image = put_image(self.registry, REPOSITORY)
        self.index = put_index(self.registry, REPOSITORY, [self.image])

    def attach(
        self,
        content: object,
        *,
        to: Digest | None = None,
        kind: str = SPDX_TYPE,
        layer: str = LAYER,
        created: str | None = None,
    ) -> Digest:
        return attach(
            self.registry,
            REPOSITORY,
            to or self.image,
            content if isinstance(content, bytes) else json.dumps(content).encode(),
            artifact_type=kind,
            media_type=layer,
            annotations={CREATED: created} if created else None,
        ).digest

    def read(self, platform: Platform = LINUX_AMD64, *, by_index: bool = False) -> Contents | Unavailable:
        descriptor = self.registry.resolve(REPOSITORY.digest(self.image))
        assert descriptor is not None
        reference = REPOSITORY.digest(self.index if by_index else self.image)
        part = PlatformImage(platform, descriptor, {}, None, 0)
        return SbomSource().read(ImageUnderRead(reference, part, self.registry))


# ---------------------------------------------------------------------------------------- documents, composed


def syft(*artifacts: Mapping[str, object]) -> dict[str, object]:
    return {"artifacts": list(artifacts), "artifactRelationships": [], "schema": {"version": "16.0.41"}}


def artifact(name: str, version: str, *paths: str, **more: object) -> dict[str, object]:
    return {"name": name, "version": version, "type": "rpm", "locations": [{"path": path} for path in paths], **more}


def spdx(*packages: Mapping[str, object], version: str = "SPDX-2.3") -> dict[str, object]:
    return {"spdxVersion": version, "packages": list(packages)}


def spdx_package(name: str, version: str | None, purl: str | None = None, **more: object) -> dict[str, object]:
    cpe = {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x:x:1:*:*:*:*:*:*:*"}
    refs = [cpe, {"referenceType": "purl", "referenceLocator": purl}] if purl else [cpe]
    return {"name": name, "versionInfo": version, "externalRefs": refs, **more}


def cyclonedx(*components: Mapping[str, object]) -> dict[str, object]:
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": list(components)}


BASH = spdx_package("bash", "5.3.0-2.fc44", "pkg:rpm/fedora/bash@5.3.0-2.fc44?arch=x86_64")


def envelope(predicate: object) -> dict[str, object]:
    statement = {"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document"}
    payload = base64.b64encode(json.dumps({**statement, "predicate": predicate}).encode()).decode()
    return {"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": []}


# ------------------------------------------------------------------------- every format against the truth


def trivy_spdx(packages: Sequence[bluefin.Installed], keys: Sequence[str], build: int) -> bytes:
    """As trivy writes SPDX: the version's text without the release, the source in a sentence, no keys."""
    document = json.loads(bluefin_sboms.spdx(packages, keys, build))
    sources = {(p.name, p.version.rpartition(":")[2]): p.source for p in packages}
    for row in document["packages"]:
        purl = parse_purl(row["externalRefs"][0]["referenceLocator"]) if "externalRefs" in row else None
        if purl and purl.type == "rpm" and purl.name != "gpg-pubkey":
            source = sources[row["name"], purl.version]
            row["sourceInfo"] = f"built package from: {source} {purl.version}"
            row["versionInfo"] = purl.version.rpartition("-")[0]
            row["SPDXID"] = "SPDXRef-Package-5a18334f22149877"
            row["externalRefs"][0]["referenceLocator"] = row["externalRefs"][0]["referenceLocator"].partition(
                "&upstream"
            )[0]
    return json.dumps(document).encode()


def syft_cyclonedx(packages: Sequence[bluefin.Installed], keys: Sequence[str], build: int) -> bytes:
    """As syft writes CycloneDX: what it knows besides stands in properties, components may lie in one another."""
    document = json.loads(bluefin_sboms.cyclonedx(packages, keys, build))
    for row in document["components"]:
        if row.get("purl", "").startswith("pkg:rpm/"):
            path = {"name": "syft:location:0:path", "value": "/usr/share/rpm/rpmdb.sqlite"}
            row["properties"] = [{"name": "syft:package:metadataType", "value": "rpm-db-entry"}, path]
    rows = document["components"]
    document["components"] = [*rows[:100], {"type": "library", "name": "all", "components": rows[100:]}]
    return json.dumps(document).encode()


def wrapped(packages: Sequence[bluefin.Installed], keys: Sequence[str], build: int) -> bytes:
    """SPDX inside a signed statement."""
    return json.dumps(envelope(json.loads(bluefin_sboms.spdx(packages, keys, build)))).encode()


SHAPES = {
    "syft": bluefin_sboms.syft,
    "spdx": bluefin_sboms.spdx,
    "cyclonedx": bluefin_sboms.cyclonedx,
    "spdx by trivy": trivy_spdx,
    "cyclonedx by syft": syft_cyclonedx,
    "statement": wrapped,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_diff_of_two_lists_is_right_to_the_row_in_every_format(shape: str, read: Callable[..., Contents]) -> None:
    composed = bluefin.compose()
    write = SHAPES[shape]
    variant = "bluefin-dx-nvidia-open"
    before, after = (
        read(write(composed.installed(variant, build), composed.trusted[build], build)) for build in (0, 1)
    )

    found = compare_contents(before, after)

    assert len(before.packages) == len(composed.installed(variant, 0)) > 1800
    assert found.changes == composed.changes(variant, 0, 1)
    assert (found.keys_added, found.keys_removed) == composed.keys(0, 1)
    assert (found.exact, found.notes) == (True, ())


@pytest.mark.parametrize(
    "shapes", [("syft", "cyclonedx"), ("spdx by trivy", "syft"), ("statement", "cyclonedx by syft")]
)
def test_lists_in_two_formats_differ_in_nothing_but_what_changed(
    shapes: tuple[str, str], read: Callable[..., Contents]
) -> None:
    composed = bluefin.compose(7)
    before, after = (
        read(SHAPES[shape](composed.installed("bluefin", build), composed.trusted[build], build))
        for build, shape in enumerate(shapes)
    )

    assert compare_contents(before, after).changes == composed.changes("bluefin", 0, 1)


def test_the_traps_that_other_tools_fall_into() -> None:
    before, after = (from_file(DATA / "traps" / f"{which}.spdx.json") for which in ("old", "new"))
    assert isinstance(before, Contents)
    assert isinstance(after, Contents)
    expected = [json.loads(line) for line in (DATA / "traps" / "expected.jsonl").read_text().splitlines() if line]

    found = compare_contents(before, after)

    kinds = {"rebuild": "upgraded", "multi": "upgraded"}  # its words for what the contract calls an upgrade
    assert found.exact
    assert [(c.name, c.arch, c.kind, c.before, c.after) for c in found.changes] == [
        (
            row["name"],
            row["arch"],
            kinds.get(row["kind"], row["kind"]),
            tuple(sorted(row["from"] + row["kept"], key=len)),
            tuple(row["kept"] + row["to"]),
        )
        for row in expected
    ]


# ------------------------------------------------------------------------------------------ what each says


def test_the_words_of_the_database_decide_over_the_scanners(read: Callable[..., Contents]) -> None:
    metadata = {"name": "bind", "version": "9.18", "epoch": 32, "release": "1.fc44", "architecture": "x86_64"}
    more = {"sourceRpm": "bind-9.18-1.fc44.src.rpm", "vendor": "Fedora Project"}
    found = read(syft(artifact("bind", "9.18-1.fc44", purl="pkg:rpm/bind@9.18-1.fc44", metadata={**metadata, **more})))

    assert list(found.packages) == [Package("rpm", "bind", "x86_64", "32:9.18-1.fc44", "bind", "Fedora Project")]
    assert found.capabilities == SbomSource.capabilities


def test_an_explicit_epoch_of_zero_is_none(read: Callable[..., Contents]) -> None:
    metadata = {"version": "1", "epoch": 0, "release": "1", "architecture": "noarch", "sourceRpm": "a-b-1-1.nosrc.rpm"}

    assert list(read(syft(artifact("a", "0:1-1", metadata=metadata))).packages) == [
        Package("rpm", "a", "noarch", "1-1", "a-b")
    ]
    assert list(read(syft(artifact("a", "0:1-1"))).packages) == [Package("rpm", "a", None, "1-1")]


@pytest.mark.parametrize(
    ("text", "purl", "version"),
    [
        ("1.0-1", "pkg:rpm/a@1.0-1?arch=x86_64&epoch=2", "2:1.0-1"),
        ("2:1.0-1", "pkg:rpm/a@1.0-1?arch=x86_64", "2:1.0-1"),
        ("1.0", "pkg:rpm/a@1.0-1?arch=x86_64&epoch=2", "2:1.0-1"),
        ("2:1.0-1", "pkg:rpm/a@1.0?arch=x86_64", "2:1.0-1"),
        ("2:9.9-9", "pkg:rpm/a@1.0-1?arch=x86_64", "1.0-1"),
        ("2:9.9-1", "pkg:rpm/a@1.0-1?arch=x86_64", "1.0-1"),
        ("2:1.0-9", "pkg:rpm/a@1.0-1?arch=x86_64", "1.0-1"),
        ("0:1.0-1", "pkg:rpm/a@0%3A1.0-1?arch=x86_64", "1.0-1"),
        ("", "pkg:rpm/a@1.0%5Egit1%7Erc-1?arch=x86_64", "1.0^git1~rc-1"),
        ("3:1.0-1", "pkg:rpm/a?arch=x86_64", "3:1.0-1"),
        ("3:1.0-1", None, "3:1.0-1"),
    ],
)
@pytest.mark.parametrize("form", ["syft", "spdx", "cyclonedx"])
def test_version_release_and_epoch_are_taken_from_where_they_are(
    form: str, text: str, purl: str | None, version: str, read: Callable[..., Contents]
) -> None:
    document = {
        "syft": syft(artifact("a", text, purl=purl or "")),
        "spdx": spdx(spdx_package("a", text or None, purl, SPDXID="SPDXRef-Package-rpm-a-1")),
        "cyclonedx": cyclonedx(
            {
                "type": "library",
                "name": "a",
                "version": text,
                "purl": purl,
                "properties": [{"name": "syft:package:type", "value": "rpm"}],
            }
        ),
    }[form]

    assert [package.version for package in read(document).packages] == [version]


def test_real_lists_of_trivy_give_source_epoch_and_release() -> None:
    for name, source in (("cyclonedx", "openssl"), ("spdx", "openssl-libs")):
        found = from_file(DATA / f"trivy-fixture.centos-7-{name}.json")

        assert isinstance(found, Contents)
        assert list(found.packages) == [
            Package("rpm", "bash", "x86_64", "4.2.46-31.el7", "bash"),
            Package("rpm", "openssl-libs", "x86_64", "1:1.0.2k-16.el7", source),
        ]
        assert found.capabilities >= EXACT


@pytest.mark.parametrize("name", ["booted-syft", "target-syft", "booted-spdx"])
def test_a_list_without_package_urls_knows_neither_epoch_nor_arch(name: str) -> None:
    found = from_file(DATA / f"chairlift-fixture.{name}.json")

    assert isinstance(found, Contents)
    assert found.capabilities == {Capability.MULTI_VERSION}
    assert {"kernel", "mesa"} <= {package.name for package in found.packages}
    assert {package.ecosystem for package in found.packages} == {"rpm"}


def test_without_package_urls_only_what_has_a_release_is_taken_for_a_package(read: Callable[..., Contents]) -> None:
    root = spdx_package("ghcr.io/acme/os", "sha256:" + "a" * 64)
    found = read(
        spdx(root, spdx_package("centos", "10"), spdx_package("bash", "5.3.0-2.el10"), spdx_package("a", "1-1"))
    )

    assert [package.name for package in found.packages] == ["a", "bash"]


def test_epochs_are_known_once_one_is_seen(read: Callable[..., Contents]) -> None:
    found = read(syft(artifact("a", "1-1"), artifact("b", "1:1-1")))

    assert EPOCH in found.capabilities


def test_the_arch_is_known_only_where_every_package_has_one(read: Callable[..., Contents]) -> None:
    bare = spdx_package("zsh", "5-1", "pkg:rpm/zsh@5-1")
    key = spdx_package("gpg-pubkey", "b99058cd-67a3b2c0", "pkg:rpm/gpg-pubkey@b99058cd-67a3b2c0?arch=(none)")

    assert ARCH in read(spdx(BASH, key)).capabilities
    assert ARCH not in read(spdx(BASH, bare)).capabilities


def test_trusted_keys_are_no_packages(read: Callable[..., Contents]) -> None:
    keys = [artifact("gpg-pubkey", key) for key in ("b99058cd-67a3b2c0", "a15b79cc-63d04c2c", "b99058cd-67a3b2c0")]
    found = read(syft(artifact("bash", "5-1"), *keys))

    assert found.keys == ("a15b79cc-63d04c2c", "b99058cd-67a3b2c0")
    assert [package.name for package in found.packages] == ["bash"]


def test_deb_and_alpm_packages_count_as_well(read: Callable[..., Contents]) -> None:
    deb = {
        "name": "libc6",
        "version": "1:2.41-12",
        "type": "deb",
        "purl": "pkg:deb/debian/libc6@1%3A2.41-12?arch=amd64&upstream=glibc",
        "locations": [{"path": "/var/lib/dpkg/status"}, {"path": "/usr/share/doc/libc6/copyright"}],
        "metadata": {"package": "libc6", "source": "glibc", "version": "1:2.41-12", "architecture": "amd64"},
    }
    dash = {"name": "dash", "version": "0.5-1", "type": "deb", "metadata": {"source": "", "architecture": "amd64"}}
    pacman = {
        "name": "linux",
        "version": "6.15.2.arch1-1",
        "type": "alpm",
        "locations": [{"path": "/var/lib/pacman/local/linux-6.15.2.arch1-1/desc"}],
        "metadata": {"basepackage": "linux", "architecture": "x86_64"},
    }

    assert list(read(syft(deb, dash, pacman)).packages) == [
        Package("alpm", "linux", "x86_64", "6.15.2.arch1-1", "linux"),
        Package("deb", "dash", "amd64", "0.5-1", "dash"),
        Package("deb", "libc6", "amd64", "1:2.41-12", "glibc"),
    ]


def test_other_ecosystems_count_only_where_they_are_asked_for(read: Callable[..., Contents]) -> None:
    others: list[dict[str, object]] = [
        {"name": "@angular/core", "version": "20.0.0", "type": "npm", "purl": "pkg:npm/%40angular/core@20.0.0"},
        {"name": "requests", "version": "2.32.0", "type": "python", "purl": "pkg:pypi/requests@2.32.0"},
        {"name": "golang.org/x/net", "version": "v0.40.0", "type": "go-module", "metadata": {"epoch": "odd"}},
        {"name": "built-here", "version": "", "type": "go-module"},
    ]
    document = syft(artifact("bash", "5-1"), *others)

    def names(*ecosystems: str) -> list[tuple[str, str]]:
        return [(package.ecosystem, package.name) for package in read(document, *ecosystems).packages]

    assert names() == [("rpm", "bash")]
    assert names("npm", "python") == [("npm", "@angular/core"), ("pypi", "requests"), ("rpm", "bash")]
    assert names("go-module") == names("golang") == [("golang", "golang.org/x/net"), ("rpm", "bash")]


# ------------------------------------------------------------------------------------------ nested databases

OWN = ["/usr/share/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/Packages"]
BASE = "/usr/lib/sysimage/rpm-ostree-base-db/rpmdb.sqlite"
NESTED = "/var/lib/containers/storage/overlay/1f/diff/usr/share/rpm/rpmdb.sqlite"


def placed(form: str, rows: Mapping[str, str]) -> dict[str, object]:
    """A list of packages, each with the file that a scanner took it from."""
    if form == "syft":
        return syft(*(artifact(name, "1-1", path) for name, path in rows.items()))
    if form == "spdx":
        said = "acquired package info from RPM DB: "
        return spdx(
            *(spdx_package(n, "1-1", f"pkg:rpm/{n}@1-1?arch=noarch", sourceInfo=said + p) for n, p in rows.items())
        )
    return cyclonedx(
        *(
            {
                "type": "library",
                "name": name,
                "version": "1-1",
                "purl": f"pkg:rpm/{name}@1-1?arch=noarch",
                "properties": [{"name": "syft:location:0:path", "value": path}],
            }
            for name, path in rows.items()
        )
    )


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("form", ["syft", "spdx", "cyclonedx"])
def test_only_the_images_own_database_counts(form: str, own: str, read: Callable[..., Contents]) -> None:
    rows = {"base": BASE, "nested": NESTED, "own": own, "file": "/opt/local.rpm", "own-too": own}

    assert [package.name for package in read(placed(form, rows)).packages] == ["own", "own-too"]


def test_of_nested_databases_alone_the_one_nearest_to_the_root_counts(read: Callable[..., Contents]) -> None:
    rows = {"deep": NESTED, "near": "rootfs/usr/share/rpm/rpmdb.sqlite", "base": f"rootfs{BASE}"}

    assert [package.name for package in read(placed("syft", rows)).packages] == ["near"]


@pytest.mark.parametrize("form", ["syft", "spdx", "cyclonedx"])
def test_the_base_images_list_is_never_taken_for_the_images(form: str, refusal: Callable[..., str]) -> None:
    assert "lists no package of the image's own database" in refusal(placed(form, {"base": BASE}))


def test_package_files_that_lie_in_the_image_are_not_installed(read: Callable[..., Contents]) -> None:
    archive = artifact("file", "1-1", "/opt/x", foundBy="rpm-archive-cataloger", metadataType="rpm-archive")

    assert [p.name for p in read(syft(archive, artifact("bash", "1-1", OWN[0]))).packages] == ["bash"]


# ------------------------------------------------------------------------------------------ packings and limits


@pytest.mark.parametrize(
    "pack",
    [
        bytes,
        gzip.compress,
        zstd.compress,
        lambda content: gzip.compress(content[:50]) + gzip.compress(content[50:]) + bytes(512),
        lambda content: zstd.compress(content[:50]) + zstd.compress(content[50:]),
        lambda content: b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + zstd.compress(content),
        lambda content: b"\xef\xbb\xbf" + content,
    ],
    ids=["raw", "gzip", "zstd", "gzip members", "zstd frames", "zstd after a skippable frame", "byte order mark"],
)
def test_a_list_is_unpacked_by_its_first_bytes(pack: Callable[[bytes], bytes], read: Callable[..., Contents]) -> None:
    packed = pack(json.dumps(spdx(BASH)).encode())

    assert [package.name for package in read(packed).packages] == ["bash"]


@given(st.binary(max_size=5000), st.sampled_from([gzip.compress, zstd.compress]), st.integers(1, 700))
@settings(deadline=None)
def test_it_does_not_matter_how_a_blob_is_cut_into_pieces(
    content: bytes, pack: Callable[[bytes], bytes], size: int
) -> None:
    packed = pack(content)

    assert bytes(unpack(packed[at : at + size] for at in range(0, len(packed), size))) == content


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_what_packs_well_comes_out_whole(pack: Callable[[bytes], bytes]) -> None:
    content = bytes(5_000_000)

    assert bytes(unpack([pack(content)])) == content


@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 1, 4 * 1024 * 1024, 70 * 1024 * 1024])
def test_a_large_list_is_gathered_whole_and_bounded(size: int) -> None:
    content = random.Random(size).randbytes(size)
    pieces = [content[at : at + 300_000] for at in range(0, size, 300_000)]

    assert bytes(unpack(iter(pieces))) == content
    assert bytes(unpack(iter(pieces), limit=size)) == content
    with pytest.raises(Malformed, match="larger than"):
        unpack(iter(pieces), limit=size - 1)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_what_unpacks_to_more_than_the_limit_is_refused(
    pack: Callable[[bytes], bytes], refusal: Callable[..., str]
) -> None:
    bomb = pack(b" " * 20_000_000)

    assert len(bomb) < 100_000
    assert "larger than 1000000 bytes once it is unpacked" in refusal(bomb, SbomSource(limit=1_000_000))


def test_what_is_published_larger_than_the_limit_is_refused(refusal: Callable[..., str]) -> None:
    assert "larger than 1000 bytes" in refusal(b" " * 1001, SbomSource(packed_limit=1000))


def test_a_layer_that_says_it_is_too_large_is_not_fetched() -> None:
    shelf = Shelf()
    shelf.attach(spdx(BASH))
    (referrer,) = shelf.registry.referrers(REPOSITORY, shelf.image)
    manifest = json.loads(shelf.registry.manifest(REPOSITORY.digest(referrer.digest)).content)
    size = manifest["layers"][0]["size"]
    descriptor = shelf.registry.resolve(REPOSITORY.digest(shelf.image))
    assert descriptor is not None
    image = ImageUnderRead(
        REPOSITORY.digest(shelf.image), PlatformImage(LINUX_AMD64, descriptor, {}, None, 0), shelf.registry
    )

    found = SbomSource(packed_limit=size - 1).read(image)

    assert isinstance(found, Unavailable)
    assert f"it is {size} bytes, more than the {size - 1} that are read" in found.reason


# ------------------------------------------------------------------------------------------------ what is broken

WHOLE = json.dumps(spdx(BASH)).encode()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "it is empty"),
        (b" \n ", "it is empty"),
        (zstd.compress(b""), "it is empty"),
        (b"placeholder", "it is not JSON"),
        (b"{}", "it is JSON, but neither syft's, SPDX nor CycloneDX"),
        (b"null", "Expected `object`, got `null`"),
        (b"[]", "Expected `object`, got `array`"),
        (WHOLE[:-20], "it is not JSON, or cut"),
        (WHOLE + b"x", "it is not JSON, or cut"),
        (gzip.compress(WHOLE, mtime=0)[:-12], "its gzip stream is cut"),
        (gzip.compress(WHOLE, mtime=0)[:30] + b"\0" * 30, "its gzip stream is"),
        (gzip.compress(WHOLE, mtime=0) + b"garbage", "its gzip stream is corrupt"),
        (zstd.compress(WHOLE)[:-5], "its zstd stream is cut"),
        (zstd.compress(WHOLE) + b"garbage", "its zstd stream is corrupt"),
        (spdx(), "it lists no packages at all"),
        ({"spdxVersion": "SPDX-2.3"}, "it lists no packages at all"),
        ({"spdxVersion": "SPDX-2.3", "packages": None}, "it lists no packages at all"),
        (syft(), "it lists no packages at all"),
        (cyclonedx(), "it lists no packages at all"),
        (spdx(spdx_package("placeholder", "0")), "it lists no rpm, deb or alpm packages, only others (1 unnamed)"),
        (syft(artifact("a", "1", type="npm")), "only others (1 npm)"),
        (spdx(BASH, version="SPDX-3.0"), "it is `SPDX-3.0`, which is not read"),
        ({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []}, "it lists no packages at all"),
        ({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}, "it lists no packages at all"),
        ({"@context": "https://schema.org", "@graph": []}, "it is JSON-LD, but its `@context` is not that of SPDX 3"),
        ({"@graph": [{"type": "software_Package", "name": "a"}]}, "its `@context` is not that of SPDX 3"),
        (b"SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n", "it is SPDX as tag-value text"),
        (b'<?xml version="1.0"?><bom/>', "it is XML"),
        ({"bomFormat": "Other", "components": []}, "its `bomFormat` is `Other`"),
        ({"spdxVersion": 2}, "`spdxVersion` is not what its format says"),
        (spdx({"name": 5}), "`packages` is not what its format says: Expected `str`, got `int` - at `$[0].name`"),
        ({**syft(), "artifacts": {}}, "`artifacts` is not what its format says"),
        (syft(artifact("a", "1-1", metadata={"epoch": "x"})), "the metadata of `a` is not what its format says"),
        (
            spdx(spdx_package("a", "1-1", "pkg:rpm/a@1-1?epoch=x")),
            "the package `a` cannot be read: `x` is not an epoch",
        ),
        (spdx(spdx_package("a", "", "pkg:rpm/a?arch=noarch")), "the package `a` has no version"),
        (syft(artifact("", "1-1")), "the package `` has no name"),
        (syft(artifact("a\nb", "1-1")), "`a\\nb` is no package's name"),
        (syft(artifact("a\u202eb", "1-1")), "`a\\u202eb` is no package's name"),
        (syft(artifact("a", "1" * 2000)), "is no package's version (2000 characters)"),
        ({"payload": "***"}, "the payload of its envelope is not base64"),
        ({"payload": base64.b64encode(b"{").decode()}, "it is not JSON, or cut"),
        (envelope(envelope(envelope(spdx(BASH)))), "it is JSON, but neither"),
        (b'{"artifacts":' + b"[" * 200_000, "it is"),
        (b'{"spdxVersion":"SPDX-2.3","packages":[{"name":"\xff"}]}', "is not"),
    ],
)
def test_what_is_broken_is_unavailable_and_says_what_is_wrong(
    document: object, reason: str, refusal: Callable[..., str]
) -> None:
    said = refusal(document)

    assert reason in said
    assert said.isprintable()


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@settings(deadline=None, max_examples=200)
def test_a_damaged_byte_never_raises(at: int, byte: int) -> None:
    damaged = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    shelf = Shelf()
    shelf.attach(damaged)

    assert isinstance(shelf.read(), Contents | Unavailable)


def test_a_file_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    assert from_file(tmp_path / "none") == Unavailable(f"`{tmp_path}/none` cannot be read: No such file or directory")
    assert from_file(tmp_path) == Unavailable(f"`{tmp_path}` cannot be read: Is a directory")


def test_a_database_is_not_an_sbom(tmp_path: Path) -> None:
    image = ImageUnderRead(parse_reference(f"rpmdb:{tmp_path}"), None, MemoryRegistry())

    assert SbomSource().read(image) == Unavailable(f"`rpmdb:{tmp_path}` is not an SBOM")


# ---------------------------------------------------------------------------------------------------- referrers


def named(name: str) -> dict[str, object]:
    return spdx(spdx_package(name, "1-1", f"pkg:rpm/{name}@1-1?arch=x86_64"))


def names(found: Contents | Unavailable) -> list[str]:
    assert isinstance(found, Contents), found
    return [package.name for package in found.packages]


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (SPDX_TYPE, LAYER),
        ("application/vnd.cyclonedx+json", "application/json"),
        ("application/vnd.syft+json", LAYER),
        ("application/vnd.oci.empty.v1+json", "application/vnd.syft+json"),
        ("application/vnd.unknown", "text/spdx+json"),
        ("application/vnd.in-toto+json", "application/vnd.in-toto+json"),
        ("application/vnd.example.SBOM", "application/octet-stream"),
    ],
)
def test_an_sbom_is_found_by_what_its_types_say_and_read_by_what_it_is(kind: str, layer: str) -> None:
    shelf = Shelf()
    shelf.attach(b'{"SLSA": true}', kind="application/vnd.in-toto.provenance+json", layer="application/json")
    shelf.attach(syft(artifact("bash", "5-1")), kind=kind, layer=layer)

    assert names(shelf.read()) == ["bash"]


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.cncf.notary.signature",
    ],
)
def test_signatures_are_passed_over(kind: str) -> None:
    shelf = Shelf()
    shelf.attach(named("signed"), kind=kind, layer=SPDX_TYPE)

    found = shelf.read()

    assert isinstance(found, Unavailable)
    assert found.reason == f"no SBOM is attached to `{shelf.image.short}`, only 1 other referrers ({kind})"


def test_an_image_without_referrers_says_so() -> None:
    shelf = Shelf()

    assert shelf.read() == Unavailable(f"no SBOM is attached to `{shelf.image.short}`: nothing refers to it")


def test_the_newest_of_several_is_read() -> None:
    shelf = Shelf()
    shelf.attach(named("undated"))
    shelf.attach(named("old"), created="2026-06-01T00:00:00Z")
    shelf.attach(named("new"), created="2026-06-01T23:30:00-02:00")
    shelf.attach(named("middle"), created="2026-06-02T02:30:00+02:00")
    shelf.attach(named("nonsense"), created="yesterday")

    assert names(shelf.read()) == ["new"]


def test_one_that_is_broken_is_passed_over_with_its_reason() -> None:
    shelf = Shelf()
    broken = shelf.attach(b"placeholder", created="2026-06-02T00:00:00Z")
    shelf.attach(named("older"), created="2026-06-01T00:00:00Z")

    found = shelf.read()

    assert names(found) == ["older"]
    assert isinstance(found, Contents)
    reasons = found.extras["passed_over"]
    assert isinstance(reasons, tuple)
    assert len(reasons) == 1
    assert reasons[0].startswith(f"the SBOM `{broken.short}` of `{shelf.image.short}`: it is not JSON")


def test_where_none_can_be_read_every_reason_is_kept() -> None:
    shelf = Shelf()
    shelf.attach(b"placeholder")
    shelf.attach(b"")
    shelf.attach(spdx(), to=shelf.index)

    found = shelf.read(by_index=True)

    assert isinstance(found, Unavailable)
    for reason in ("it is not JSON", "it is empty", "it lists no packages at all"):
        assert reason in found.reason


def test_what_is_attached_to_the_image_itself_comes_before_the_indexs() -> None:
    shelf = Shelf()
    shelf.attach(named("of-the-index"), to=shelf.index, created="2026-06-02T00:00:00Z")

    assert names(shelf.read(by_index=True)) == ["of-the-index"]
    assert isinstance(shelf.read(), Unavailable)
    shelf.attach(named("of-the-image"), created="2026-06-01T00:00:00Z")
    assert names(shelf.read(by_index=True)) == ["of-the-image"]


def test_an_indexs_sbom_of_another_platform_is_not_this_ones() -> None:
    shelf = Shelf()
    shelf.attach(named("x86"), to=shelf.index)

    found = shelf.read(ARM64, by_index=True)

    assert isinstance(found, Unavailable)
    assert "it lists packages for `x86_64`, not for linux/arm64" in found.reason


def test_a_referrer_of_another_image_is_not_this_ones() -> None:
    shelf = Shelf()
    other = put_image(shelf.registry, REPOSITORY, labels={"other": "image"})
    shelf.attach(named("other"), to=other)
    (stray,) = shelf.registry.referrers(REPOSITORY, other)
    listing = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {
                "mediaType": stray.media_type,
                "digest": stray.digest,
                "size": stray.size,
                "artifactType": SPDX_TYPE,
            }
        ],
    }
    listed = json.dumps(listing).encode()
    shelf.registry.put_manifest(REPOSITORY, listed, OCI_INDEX, tag=shelf.image.fallback_tag)

    found = shelf.read()

    assert isinstance(found, Unavailable)
    assert f"it refers to another image, `{other}`" in found.reason


def test_the_plugin_offers_one_source_that_minds_the_configured_ecosystems(tmp_path: Path) -> None:
    (source,) = relman_contents_sources(ContentsContext(frozenset({"npm"}), lambda model: ()))
    path = tmp_path / "sbom"
    path.write_text(json.dumps(syft(artifact("left-pad", "1.0.0", type="npm"))))

    found = from_file(path, source=source)

    assert source.name == "sbom"
    assert names(found) == ["left-pad"]


# --------------------------------------------------------------------------------------------------------- purl


@pytest.mark.parametrize(
    ("text", "purl"),
    [
        (
            "pkg:rpm/fedora/libstdc%2B%2B@16.0-1.fc44?arch=x86_64&epoch=1&upstream=gcc-16.0-1.fc44.src.rpm#a/b",
            Purl(
                "rpm",
                "fedora",
                "libstdc++",
                "16.0-1.fc44",
                {"arch": "x86_64", "epoch": "1", "upstream": "gcc-16.0-1.fc44.src.rpm"},
            ),
        ),
        ("pkg:rpm/libstdc++@16", Purl("rpm", "", "libstdc++", "16", {})),
        ("PKG:NPM/@angular/core@1.0", Purl("npm", "@angular", "core", "1.0", {})),
        ("pkg:npm/%40angular/core", Purl("npm", "@angular", "core", "", {})),
        ("pkg:npm/@angular/core", Purl("npm", "@angular", "core", "", {})),
        ("pkg:golang/golang.org/x/net@v0.40.0", Purl("golang", "golang.org/x", "net", "v0.40.0", {})),
        ("pkg://deb/debian/dpkg@1%3A1.22?arch=", Purl("deb", "debian", "dpkg", "1:1.22", {})),
        ("pkg:rpm", None),
        ("pkg:rpm/", None),
        ("https://example.org", None),
        ("", None),
    ],
)
def test_package_urls_are_taken_apart(text: str, purl: Purl | None) -> None:
    assert parse_purl(text) == purl
