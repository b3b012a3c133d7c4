"""What is installed in the variants of a release, compared: for the gate `consistent`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from relman.model.contents import Capability, Contents
from relman.model.gates import State
from relman.model.oci import Platform
from relman.model.versions import sorted_versions
from relman_plugins.gates.verdict import Verdict

Found = Mapping[str, Verdict]
"""An answer for each variant that has one."""

_EPOCH = re.compile(r"^[0-9]+:")


class Installed(msgspec.Struct, frozen=True):
    """The versions of packages by platform and name, each in order; `None` where some platform's list is out of reach.

    ``exact`` says whether the lists know epochs and several versions of one package.
    """

    platforms: frozenset[str]
    versions: Mapping[tuple[str, str], tuple[str, ...]] | None
    exact: bool = True

    def of(self, names: Sequence[str], exact: bool) -> dict[tuple[str, str], tuple[str, ...]]:
        """What ``names`` mean; where not ``exact``, the last version alone, without its epoch."""
        own = {
            key: versions
            for key, versions in (self.versions or {}).items()
            if any(fnmatchcase(key[1], name) for name in names)
        }
        return own if exact else {key: (_EPOCH.sub("", versions[-1]),) for key, versions in own.items()}


def installed(lists: Mapping[Platform, Contents | None], names: Sequence[str]) -> Installed:
    """The packages that one of ``names`` means, in the lists of one variant's platforms."""
    platforms = frozenset(map(str, lists))
    known = {str(platform): contents for platform, contents in lists.items() if contents is not None}
    if len(known) < len(lists):
        return Installed(platforms, None)
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for platform, contents in known.items():
        for identity, packages in contents.packages.by_identity.items():
            if any(fnmatchcase(identity.name, name) for name in names):
                key = (platform, identity.name)
                every = {*found.get(key, ()), *(package.version for package in packages)}
                found[key] = tuple(sorted_versions(identity.ecosystem, every))
    exact = all({Capability.EPOCH, Capability.MULTI_VERSION} <= one.capabilities for one in known.values())
    return Installed(platforms, found, exact)


def installed_alike(
    lists: Mapping[str, Installed], names: Sequence[str], what: str, code: str, *, alone: bool
) -> Found:
    """Compares the versions of the packages that ``names`` mean, on each platform by itself.

    Where they may stand ``alone``, a variant that does not have one of them is let be.
    """
    exact = all(one.exact for one in lists.values())
    unread = [name for name, one in lists.items() if one.versions is None]
    if unread:
        why = "nothing says what is inside it, so nobody can tell whether it belongs to the others"
        return {name: Verdict(State.ABSENT, why, code="no-list", needs="a list that can be read") for name in unread}
    own = {name: one.of(names, exact) for name, one in lists.items()}
    have = {name: versions for name, versions in own.items() if versions}
    if not have or (not alone and len(have) < len(own)):
        return not_said(what, [name for name in own if name not in have])
    said: dict[str, list[str]] = {}
    for key in sorted({key for versions in have.values() for key in versions}):
        platform, package = key
        values = {name: " and ".join(versions[key]) for name, versions in have.items() if key in versions}
        if not alone:
            values |= {name: "not there" for name in set(have) - set(values) if platform in lists[name].platforms}
        others, usual = minority(values)
        for name in (name for name in lists if name in others):
            line = f"its {package} is {values[name]}, {against(values, name, usual)} ({platform})"
            said.setdefault(name, []).append(line)
    rough = "" if exact else "; compared without epochs, which some lists do not know"
    return {
        name: Verdict(
            State.FAILED,
            "; ".join(lines) + rough,
            code=code,
            needs="variants built with the same packages",
            evidence={"differs": lines},
        )
        for name, lines in said.items()
    }


def minority(values: Mapping[str, Hashable]) -> tuple[frozenset[str], Hashable | None]:
    """Who differs from what most have, and what that is; everybody and `None` where no value has the most."""
    counts = Counter(values.values()).most_common()
    if len(counts) < 2:
        return frozenset(), None
    if counts[0][1] == counts[1][1]:
        return frozenset(values), None
    usual = counts[0][0]
    return frozenset(name for name, value in values.items() if value != usual), usual


def not_said(what: str, names: Sequence[str]) -> Found:
    """An answer for each variant that does not say ``what``."""
    return {
        name: Verdict(
            State.ABSENT,
            f"it does not say its {what}, so nobody can tell whether it belongs to the others",
            code=f"no-{what}",
            needs=f"builds that say their {what}",
        )
        for name in names
    }


def against(values: Mapping[str, Hashable], name: str, usual: Hashable | None) -> str:
    """What the others have, for people: what most have, or everything where nothing is what most have."""
    groups: dict[Hashable, list[str]] = {}
    for other, value in sorted(values.items()):
        if value != values[name] and usual in (None, value):
            groups.setdefault(value, []).append(other)
    return "; ".join(f"that of {', '.join(names)} is {value}" for value, names in groups.items())
