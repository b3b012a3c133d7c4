"""inspect: what is inside an image, from the first source that can say."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from relman.compact.attached import lists_among
from relman.errors import Malformed, RelmanError, Unequipped
from relman.hookspecs import ContentsSource, ImageUnderRead
from relman.model.contents import PASSED_OVER, Capability, Contents, Unavailable
from relman.model.oci import Digest, PlatformImage, Reference, Repository
from relman.registry.budget import Budget, Metered
from relman.registry.protocol import RegistryReader
from relman.registry.remembering import Remembering

if TYPE_CHECKING:
    from relman.cache import ContentsCache, Reading
    from relman.config.values import Packages

_NOTHING: frozenset[Capability] = frozenset()


class Inspector:
    """Reads contents by asking the sources in the configured order, and reads each image once.

    ``cache`` keeps what was read for other runs; ``wants`` is what this run has a use for beyond the list. With
    ``richest``, the sources that can know it are asked first, and one that cannot serves only where none of them does;
    without, the order is the configured one, and what the first that serves does not know stays unknown. ``budget``
    bounds how much is held of what is being read, for any number of threads.
    """

    def __init__(
        self,
        sources: Iterable[ContentsSource],
        packages: Packages,
        reader: RegistryReader,
        *,
        cache: ContentsCache | None = None,
        wants: frozenset[Capability] = _NOTHING,
        richest: bool = False,
        budget: Budget | None = None,
    ) -> None:
        self._by_name = {source.name: source for source in sources}
        found = [self._by_name[name] for name in packages.sources if name in self._by_name]
        self._sources = tuple(sorted(found, key=lambda s: -len(s.capabilities & wants)) if richest else found)
        self._absent = tuple(name for name in packages.sources if name not in self._by_name)
        self._minimum = packages.minimum
        self._reader = Remembering(reader)
        self._budget = budget or Budget()
        self._cache = cache
        self.wants = wants
        self._richest = richest
        self._settings = tuple(sorted(packages.ecosystems))
        self._known: dict[object, Contents] = {}
        self._cut: set[object] = set()
        self._turns: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()

    @property
    def begins_with_referrers(self) -> bool:
        """Whether the source that is asked first reads what is attached to images (it has ``asks_referrers``)."""
        return bool(self._sources) and getattr(self._sources[0], "asks_referrers", False) is True

    def look_for_lists(self, repository: Repository, digest: Digest) -> None:
        """Ask what is attached to a manifest, and for the list that is likely to be read, to know it later."""
        referrers = self._reader.referrers(repository, digest)
        for likely in lists_among(referrers)[:1] or (referrers if len(referrers) == 1 else ()):
            self._reader.manifest(repository.digest(likely.digest))

    def contents(self, reference: Reference, image: PlatformImage | None) -> Contents:
        """The contents of one platform's image, or of the file that ``reference`` names (``image`` is then `None`).

        Without changelogs and files, which are `detailed`. Raises `Malformed` when no source serves, with each one's
        reason: never an empty list.
        """
        with self._lock:
            known = self._known.get(_key(reference, image))
        return known or self.detailed(reference, image).plain

    def detailed(self, reference: Reference, image: PlatformImage | None) -> Contents:
        """The same with the changelogs and files that are wanted. They are not held here: whoever asks again waits."""
        key = _key(reference, image)
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            if key in self._known and key not in self._cut:
                return self._known[key]
            found = self._read(reference, image)
            plain = found.plain
            self._known[key] = plain
            if plain is not found:
                self._cut.add(key)
        return found

    def _read(self, reference: Reference, image: PlatformImage | None) -> Contents:
        found = self._cached(image) if image else None
        if found is None:
            with Metered(self._reader, self._budget, image.layers if image else ()) as reader:
                found = self._ask(ImageUnderRead(reference, image, reader, self.wants))
            if image and self._cache:
                self._cache.keep(self._reading(image, self._known_at_best(found)), found)
        return found

    def stand_in(self, file: Reference, shown: str, image: PlatformImage) -> None:
        """Let the SBOM in ``file``, called ``shown``, stand for what is inside ``image``. Raises `Malformed`.

        Its source is then ``sbom:`` and what it is called.
        """
        source = self._by_name.get("sbom")
        if source is None:
            raise Unequipped("no plugin offers the source `sbom`, which reads SBOMs")
        answer = self._answer(source, ImageUnderRead(file, image, self._reader))
        if isinstance(answer, Unavailable):
            raise Malformed(
                f"`{shown}` cannot stand for what is inside `{image.manifest.digest.short}` ({image.platform}): "
                f"{answer.reason}"
            )
        with self._lock:
            self._known[_key(file, image)] = replace(answer, source=f"sbom:{shown}")

    def _cached(self, image: PlatformImage) -> Contents | None:
        """What an earlier run read, if that could know no less than this one would."""
        if self._cache is None:
            return None
        for wants in dict.fromkeys((self.wants, _NOTHING, frozenset({Capability.CHANGELOG}))):
            found = self._cache.read(self._reading(image, wants))
            if found and len(found.packages) >= self._minimum and self._known_at_best(found) <= wants:
                return found
        return None

    def _known_at_best(self, found: Contents) -> frozenset[Capability]:
        """What of all that is wanted the source of ``found`` can know at all: other wants give the same list."""
        source = self._by_name.get(found.source)
        return self.wants & source.capabilities if source else self.wants

    def _reading(self, image: PlatformImage, wants: frozenset[Capability]) -> Reading:
        from relman.cache import Reading

        names = tuple(source.name for source in self._sources)
        return Reading(image.manifest.digest, image.platform, names, wants, self._settings)

    def _ask(self, image: ImageUnderRead) -> Contents:
        reasons: list[str] = []
        best: Contents | None = None
        for source in self._sources:
            if best and not (self._richest and (self.wants - best.capabilities) & source.capabilities):
                continue
            answer = self._answer(source, image)
            if isinstance(answer, Unavailable):
                reasons.append(f"{source.name}: {answer.reason}")
            elif best is None or len(self.wants & answer.capabilities) > len(self.wants & best.capabilities):
                best = answer
        if best is not None:
            if image.image is None or not reasons:  # a file leaves no choice
                return best
            return replace(best, extras={**best.extras, PASSED_OVER: (*reasons, *best.passed_over)})
        if image.image:
            reasons += [f"{name}: no plugin offers it" for name in self._absent]
        platform = f" ({image.image.platform})" if image.image else ""
        attach = "attach an SBOM to the image, or " if image.image else ""
        raise Malformed(
            f"cannot tell what is inside `{image.reference}`{platform}: no source serves\n  " + "\n  ".join(reasons),
            hint=f"{attach}set `[packages] sources` and `minimum` in relman.toml",
        )

    def _answer(self, source: ContentsSource, image: ImageUnderRead) -> Contents | Unavailable:
        """What one source says; a list that is too short is no answer."""
        try:
            answer = source.read(image)
        except RelmanError as error:
            error.add_note(f"while reading the source `{source.name}` of `{image.reference}`")
            raise
        if isinstance(answer, Unavailable):
            return answer
        if len(answer.packages) < self._minimum:
            return Unavailable(
                f"lists {len(answer.packages)} packages, fewer than the {self._minimum} of `[packages] minimum`: "
                "a list that was cut, or a placeholder"
            )
        said = tuple(f"{source.name}: {why}" for why in answer.passed_over)
        return replace(answer, extras={**answer.extras, PASSED_OVER: said}) if said else answer


def _key(reference: Reference, image: PlatformImage | None) -> object:
    return image.manifest.digest if image else reference
