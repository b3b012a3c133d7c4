"""The policy that an image ships: found in its layers as a host would find it, and as strictly read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from relman.errors import ConfigError, Malformed
from relman.model.oci import parse_repository
from relman.model.plan import State
from relman.registry.look import look_at
from relman.testing import MemoryRegistry, attach
from relman_plugins.gates.signature.shipped import lay_out
from tests.layer_factories import Folder, Layer, Link, Symlink, chunked, gzipped, plain, put_layers, zstandard
from tests.signing import Signer
from tests.walking import SYSTEM, World, sbom

CONFIG = """\
[changelog]
commits = {{ required = false }}

[[variants]]
name = "os"

[signature]
policy = "image:{path}"

[streams.testing]
tags = ["testing"]
versions = ["testing-{{date}}"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{{today}}"
gates = ["signature"]
"""
PATH = "/etc/containers/policy.json"
OS = parse_repository("ghcr.io/acme/os")
ALICE, BOB = Signer(), Signer()
REGISTRIES = b"docker:\n  ghcr.io/acme:\n    use-sigstore-attachments: true\n"
KEY = "/etc/pki/containers/acme.pub"


def policy(key: str = KEY, **more: object) -> bytes:
    asked = [{"type": "sigstoreSigned", "keyPath": key, "signedIdentity": {"type": "matchRepository"}}]
    return json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {"ghcr.io/acme": asked}}}).encode()


WHOLE = {
    "etc/containers/policy.json": policy(),
    "etc/containers/registries.d/acme.yaml": REGISTRIES,
    "etc/pki/containers/acme.pub": ALICE.pem.encode(),
}


def world(folder: Path, layers: list[Layer], *, path: str = PATH, signer: Signer = ALICE) -> World:
    found = World(folder, MemoryRegistry())
    found.configure(CONFIG.format(path=path))
    digest = put_layers(found.registry, OS, layers).digest
    assert digest
    manifest = found.registry.manifest(OS.digest(digest))
    for tag in ("testing", "testing-20260705"):
        found.registry.put_manifest(OS, manifest.content, manifest.descriptor.media_type, tag=tag)
    signer.sign(found.registry, OS, digest, reference="ghcr.io/acme/os:testing")
    return found


def state(world: World) -> tuple[State, str]:
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream("stable"))
        (gate,) = [gate for gate in walk.gate(release, None) if gate.gate == "signature"]
    return gate.state, gate.reason


def below(root: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {name.replace("etc/", f"{root}etc/", 1): content for name, content in files.items()}


@pytest.mark.parametrize("pack", [plain, gzipped, zstandard, chunked])
def test_an_image_is_verified_by_the_policy_the_registries_and_the_key_that_it_ships(
    tmp_path: Path, pack: object
) -> None:
    layers = [plain({"usr/bin/x": b"x"}), pack({**WHOLE, "etc/os-release": b"ID=acme"}), plain({"usr/bin/y": b"y"})]  # type: ignore[operator]

    assert state(world(tmp_path, layers)) == (
        State.PASSED,
        "signed for `ghcr.io/acme/os:stable` as `policy.json`, under `ghcr.io/acme`, shipped by the image asks",
    )
    (tmp_path / "bob").mkdir()
    assert state(world(tmp_path / "bob", layers, signer=BOB))[0] is State.FAILED


OBJECT = "sysroot/ostree/repo/objects/ab/cdef.file"


@pytest.mark.parametrize(
    "layers",
    [
        [below("usr/", WHOLE)],
        [below("usr/", WHOLE), {"etc": Folder()}],
        [{"etc/containers/policy.json": b"{}"}, WHOLE],
        [WHOLE | {"etc/containers/policy.json": b"broken"}, {"etc/containers/.wh.policy.json": b""}, WHOLE],
        [{"etc/containers/registries.d/z.yaml": b"\t"}, {"etc/containers/registries.d/.wh..wh..opq": b""} | WHOLE],
        [{OBJECT: policy()}, WHOLE | {"etc/containers/policy.json": Link(OBJECT)}],
        [WHOLE | {OBJECT: policy(), "etc/containers/policy.json": Link(OBJECT)}],
        [WHOLE | {"etc/containers/policy.json": Symlink("real.json"), "etc/containers/real.json": policy()}],
        [below("usr/", WHOLE), {"etc": Symlink("usr/etc")}],
        [
            {name: content for name, content in WHOLE.items() if "pki" not in name}
            | {"etc/pki/containers": Symlink("/usr/share/keys"), "usr/share/keys/acme.pub": ALICE.pem.encode()}
        ],
        [
            {name: content for name, content in WHOLE.items() if "registries.d" not in name}
            | {"etc/containers/registries.d": Symlink("../other.d"), "etc/other.d/acme.yaml": REGISTRIES}
        ],
    ],
    ids=[
        "usr/etc",
        "usr/etc below an empty etc",
        "replaced",
        "removed and made anew",
        "a folder made anew",
        "hard link into a layer below",
        "hard link in its layer",
        "link",
        "etc is a link",
        "the keys' folder is a link",
        "registries.d is a link",
    ],
)
def test_layers_are_read_as_a_host_unpacks_them(tmp_path: Path, layers: list[dict[str, object]]) -> None:
    assert state(world(tmp_path, [plain(layer) for layer in layers]))[0] is State.PASSED  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("layers", "state_of", "said"),
    [
        ([{"usr/bin/x": b"x"}], State.ERROR, "the image ships no policy at `/etc/containers/policy.json`"),
        ([WHOLE, {"etc/containers/.wh.policy.json": b""}], State.ERROR, "the image ships no policy"),
        ([WHOLE, {".wh.etc": b""}], State.ERROR, "the image ships no policy"),
        ([WHOLE | {"etc/containers/policy.json": b"{"}], State.ERROR, "is no policy of containers-policy.json(5)"),
        ([WHOLE | {"etc/containers/policy.json": b"x" * 2_000_000}], State.ERROR, "is larger than"),
        ([WHOLE, {"etc/pki/containers/.wh.acme.pub": b""}], State.ERROR, f"there is no key `{KEY}`"),
        ([WHOLE, {"etc/containers/registries.d/.wh.acme.yaml": b""}], State.FAILED, "use-sigstore-attachments"),
        ([WHOLE | {"etc/containers/policy.json": policy("/etc/../../../etc/passwd")}], State.ERROR, "there is no key"),
        ([WHOLE | {"etc/containers/policy.json": Symlink("policy.json")}], State.ERROR, "the image ships no policy"),
        ([WHOLE | {"etc/containers/policy.json": Link("etc/gone")}], State.ERROR, "a hard link to `etc/gone`"),
    ],
)
def test_what_a_host_would_not_find_or_take_keeps_the_gate_shut(
    tmp_path: Path, layers: list[dict[str, object]], state_of: State, said: str
) -> None:
    found = state(world(tmp_path, [plain(layer) for layer in layers]))  # type: ignore[arg-type]

    assert found[0] is state_of, found
    assert said in found[1]
    assert "relman-policy" not in found[1]


@pytest.mark.parametrize(
    ("path", "said"),
    [("etc/policy.json", "is no path in an image"), ("/etc/../x", "is no path in an image"), ("", "is no path")],
)
def test_a_policy_in_an_image_is_named_by_its_path(tmp_path: Path, path: str, said: str) -> None:
    found = World(tmp_path, MemoryRegistry())
    found.configure(CONFIG.format(path=path))

    with pytest.raises(ConfigError) as caught, found.walk():
        pass

    assert said in "\n".join(caught.value.problems)


def test_a_plan_pins_what_the_policy_asked_for_and_names_no_file_of_this_machine(tmp_path: Path) -> None:
    found = world(tmp_path, [plain(WHOLE)])
    digest = found.holds("os:testing")
    assert digest
    attach(found.registry, OS, digest, sbom(SYSTEM), "application/vnd.spdx+json", "application/json")

    with found.walk() as walk:
        plan = walk.plan(walk.config.stream("stable"))

    (verify,) = [action for action in plan.actions if action.kind == "verify"]
    (demand,) = verify.payload["demands"]  # type: ignore[misc, attr-defined]
    assert demand["requirements"][0]["keys"] == [ALICE.pem]
    assert "/tmp" not in json.dumps(verify.payload)


def test_a_layer_that_is_cut_is_malformed_and_not_without_a_policy(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    whole = plain({"usr/bin/x": b"x" * 4096})
    reference = put_layers(registry, OS, [plain(WHOLE), replace(whole, blob=whole.blob[:700])])
    image = look_at(registry, reference)

    with pytest.raises(Malformed, match="layer 2 of 2"):
        lay_out(registry, OS, image.platforms[0], PATH, tmp_path)
