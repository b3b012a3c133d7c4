"""The packages that readers look for first, whether or not they changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from relman.config.values import MajorRule
from relman.model.changelog import Major
from relman.model.contents import Contents, Identity
from relman.model.oci import Platform
from relman.walk.compared import Compared

SYSTEM = frozenset({"rpm", "deb", "alpm", "apk"})
"""Ecosystems of a system's own package database: `podman` there, not a module of that name."""

_ARCHES = {
    "amd64": ("x86_64", "amd64"),
    "386": ("i686", "i586", "i486", "i386"),
    "arm64": ("aarch64", "arm64"),
    "arm": ("armv7hl", "armv7l", "armhf", "armv6hl", "armel"),
    "ppc64le": ("ppc64le", "ppc64el"),
    "riscv64": ("riscv64",),
    "s390x": ("s390x",),
    "loong64": ("loongarch64", "loong64"),
}
_ANY = (None, "noarch", "all", "any")


def majors_of(compared: Sequence[Compared], rules: Iterable[MajorRule]) -> tuple[Major, ...]:
    """The rows of every rule, in the order of the rules, then of the first variant that each holds for.

    Variants that agree on both sides share a row. A variant that has it on neither side is in none.
    """
    rules = tuple(rules)
    wanted = frozenset(rule.package for rule in rules if rule.package is not None)
    lists = [(_named(each.before, wanted), _named(each.after, wanted)) for each in compared]
    return tuple(
        major
        for rule in rules
        for major in _rows(rule, [(each, *pair) for each, pair in zip(compared, lists, strict=True)])
    )


_Named = Mapping[str, Sequence[tuple[Identity, tuple[str, ...]]]]


def _named(contents: Contents | None, wanted: frozenset[str]) -> _Named:
    """Everything called by one of the names that are ``wanted``, with all its installed versions."""
    found: dict[str, list[tuple[Identity, tuple[str, ...]]]] = {}
    if contents is not None:
        for identity in contents.packages.identities:
            if identity.name in wanted:
                versions = tuple(package.version for package in contents.packages.get(identity))
                found.setdefault(identity.name, []).append((identity, versions))
    return found


def _rows(rule: MajorRule, compared: Iterable[tuple[Compared, _Named, _Named]]) -> tuple[Major, ...]:
    rows: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[str, None]] = {}
    for each, before, after in compared:
        if rule.traits <= each.traits:
            step = _labels(rule.label, each) if rule.label is not None else _versions(rule, each, before, after)
            if step != ((), ()):
                rows.setdefault(step, {})[each.name] = None
    name = rule.package if rule.package is not None else f"label:{rule.label}"
    return tuple(Major(rule.title, name, *step, tuple(names), rule.traits) for step, names in rows.items())


def _labels(label: str, compared: Compared) -> tuple[tuple[str, ...], tuple[str, ...]]:
    before, after = (
        (labels[label],) if labels and labels.get(label, "").strip() else ()
        for labels in (compared.before_labels, compared.after_labels)
    )
    return before, after


def _versions(
    rule: MajorRule, compared: Compared, before: _Named, after: _Named
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    assert rule.package is not None
    sides = (before.get(rule.package, ()), after.get(rule.package, ()))
    ecosystems = {identity.ecosystem for side in sides for identity, _ in side}
    ecosystem = min(ecosystems, key=lambda name: (name not in SYSTEM, name), default=None)
    old, new = (
        min(
            ((identity, versions) for identity, versions in side if identity.ecosystem == ecosystem),
            key=lambda each: _arch_order(each[0].arch, compared.platform),
            default=(None, ()),
        )[1]
        for side in sides
    )
    return old, new


def _arch_order(arch: str | None, platform: Platform) -> tuple[int, str]:
    """The platform's own, then those of any, then others, and last the 32-bit x86 that is there for old programs."""
    if arch in _ARCHES.get(platform.architecture, (platform.architecture,)):
        return (0, arch or "")
    if arch in _ANY:
        return (1, arch or "")
    return (3 if arch in _ARCHES["386"] else 2, arch or "")
