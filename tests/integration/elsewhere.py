"""A stream that lives elsewhere: two variants with all evidence there is, promoted into other repositories.

`base` is an index of two platforms with signatures, attestations and SBOMs in every place that they have, some of them
signed themselves; `dx` a single image with an SBOM.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from relman.model.oci import Digest, Repository, parse_repository
from relman.registry import Registries
from relman.registry.protocol import RegistryWriter
from relman.testing import attach, put_index
from tests.bluefin_commits import History
from tests.integration.driver import CONFIGURATION, Project, put_build
from tests.integration.front import WRITES
from tests.servers import Asked, Front, Reply
from tests.test_evidence import SIGSTORE, signed_by_tag

PLATFORMS = ("linux/amd64", "linux/arm64")
DATED = "stable-20260624"


class Renaming(Front):
    """A front that puts what is asked of ``name`` into a repository that can be another one each time."""

    name = "released"
    real = "released"

    def _forward(self, asked: Asked) -> Reply:
        path = re.sub(rf"^/v2/{self.name}/", f"/v2/{self.real}/", asked.path)
        reply = super()._forward(Asked(asked.method, path, asked.headers, asked.body))
        if "Location" in reply.headers:
            reply.headers["Location"] = reply.headers["Location"].replace(f"/v2/{self.real}/", f"/v2/{self.name}/")
        return reply


def written(front: Front) -> list[str]:
    """Every write that a front was asked for, named by what it is about, in order.

    `blob`, `mount`; `manifest DIGEST`; `tag NAME`, which may be one of cosign's or a list of referrers.
    """
    found = []
    for asked in front.asked:
        if asked.method not in WRITES:
            continue
        last = asked.path.rpartition("/")[2]
        if "/manifests/" in asked.path:
            found.append(f"manifest {last}" if ":" in last else f"tag {last}")
        else:
            found.append("mount" if "mount=" in asked.path else "blob")
    return found


def sign_everything(writer: RegistryWriter, repository: Repository, index: Digest, children: list[Digest]) -> None:
    """Evidence under every tag of cosign's, and a bundle, beside the SBOMs of the children, one of them signed."""
    bundle = attach(writer, repository, index, b'{"bundle":1}', SIGSTORE, SIGSTORE)
    (sbom, *_) = [found.digest for found in writer.referrers(repository, children[0])]
    attach(writer, repository, sbom, b'{"bundle":2}', SIGSTORE, SIGSTORE)
    for subject, suffix in ((index, ".sig"), (children[1], ".att"), (index, ".sbom"), (sbom, ".sig"), (bundle, ".sig")):
        signed_by_tag(writer, repository, f"{subject.fallback_tag}{suffix}", f"{suffix} of {subject}")


def put_base(writer: RegistryWriter, repository: Repository, history: History, *, evidence: bool = True) -> Digest:
    """The index of build 1, under `testing` and its dated tag."""
    children = [
        put_build(writer, str(repository), "base", 1, history, [f"part-{number}"], platform=platform)
        for number, platform in enumerate(PLATFORMS)
    ]
    index = put_index(writer, repository, children, tags=["testing", "testing-44.20260616"])
    if evidence:
        sign_everything(writer, repository, index, children)
    return index


def elsewhere(
    folder: Path, history: History, store: str, prefix: str, seen: str, released: str, extra: str = ""
) -> Project:
    """A project whose images are at ``store``, which it knows as ``seen``, and whose stream lives at ``prefix``."""
    folder.mkdir(parents=True)
    with Registries(folder) as writer:
        base = put_base(writer, parse_repository(f"{store}/base"), history)
        dx = put_build(writer, f"{store}/dx", "dx", 1, history, ["testing", "testing-44.20260616"])
    text = CONFIGURATION.format(checkout=json.dumps(str(history.folder)), prefix=seen)
    text = text.replace('from = "testing"', f'from = "testing"\nprefix = "{prefix}"')
    (folder / "relman.toml").write_text(text + extra)
    return Project(folder, released, history, {("base", 1): base, ("dx", 1): dx})
