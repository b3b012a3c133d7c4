"""Contents from an SBOM: a referrer of the image, or a file given by hand (`sbom:FILE`).

What is attached to the platform's own manifest comes first, then what is attached to the index that the reference
pins. Artifact types only say where to look; the format is told by the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import msgspec
from msgspec.structs import replace

from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import Descriptor, Digest, Platform, Transport
from relman.plugin import ContentsContext, ImageUnderRead, Malformed, NotFound, RegistryReader, hookimpl

from .buffers import STORE, Lent
from .unpack import LIMIT, PACKED_LIMIT, unpack

_SBOM = re.compile(r"spdx|cyclonedx|syft|sbom", re.IGNORECASE)
_STATEMENT = re.compile(r"in-toto|dsse", re.IGNORECASE)
_SIGNATURE = re.compile(r"sigstore|cosign|simplesigning|notary|signature", re.IGNORECASE)
_PREDICATES = ("in-toto.io/predicate-type", "predicateType", "dev.sigstore.bundle.predicateType")
_CREATED = "org.opencontainers.image.created"
_REFERRERS = 64  # the most manifests that are looked at, and
_LAYERS = 8  # the most layers of one
_READ_STEP = 1024 * 1024

# What rpm and dpkg call the architectures of Go (docs/contract: platforms).
_ARCHES = MappingProxyType(
    {
        "amd64": frozenset({"x86_64", "x86_64_v2", "x86_64_v3", "amd64", "i686", "i386"}),
        "arm64": frozenset({"aarch64", "arm64"}),
        "ppc64le": frozenset({"ppc64le", "ppc64el"}),
        "s390x": frozenset({"s390x"}),
        "riscv64": frozenset({"riscv64"}),
    }
)


@hookimpl
def relman_contents_sources(context: ContentsContext) -> Iterable[SbomSource]:
    """One source: SBOMs."""
    return [SbomSource(context.ecosystems)]


class _Config(msgspec.Struct):
    media_type: str = msgspec.field(default="", name="mediaType")


class Layer(msgspec.Struct):
    """A layer of a manifest, as far as it matters here."""

    media_type: str = msgspec.field(default="", name="mediaType")
    digest: str = ""
    size: int = 0
    annotations: dict[str, str] | None = None


class _Manifest(msgspec.Struct):
    artifact_type: str | None = msgspec.field(default=None, name="artifactType")
    config: _Config | None = None
    layers: list[Layer] | None = None
    annotations: dict[str, str] | None = None
    subject: Layer | None = None


_MANIFEST = msgspec.json.Decoder(_Manifest)  # prepared here: msgspec crashes where two threads do that at once


class Attached(msgspec.Struct, frozen=True):
    """An SBOM that refers to ``subject``: the layers that may hold it, the likeliest first."""

    descriptor: Descriptor
    layers: tuple[Layer, ...]
    created: datetime | None
    subject: Digest

    def __str__(self) -> str:
        return f"the SBOM `{self.descriptor.digest.short}` of `{self.subject.short}`"


class Foreign(Malformed):
    """An SBOM that is about another image, or for another architecture."""


class SbomBlob(msgspec.Struct, frozen=True):
    """A blob that says it is an SBOM of an image; ``size`` in bytes. ``kind`` is what it is attached as."""

    digest: Digest
    media_type: str
    size: int
    kind: str


class SbomSource:
    """Reads SBOMs. ``packed_limit`` and ``limit`` are the most bytes of one, as published and unpacked."""

    name = "sbom"
    asks_referrers = True
    capabilities = frozenset(
        {
            Capability.EPOCH,
            Capability.ARCH,
            Capability.MULTI_VERSION,
            Capability.SOURCE_PACKAGE,
            Capability.VENDOR,
        }
    )

    def __init__(
        self, ecosystems: frozenset[str] = frozenset(), *, packed_limit: int = PACKED_LIMIT, limit: int = LIMIT
    ) -> None:
        self._ecosystems = ecosystems
        self._packed_limit = packed_limit
        self._limit = limit

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        """The image's contents by its SBOM. What the registry itself fails at is raised, not answered."""
        if image.image is None or image.reference.repository.transport is Transport.SBOM:
            return self._read_file(image)
        digests = [image.image.manifest.digest]
        if image.reference.digest is not None and image.reference.digest not in digests:
            digests.append(image.reference.digest)
        reasons: list[str] = []
        for digest in digests:
            # An index has an SBOM of some one platform at best: its packages have to be for this one.
            platform = image.image.platform if digest != image.image.manifest.digest else None
            found = self._read_attached(image, digest, platform, reasons)
            if found is not None:
                return replace(found, extras={**found.extras, "passed_over": tuple(reasons)}) if reasons else found
        return Unavailable("; ".join(reasons))

    # ------------------------------------------------------------------------------------------------ a file

    def _read_file(self, image: ImageUnderRead) -> Contents | Unavailable:
        repository = image.reference.repository
        if repository.transport is not Transport.SBOM:
            return Unavailable(f"`{image.reference}` is not an SBOM")
        try:
            with Path(repository.name).open("rb") as file:
                found = self._parse(iter(lambda: file.read(_READ_STEP), b""))
        except OSError as error:
            return Unavailable(f"`{repository.name}` cannot be read: {error.strerror or error}")
        except Malformed as error:
            return Unavailable(f"`{repository.name}` is not an SBOM that can be read: {error.message}")
        try:
            _refuse_other_platform(found, image.image.platform if image.image else None)
        except Malformed as error:
            return Unavailable(error.message)
        return found

    def _parse(self, pieces: Iterable[bytes]) -> Contents:
        from .formats import entries  # imported where one is read: an image may have a list that is smaller
        from .listed import contents

        content = unpack(pieces, packed_limit=self._packed_limit, limit=self._limit)
        return contents(entries(content), self.name, self._ecosystems)

    # -------------------------------------------------------------------------------------------- a referrer

    def _read_attached(
        self, image: ImageUnderRead, digest: Digest, platform: Platform | None, reasons: list[str]
    ) -> Contents | None:
        """The contents by the first SBOM of ``digest`` that can be read; `None`, and why in ``reasons``."""
        for sbom in attached_sboms(image, digest, reasons):
            for layer in sbom.layers:
                try:
                    return self.read_layer(image, sbom, layer, platform)
                except (Malformed, NotFound) as error:
                    reasons.append(f"{sbom}: {error.message}")
        return None

    def read_layer(self, image: ImageUnderRead, sbom: Attached, layer: Layer, platform: Platform | None) -> Contents:
        """What one layer of an SBOM lists; with ``platform``, its packages have to be for that one.

        Raises `NotFound`, `Malformed`, and of those `Empty` for a list without packages and `Foreign` for one that is
        about another image or for another architecture.
        """
        if layer.size > self._packed_limit:
            raise Malformed(f"it is {layer.size} bytes, more than the {self._packed_limit} that are read")
        try:
            digest = Digest(layer.digest)
        except ValueError as error:
            raise Malformed(f"its layer is not named by a digest: {error}") from error
        with STORE.lent() as lent:
            return self._read_blob(image, sbom, layer, digest, platform, lent)

    def _read_blob(
        self,
        image: ImageUnderRead,
        sbom: Attached,
        layer: Layer,
        digest: Digest,
        platform: Platform | None,
        lent: Lent,
    ) -> Contents:
        from .formats import entries, subjects
        from .listed import contents

        with image.registry.open_blob(image.reference.repository, digest) as pieces:
            content = unpack(pieces, packed_limit=self._packed_limit, limit=self._limit, lent=lent)
        if _STATEMENT.search(layer.media_type):
            _refuse_other_subject(subjects(content), sbom.subject, image)
        found = contents(entries(content), self.name, self._ecosystems)
        _refuse_other_platform(found, platform)
        return found


def attached_sboms(image: ImageUnderRead, digest: Digest, reasons: list[str]) -> list[Attached]:
    """What refers to ``digest`` and may be an SBOM of it, the newest first; why others are none, in ``reasons``."""
    referrers = image.registry.referrers(image.reference.repository, digest)
    found: list[Attached] = []
    likely = [referrer for referrer in referrers if not _SIGNATURE.search(referrer.artifact_type or "")]
    if len(likely) > _REFERRERS:
        reasons.append(f"{len(likely) - _REFERRERS} more referrers of `{digest.short}` were not looked at")
    for referrer in likely[:_REFERRERS]:
        try:
            manifest = _manifest(image.registry, image, referrer)
            if manifest.subject is not None and manifest.subject.digest != digest:
                raise Malformed(f"it refers to another image, `{manifest.subject.digest[:80]}`")
        except (Malformed, NotFound) as error:
            reasons.append(f"the referrer `{referrer.digest.short}` of `{digest.short}`: {error.message}")
            continue
        if layers := _layers(referrer, manifest):
            made = _created(referrer.annotations) or _created(manifest.annotations or {})
            found.append(Attached(referrer, layers, made, digest))
    if not found:
        reasons.append(f"no SBOM is attached to `{digest.short}`{_others(referrers)}")
    return sorted(found, key=_newest_first)


def sbom_blobs(image: ImageUnderRead, digest: Digest) -> Iterator[SbomBlob]:
    """The SBOMs that are attached to ``digest``, the newest and likeliest first, without their content."""
    for sbom in attached_sboms(image, digest, []):
        for layer in sbom.layers:
            try:
                yield SbomBlob(Digest(layer.digest), layer.media_type, layer.size, sbom.descriptor.artifact_type or "")
            except ValueError:
                continue


def tagged_sboms(image: ImageUnderRead, digest: Digest, reasons: list[str]) -> list[Attached]:
    """What cosign keeps under its tags for ``digest`` (`sha256-<hex>.sbom`, `.att`) and may be an SBOM."""
    found: list[Attached] = []
    for tag in (f"{digest.fallback_tag}{suffix}" for suffix in (".sbom", ".att")):
        held = image.registry.resolve(image.reference.repository.tag(tag))
        if held is None:
            continue
        try:
            manifest = _manifest(image.registry, image, held)
        except (Malformed, NotFound) as error:
            reasons.append(f"the tag `{tag}`: {error.message}")
            continue
        if layers := _layers(held, manifest):
            found.append(Attached(held, layers, None, digest))
    return found


def _manifest(registry: RegistryReader, image: ImageUnderRead, referrer: Descriptor) -> _Manifest:
    content = registry.manifest(image.reference.repository.digest(referrer.digest)).content
    try:
        return _MANIFEST.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"its manifest is not one: {error}") from error


def _layers(referrer: Descriptor, manifest: _Manifest) -> tuple[Layer, ...]:
    """The layers that may hold an SBOM: those whose media type says so, else all where the artifact type does."""
    kinds = [referrer.artifact_type, manifest.artifact_type, manifest.config.media_type if manifest.config else None]
    if any(kind and _SIGNATURE.search(kind) for kind in kinds):
        return ()
    layers = [layer for layer in manifest.layers or () if not _SIGNATURE.search(layer.media_type)]
    named = [layer for layer in layers if _SBOM.search(layer.media_type)]
    named += [layer for layer in layers if layer not in named and _is_statement_of_sbom(layer)]
    if not named and any(kind and _SBOM.search(kind) for kind in kinds):
        named = layers
    return tuple(named[:_LAYERS])


def _is_statement_of_sbom(layer: Layer) -> bool:
    """A signed statement whose subject is an SBOM, as far as its annotations tell."""
    if not _STATEMENT.search(layer.media_type):
        return False
    predicates = [(layer.annotations or {}).get(key) for key in _PREDICATES]
    return not any(predicates) or any(predicate and _SBOM.search(predicate) for predicate in predicates)


def _created(annotations: Mapping[str, str]) -> datetime | None:
    """When it was made, by its own word; `None` where it does not say, or says no time."""
    try:
        made = datetime.fromisoformat(annotations.get(_CREATED, ""))
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def _newest_first(sbom: Attached) -> float:
    # Those without a time keep their order, after all that have one.
    return -(sbom.created - datetime.min.replace(tzinfo=UTC)).total_seconds() if sbom.created else 0.0


def _others(referrers: tuple[Descriptor, ...]) -> str:
    if not referrers:
        return ": nothing refers to it"
    kinds = sorted({(referrer.artifact_type or "without a type")[:80] for referrer in referrers})
    return f", only {len(referrers)} other referrers ({', '.join(kinds[:5])})"


def _refuse_other_subject(about: frozenset[str], subject: Digest, image: ImageUnderRead) -> None:
    """Raise `Foreign` where a statement is about other images than the one that it hangs on."""
    parts = (subject, image.reference.digest, image.image.manifest.digest if image.image else None)
    if about and about.isdisjoint(map(str, parts)):
        raise Foreign(f"it is about another image, `{min(about)[:80]}`")


def _refuse_other_platform(found: Contents, platform: Platform | None) -> None:
    """Raise `Foreign` where most packages are for another architecture than ``platform``'s."""
    known = _ARCHES.get(platform.architecture) if platform else None
    arches = [package.arch for package in found.packages if package.arch not in (None, "noarch", "all", "any")]
    if known is None or not arches:
        return
    fitting = sum(arch in known for arch in arches)
    if 2 * fitting < len(arches):
        other = max(set(arches), key=lambda arch: (arches.count(arch), arch or ""))
        raise Foreign(f"it lists packages for `{other}`, not for {platform}")
