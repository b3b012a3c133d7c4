"""inspect: what is inside an image, from the first source that can say."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from relman.cache import ContentsCache, Reading
from relman.config.values import Packages
from relman.errors import Malformed, RelmanError
from relman.hookspecs import ContentsSource, ImageUnderRead
from relman.model.contents import Capability, Contents, Unavailable
from relman.model.oci import PlatformImage, Reference
from relman.registry.budget import Budget, Metered
from relman.registry.protocol import RegistryReader
from relman.registry.remembering import Remembering


class Inspector:
    """Reads contents by asking the sources in the configured order, and reads each image once.

    ``cache`` keeps what was read for other runs; ``wants`` is what this run has a use for beyond the list; ``budget``
    bounds how much is held of what is being read, for any number of threads.
    """

    def __init__(
        self,
        sources: Iterable[ContentsSource],
        packages: Packages,
        reader: RegistryReader,
        *,
        cache: ContentsCache | None = None,
        wants: frozenset[Capability] = frozenset(),
        budget: Budget | None = None,
    ) -> None:
        by_name = {source.name: source for source in sources}
        self._sources = tuple(by_name[name] for name in packages.sources if name in by_name)
        self._absent = tuple(name for name in packages.sources if name not in by_name)
        self._minimum = packages.minimum
        self._reader = Remembering(reader)
        self._budget = budget or Budget()
        self._cache = cache
        self._wants = wants
        self._settings = tuple(sorted(packages.ecosystems))
        self._known: dict[object, Contents] = {}
        self._turns: dict[object, threading.Lock] = {}
        self._lock = threading.Lock()

    def contents(self, reference: Reference, image: PlatformImage | None) -> Contents:
        """The contents of one platform's image, or of the file that ``reference`` names (``image`` is then `None`).

        Raises `Malformed` when no source serves, with each one's reason: never an empty list.
        """
        key = image.manifest.digest if image else reference
        with self._lock:
            turn = self._turns.setdefault(key, threading.Lock())
        with turn:
            known = self._known.get(key)
            if known is None:
                known = self._known[key] = self._read(reference, image)
        return known

    def _read(self, reference: Reference, image: PlatformImage | None) -> Contents:
        found = self._cached(image) if image else None
        if found is None:
            with Metered(self._reader, self._budget, image.layers if image else ()) as reader:
                found = self._ask(ImageUnderRead(reference, image, reader, self._wants))
            if image and self._cache:
                self._cache.keep(self._reading(image), found)
        return found

    def _cached(self, image: PlatformImage) -> Contents | None:
        found = self._cache.read(self._reading(image)) if self._cache else None
        return found if found and len(found.packages) >= self._minimum else None

    def _reading(self, image: PlatformImage) -> Reading:
        names = tuple(source.name for source in self._sources)
        return Reading(image.manifest.digest, image.platform, names, self._wants, self._settings)

    def _ask(self, image: ImageUnderRead) -> Contents:
        reasons: list[str] = []
        for source in self._sources:
            try:
                answer = source.read(image)
            except RelmanError as error:
                error.add_note(f"while reading the source `{source.name}` of `{image.reference}`")
                raise
            if isinstance(answer, Unavailable):
                reasons.append(f"{source.name}: {answer.reason}")
            elif len(answer.packages) < self._minimum:
                reasons.append(
                    f"{source.name}: lists {len(answer.packages)} packages, fewer than the {self._minimum} of "
                    "`[packages] minimum`: a list that was cut, or a placeholder"
                )
            else:
                return answer
        if image.image:
            reasons += [f"{name}: no plugin offers it" for name in self._absent]
        platform = f" ({image.image.platform})" if image.image else ""
        attach = "attach an SBOM to the image, or " if image.image else ""
        raise Malformed(
            f"cannot tell what is inside `{image.reference}`{platform}: no source serves\n  " + "\n  ".join(reasons),
            hint=f"{attach}set `[packages] sources` and `minimum` in relman.toml",
        )
