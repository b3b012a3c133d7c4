"""What is inside the composed images, two builds of it, and what changed between them by how it was made.

The packages are those of `tests.bluefin`, with its traps, filled up to the number wanted; filler gives each list the
size that such lists have in the field. Everything comes from fixed seeds: the same inputs in each run.
"""

from __future__ import annotations

import functools
import gzip
import json
import random
from dataclasses import dataclass
from pathlib import Path

from relman.model.contents import EXACT, Capability, Contents, Package, PackageSet
from relman.model.diff import Change, ChangeKind, Part
from relman_plugins.inspect.databases.header import Tag
from tests import bluefin_sboms as sboms
from tests.bluefin import Installed, compose
from tests.layer_factories import RPMDB, Layer, chunked, tarred
from tests.rpm_headers import header, sqlite_database

PACKAGES = 2500
BUILDS = (0, 1)
MIB = 1024 * 1024

_LIKE = "bluefin-dx"
_WORDS = tuple(f"{a}{b}" for a in ("re", "up", "de", "fix", "add", "bump") for b in ("build", "date", "grade", "s", ""))
_FILE = '{"path":"/usr/lib64/composed/%s.so","mode":"0644","size":4096,"digest":{"algorithm":"sha256","value":"%s"}}'
_RELATION = '{"parent":"%s","child":"%s","type":"contains"}'
_SBOM_HEAD = 0.3  # of a syft document, so much is packages with their files; relationships and files are the rest


@dataclass(frozen=True)
class Truth:
    """Both builds, and the right diff: rows as (kind, name, arch, before, after)."""

    builds: tuple[tuple[Installed, ...], tuple[Installed, ...]]
    keys: tuple[tuple[str, ...], tuple[str, ...]]
    changes: tuple[Change, ...]


@functools.cache
def truth() -> Truth:
    """Everything that holds for every variant: relman is told nothing of that."""
    made = compose()
    missing = PACKAGES - len(made.installed(_LIKE, 0))
    builds, changes = [list(made.installed(_LIKE, build)) for build in BUILDS], list(made.changes(_LIKE, *BUILDS))
    for number in range(missing):
        name, before = f"composed-{number:04}", f"1.{number}-1.fc44"
        after = f"1.{number + 1}-1.fc44" if number % 20 == 0 else before
        for build, version in zip(builds, (before, after), strict=True):
            build.append(Installed(name, "x86_64", version, name))
        if after != before:
            kind, part = ChangeKind.UPGRADED, Part.VERSION
            changes.append(Change(kind, part, "rpm", name, "x86_64", (before,), (after,), name))
    return Truth((tuple(builds[0]), tuple(builds[1])), (made.trusted[0], made.trusted[1]), tuple(changes))


def sbom(build: int, size: int) -> bytes:
    """syft's JSON of about ``size`` bytes: packages with their files first, then relationships, as syft orders it."""
    chance = random.Random(build)
    document = json.loads(sboms.syft(truth().builds[build], truth().keys[build], build))
    plain = sum(len(json.dumps(artifact)) for artifact in document["artifacts"])
    rows = [artifact for artifact in document["artifacts"] if artifact.get("metadata")]
    per_file = len(_FILE) + 12 + 64
    files = max(0, int(size * _SBOM_HEAD - plain) // (len(rows) * per_file))
    pool = [_FILE % (f"{chance.randrange(16**8):08x}", chance.randbytes(32).hex()) for _ in range(4096)]
    for artifact in rows:
        artifact["metadata"]["files"] = "@"
    text = json.dumps(document, separators=(",", ":"))
    pieces = text.split('"@"')
    filled = pieces[0] + "".join(f"[{','.join(chance.choices(pool, k=files))}]{piece}" for piece in pieces[1:])
    relations = [_RELATION % (chance.randbytes(8).hex(), chance.randbytes(8).hex()) for _ in range(4096)]
    count = max(1, (size - len(filled)) // (len(relations[0]) + 1))
    rest = ",".join((relations * (count // len(relations) + 1))[:count])
    return filled.replace('"artifactRelationships":[]', f'"artifactRelationships":[{rest}]', 1).encode()


def label(build: int) -> str:
    """rechunk's label."""
    return sboms.rechunk(truth().builds[build], truth().keys[build], version=str(build), revision="0" * 40)


def own_contents(build: int) -> Contents:
    """What `relman contents --publish` would have read from the package database."""
    packages = [Package("rpm", p.name, p.arch, p.version, p.source, "Fedora Project") for p in truth().builds[build]]
    known = EXACT | {Capability.SOURCE_PACKAGE, Capability.VENDOR}
    return Contents(PackageSet(packages), "rpmdb", frozenset(known), keys=truth().keys[build])


@functools.cache
def database(build: int, folder: Path) -> bytes:
    """`rpmdb.sqlite` of some 90 MB, which compresses to a quarter as real ones do."""
    chance = random.Random(build)
    path = folder / f"rpmdb-{build}.sqlite"
    sqlite_database(path, (_header(package, chance) for package in _with_keys(build)))
    content = path.read_bytes()
    path.unlink()
    return content


def _with_keys(build: int) -> list[Installed]:
    keys = [Installed("gpg-pubkey", "", key, "") for key in truth().keys[build]]
    return [*truth().builds[build], *keys]


def _header(package: Installed, chance: random.Random) -> bytes:
    epoch, colon, rest = package.version.rpartition(":")
    version, _, release = rest.rpartition("-")
    tags: dict[int, str | int | list[str] | list[int]] = {
        Tag.NAME: package.name,
        Tag.VERSION: version,
        Tag.RELEASE: release,
    }
    if not package.arch:
        return header(tags)
    if colon:
        tags[Tag.EPOCH] = int(epoch)
    noise = chance.randbytes(32 * 75).hex()
    names = [f"{noise[n : n + 12]}.so" for n in range(0, 75 * 64, 64)]
    words = chance.choices(_WORDS, k=3000)
    texts = [f"- {' '.join(words[n : n + 20])}" for n in range(0, 3000, 20)]
    return header(
        tags
        | {
            Tag.ARCH: package.arch,
            Tag.SOURCERPM: f"{package.source}-{version}-{release}.src.rpm",
            Tag.VENDOR: "Fedora Project",
            Tag.SIZE: 1000,
            Tag.FILEDIGESTS: [noise[n : n + 64] for n in range(0, 75 * 64, 64)],
            Tag.FILEFLAGS: [0] * 75,
            Tag.DIRINDEXES: [0] * 75,
            Tag.BASENAMES: names,
            Tag.DIRNAMES: ["/usr/lib64/"],
            Tag.CHANGELOGTIME: [1_750_000_000 - 86_400 * n for n in range(len(texts))],
            Tag.CHANGELOGNAME: ["Composed <composed@example.org> - 1"] * len(texts),
            Tag.CHANGELOGTEXT: texts,
        }
    )


def own_layer(build: int, folder: Path) -> Layer:
    """The database in a gzip layer of its own, named as chunkah names it."""
    content = tarred([(RPMDB, database(build, folder))])
    return _gzip(content).named(chunkah="rpmdb.sqlite")


def chunked_layer(build: int, folder: Path) -> Layer:
    """The same among 2,000 small files in zstd:chunked."""
    files = [(f"usr/share/composed/{n:05}", b"%d" % n) for n in range(2000)]
    return chunked([*files[:1000], (RPMDB, database(build, folder)), *files[1000:]])


def tail_layer(build: int, folder: Path) -> Layer:
    """The same as the last of a gzip layer of 120 MB and more."""
    chance = random.Random(build)
    files = [(f"usr/lib64/composed-{n:02}", chance.randbytes(2 * MIB)) for n in range(50)]
    return _gzip(tarred([*files, (RPMDB, database(build, folder))]))


def _gzip(content: bytes) -> Layer:
    import hashlib

    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Layer(gzip.compress(content, 1, mtime=0), digest, "application/vnd.oci.image.layer.v1.tar+gzip")
