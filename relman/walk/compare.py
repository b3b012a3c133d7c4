"""The difference of two lists of contents (docs/contract: `relman diff --format json`).

Both lists are first brought down to what both sources know, then compared identity by identity: a package's value is
the whole set of its installed versions. What had to be left out is said in the notes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from relman.model.contents import EXACT, Capability, Contents, Identity, Obsolete, Package, PackageSet
from relman.model.diff import Change, ChangeKind, Diff, Part, Side
from relman.model.oci import Digest, Platform, PlatformImage, Reference
from relman.model.versions import ORDERED, compare, differing_part, normalise, parse, sorted_versions
from relman.walk.details import obsoletes
from relman.walk.modules import Modules

Rename = tuple[re.Pattern[str], str]
"""A rule of `[packages] rename`: what to look for in a name, and what to put in its place."""


class Comparison(msgspec.Struct, frozen=True):
    """What changed, sorted by ecosystem, name, arch. ``exact`` and ``notes`` are those of `Diff`."""

    changes: tuple[Change, ...]
    keys_added: tuple[str, ...]
    keys_removed: tuple[str, ...]
    exact: bool
    notes: tuple[str, ...]


def compare_contents(before: Contents, after: Contents, *, rename: Sequence[Rename] = ()) -> Comparison:
    """Every change between two lists, on what both of their sources know.

    ``rename`` is applied to the names of both sides first, each rule in turn. Renamed packages are found where
    ``after.details.obsoletes`` (in the range of versions that it names) or ``after.extras["obsoletes"]`` (names to the
    names that they obsolete) says so; another module at the same version where both have ``extras["modules"]`` (labels
    by package). Nothing is ignored here.
    """
    shared = before.capabilities & after.capabilities
    renamed = _renamer(rename)
    one, two = (_Known.of(side, shared, renamed if rename else None) for side in (before, after))
    judge = _Judge(
        every_version=Capability.MULTI_VERSION in shared,
        vendors=Capability.VENDOR in shared,
        modules=Modules(before, after),
    )
    changes = []
    kept = one.packages if judge.modules.on_both_sides else _changed(one, two)
    for old, new in _pair(one, two, _obsoletes(after, shared, renamed), kept):
        before_packages = one.packages[old] if old else ()
        after_packages = two.packages[new] if new else ()
        if (change := judge.change(before_packages, after_packages)) is not None:
            changes.append(change)
    added, removed = _keys(before, after, every_key=judge.every_version)
    return Comparison(
        changes=tuple(sorted(changes, key=lambda change: _order(change.identity))),
        keys_added=added,
        keys_removed=removed,
        exact=shared >= EXACT,
        notes=(*_notes(before, after, shared), *sorted(judge.modules.notes)),
    )


def side(
    reference: Reference,
    image: PlatformImage | None,
    contents: Contents,
    *,
    digest: Digest | None = None,
) -> Side:
    """One side of a diff. ``digest`` is that of the platform's manifest unless given; a file has none."""
    return Side(
        reference=str(reference),
        digest=digest or (image.manifest.digest if image else reference.digest),
        platform=image.platform if image else None,
        version=image.version if image else None,
        revision=image.revision if image else None,
        packages=len(contents.packages),
        source=contents.source,
        passed_over=contents.passed_over,
    )


def assemble(
    comparison: Comparison,
    before: Side,
    after: Side,
    *,
    variant: str | None = None,
    platform: Platform | None = None,
) -> Diff:
    """The diff of one platform. ``platform`` is that of the later side unless given."""
    return Diff(
        variant=variant,
        platform=platform or after.platform or before.platform,
        before=before,
        after=after,
        changes=comparison.changes,
        keys_added=comparison.keys_added,
        keys_removed=comparison.keys_removed,
        exact=comparison.exact,
        notes=comparison.notes,
    )


# -------------------------------------------------------------------------------- down to what both sides know


class _Known(msgspec.Struct, frozen=True):
    """One side, brought down to what both sides know: each identity's packages, the newest last."""

    packages: Mapping[Identity, tuple[Package, ...]]

    @classmethod
    def of(cls, contents: Contents, shared: frozenset[Capability], renamed: Callable[[str], str] | None) -> _Known:
        """Without ``renamed`` names stay; a list that knows no more than is shared stays as it is."""
        if renamed is None and _knows_no_more(contents.packages, shared):
            return cls(contents.packages.by_identity)
        gathered: dict[Identity, dict[str, Package]] = {}
        for listed in contents.packages:
            package, version, arch = listed, listed.version, listed.arch
            if Capability.EPOCH not in shared:
                version = _without_epoch(package.ecosystem, version)
            if Capability.ARCH not in shared:
                arch = None
            name = renamed(package.name) if renamed else package.name
            if (name, arch, version) != (package.name, package.arch, package.version):
                package = replace(package, name=name, arch=arch, version=version)
            gathered.setdefault(package.identity, {}).setdefault(version, package)
        packages = {
            identity: tuple(versions[text] for text in sorted_versions(identity.ecosystem, versions))
            for identity, versions in gathered.items()
        }
        return cls(packages)


def _knows_no_more(packages: PackageSet, shared: frozenset[Capability]) -> bool:
    # Thousands of versions in one text, and architectures in one set, are looked through in no time.
    return (Capability.EPOCH in shared or ":" not in " ".join([package.version for package in packages])) and (
        Capability.ARCH in shared or {identity.arch for identity in packages.by_identity} <= {None}
    )


def _without_epoch(ecosystem: str, version: str) -> str:
    if ecosystem not in ORDERED or ":" not in version:
        return version
    evr = parse(ecosystem, version)
    return normalise(ecosystem, None, evr.version, evr.release) or version


def _renamer(rules: Sequence[Rename]) -> Callable[[str], str]:
    def renamed(name: str) -> str:
        for pattern, replacement in rules:
            # A rule that leaves nothing of a name is no rename: a package without a name cannot be shown.
            name = pattern.sub(replacement, name) or name
        return name

    return renamed


_Obsoletes = Mapping[str, Sequence[Obsolete]]


def _obsoletes(after: Contents, shared: frozenset[Capability], renamed: Callable[[str], str]) -> _Obsoletes:
    """What each new name obsoletes; empty where the source cannot know."""
    gathered: dict[str, list[Obsolete]] = {}
    if after.details is not None:
        for identity, several in after.details.obsoletes.items():
            new = gathered.setdefault(renamed(identity.name), [])
            for one in several:
                # Versions are compared as both sides know them.
                known = Capability.EPOCH in shared or not one.version
                version = one.version if known else _without_epoch(identity.ecosystem, one.version)
                new.append(replace(one, name=renamed(one.name), version=version))
    given = after.extras.get("obsoletes")
    for name, old in given.items() if isinstance(given, Mapping) else ():
        if isinstance(old, str) or not isinstance(old, Iterable):
            continue
        gathered.setdefault(renamed(str(name)), []).extend(Obsolete(renamed(str(one))) for one in old)
    return gathered


def _order(identity: Identity) -> tuple[str, str, str]:
    return (identity.ecosystem, identity.name, identity.arch or "")


# ------------------------------------------------------------------------------------ which belongs to which

_Pair = tuple[Identity | None, Identity | None]


def _changed(one: _Known, two: _Known) -> list[Identity]:
    """What the second side does not have in the same versions: a few of thousands."""
    theirs = two.packages.get
    return [identity for identity, packages in one.packages.items() if theirs(identity) != packages]


def _pair(one: _Known, two: _Known, replaced: _Obsoletes, kept: Iterable[Identity]) -> Iterable[_Pair]:
    """Each identity of both sides exactly once, with what it was or became; of those on both sides, what is ``kept``.

    `None` is not installed.
    """
    yield from ((identity, identity) for identity in kept if identity in two.packages)
    removed = one.packages.keys() - two.packages.keys()
    added = two.packages.keys() - one.packages.keys()
    for old, new in (*_arch_changes(removed, added), *_renames(one, removed, added, replaced)):
        if old in removed and new in added:
            removed.remove(old)
            added.remove(new)
            yield old, new
    yield from ((identity, None) for identity in removed)
    yield from ((None, identity) for identity in added)


def _arch_changes(removed: set[Identity], added: set[Identity]) -> Iterable[tuple[Identity, Identity]]:
    """Names that lost one arch and gained one: the same package, built for another arch."""
    gone, new = _by_name(removed), _by_name(added)
    return [
        (gone[name][0], new[name][0]) for name in gone.keys() & new.keys() if len(gone[name]) == len(new[name]) == 1
    ]


def _by_name(identities: Iterable[Identity]) -> dict[tuple[str, str], list[Identity]]:
    found: dict[tuple[str, str], list[Identity]] = {}
    for identity in sorted(identities, key=_order):
        found.setdefault((identity.ecosystem, identity.name), []).append(identity)
    return found


def _renames(
    one: _Known, removed: set[Identity], added: set[Identity], replaced: _Obsoletes
) -> list[tuple[Identity, Identity]]:
    """Removed packages with the new ones that obsolete them, the best first: of the same arch, then by name.

    Where several fit, whoever takes the pairs uses each package once.
    """
    gone = _by_name(removed)
    candidates = [
        (old, new)
        for new in sorted(added, key=_order)
        for obsolete in sorted(replaced.get(new.name, ()), key=lambda obsolete: obsolete.name)
        for old in gone.get((new.ecosystem, obsolete.name), ())
        if any(obsoletes(obsolete, package) for package in one.packages[old])
    ]
    return sorted(candidates, key=lambda pair: pair[0].arch != pair[1].arch)


# ---------------------------------------------------------------------------------------- what became of each


class _Judge(msgspec.Struct, frozen=True):
    """Says what became of a package. ``every_version``: both sides know all versions of it, not only some one."""

    every_version: bool
    vendors: bool
    modules: Modules

    def change(self, before: tuple[Package, ...], after: tuple[Package, ...]) -> Change | None:
        """The row of a package; an empty side is not installed. `None` where nothing changed."""
        if before == after and not self.modules.on_both_sides:
            return None
        if before and after and not self.every_version:
            old, new = _meet(before, after) or (before[-1], after[-1])
            before, after = (old,), (new,)
        kind, part = _kind(before, after)
        newest = (after or before)[-1]
        was = before[-1] if before and after else newest
        # An arch or a vendor that one side does not give is not known; that is no change.
        arch_before = was.arch if newest.arch is not None and was.arch != newest.arch else None
        vendor_before = was.vendor if self.vendors and newest.vendor not in (None, was.vendor) else None
        if was.name != newest.name:
            kind = ChangeKind.RENAMED
        elif kind is None and (arch_before or vendor_before or self.modules.changed(newest.identity)):
            kind = ChangeKind.CHANGED
        if kind is None:
            return None
        return Change(
            kind=kind,
            part=part,
            ecosystem=newest.ecosystem,
            name=newest.name,
            arch=newest.arch,
            before=tuple(package.version for package in before),
            after=tuple(package.version for package in after),
            source=newest.source or was.source,
            arch_before=arch_before,
            vendor_before=vendor_before,
            name_before=was.name if was.name != newest.name else None,
            vendor=newest.vendor,
        )


def _kind(before: tuple[Package, ...], after: tuple[Package, ...]) -> tuple[ChangeKind | None, Part | None]:
    """What the versions alone say, by the newest of each side; `None` where they are the same."""
    if not before:
        return ChangeKind.ADDED, None
    if not after:
        return ChangeKind.REMOVED, None
    if _same(before, after):
        return None, None
    ecosystem, old, new = after[-1].ecosystem, before[-1].version, after[-1].version
    order = compare(ecosystem, old, new)
    if not order:
        return ChangeKind.CHANGED, None
    part = differing_part(ecosystem, old, new)
    if part is Part.DIST:
        return ChangeKind.REBUILT, part
    return (ChangeKind.UPGRADED if order < 0 else ChangeKind.DOWNGRADED), part


def _step(one: Package, two: Package) -> int:
    """The order of two packages' versions; by spelling where there is none."""
    a, b = one.version, two.version
    order = compare(one.ecosystem, a, b)
    return order if order is not None else (a > b) - (a < b)


def _distinct(packages: tuple[Package, ...]) -> list[Package]:
    """Packages in order, without those that only spell the version before them in another way."""
    return [package for i, package in enumerate(packages) if i == 0 or _step(packages[i - 1], package)]


def _same(before: tuple[Package, ...], after: tuple[Package, ...]) -> bool:
    """Are these the same versions, spelled alike or not? Both sides come in order."""
    if len(before) == len(after) == 1:
        return _step(before[0], after[0]) == 0
    one, two = _distinct(before), _distinct(after)
    return len(one) == len(two) and all(_step(a, b) == 0 for a, b in zip(one, two, strict=True))


def _meet(before: tuple[Package, ...], after: tuple[Package, ...]) -> tuple[Package, Package] | None:
    """A version that both sides have in common. They come in order, so one pass tells."""
    i = j = 0
    while i < len(before) and j < len(after):
        step = _step(before[i], after[j])
        if step == 0:
            return before[i], after[j]
        i, j = (i + 1, j) if step < 0 else (i, j + 1)
    return None


# ------------------------------------------------------------------------------------------- keys and notes


def _keys(before: Contents, after: Contents, *, every_key: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Trusted keys that came and went. A source that knows one version of each name knows one key at most."""
    old, new = frozenset(before.keys), frozenset(after.keys)
    if not every_key and (not old or not new or old & new):
        return (), ()
    return tuple(sorted(new - old)), tuple(sorted(old - new))


_LEFT_OUT = {
    Capability.EPOCH: "knows no epochs: they are left out on both sides, so a step in the epoch alone is not seen",
    Capability.ARCH: "does not know the architecture of every package: all architectures of a name are compared as one",
    Capability.MULTI_VERSION: "knows one version of each name: where several are installed side by side, "
    "only one of them is compared",
}


def _notes(before: Contents, after: Contents, shared: frozenset[Capability]) -> Iterable[str]:
    for capability, consequence in _LEFT_OUT.items():
        if capability in shared:
            continue
        lacking = [
            (contents.source, place)
            for contents, place in ((before, "before"), (after, "after"))
            if capability not in contents.capabilities
        ]
        if len(lacking) == 2:
            names = lacking[0][0] if lacking[0][0] == lacking[1][0] else f"{lacking[0][0]}` and `{lacking[1][0]}"
            yield f"The source `{names}` of both sides {consequence}."
        else:
            yield f"The source `{lacking[0][0]}` of the side `{lacking[0][1]}` {consequence}."
