"""Contents from the label `dev.hhd.rechunk.info` that rechunk leaves on images (versions 1 and 2 of its format).

It holds `version-release` by name: no epoch, no architecture, one version of each name. What is compared with it is
an approximation and says so.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from relman.model.contents import Capability, Contents, PackageSet, Unavailable, known_package
from relman.plugin import ContentsContext, ImageUnderRead, hookimpl

LABEL = "dev.hhd.rechunk.info"
_LIMIT = 4 * 1024 * 1024  # characters; real ones have less than 200,000
_TEXT_LIMIT = 1024
_VERSIONS = (1, 2)


class _Info(msgspec.Struct):
    packages: dict[str, str]
    version: int = 1


_INFO = msgspec.json.Decoder(_Info)  # prepared here: msgspec crashes where two threads do that at once


@hookimpl
def relman_contents_sources(context: ContentsContext) -> Iterable[LabelSource]:  # noqa: ARG001  pluggy names it
    """One source: rechunk's label."""
    return [LabelSource()]


class LabelSource:
    """Reads rechunk's label. It knows names and versions, and nothing else."""

    name = "label"
    capabilities: frozenset[Capability] = frozenset()

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        """The image's contents by its label."""
        if image.image is None:
            return Unavailable(f"`{image.reference}` is a file, which has no labels")
        text = image.image.labels.get(LABEL)
        if text is None:
            return Unavailable(f"the image has no label `{LABEL}`")
        if len(text) > _LIMIT:
            return Unavailable(f"the label `{LABEL}` has {len(text)} characters, more than the {_LIMIT} that are read")
        try:
            info = _INFO.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return Unavailable(f"the label `{LABEL}` is not what rechunk writes: {error}")
        if info.version not in _VERSIONS:
            return Unavailable(f"the label `{LABEL}` has version {info.version} of its format, which is not read")
        return self._contents(info.packages)

    def _contents(self, versions: dict[str, str]) -> Contents | Unavailable:
        if (wrong := _unfit(versions)) is not None:
            return Unavailable(f"the label `{LABEL}`: `{ascii(wrong[:60])[1:-1]}` is no package's name or version")
        key = versions.pop("gpg-pubkey", None)
        if not versions:
            return Unavailable(f"the label `{LABEL}` lists no packages")
        packages = PackageSet([known_package("rpm", name, None, version) for name, version in versions.items()])
        return Contents(packages, self.name, self.capabilities, keys=(key,) if key else ())


def _unfit(versions: dict[str, str]) -> str | None:
    """The first name or version that is none, or `None`. All of them at once are looked through in no time."""
    texts = [*versions, *versions.values()]
    if all(texts) and "".join(texts).isprintable() and max(map(len, texts), default=0) <= _TEXT_LIMIT:
        return None
    pairs = (text for pair in versions.items() for text in pair)
    return next(text for text in pairs if not text or len(text) > _TEXT_LIMIT or not text.isprintable())
