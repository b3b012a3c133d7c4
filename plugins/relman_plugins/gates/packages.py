"""The gate `packages`: what has to be in every image, what must not be, and what must not go away.

Required and forbidden packages are looked for in the list of each platform's image, protected ones in what changed.
What a list cannot tell keeps the gate closed: it is an error, and never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import model_validator

from relman.model.contents import Contents, Package
from relman.model.diff import ChangeKind, Diff
from relman.model.gates import GateResult, State
from relman.model.oci import Platform
from relman.model.release import Candidate
from relman.plugin import GatesContext, Slot, Table, hookimpl
from relman_plugins.gates.package_rules import PackageRule, Rule
from relman_plugins.gates.verdict import Verdict, passed, skipped

_MOST = 20
"""Packages that are named in one reason."""


class PackagesSettings(Table):
    """`{ type = "packages", required = […], forbidden = […], protected = […] }`: at least one of the three."""

    required: tuple[Rule, ...] = ()
    forbidden: tuple[Rule, ...] = ()
    protected: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _some_rule(self) -> PackagesSettings:
        if not (self.required or self.forbidden or self.protected):
            raise ValueError('the gate `packages` needs `required = ["kernel >= 6.14"]`, `forbidden` or `protected`')
        for rule in self.protected:
            if rule.version:
                raise ValueError(f"`{rule}`: what is protected from going away is so in any version")
        return self


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "packages", PackagesSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """An answer for each kind of rule that is broken, or cannot be answered, on each platform; else one that passes."""
    for rule, settings in context.asked("packages", PackagesSettings):
        for candidate in context.release.candidates:
            said = _unknown_trait(context, settings)
            if said or not context.read:
                yield (said or skipped("packages are compared")).of(candidate, rule.name)
                continue
            own = _of_variant(settings, candidate.variant.traits)
            for platform in candidate.platforms:
                contents = context.contents.get((candidate.variant.name, platform))
                diff = _diff(context.diffs, candidate, platform)
                for each in verdicts(own, contents, diff, first=candidate.follows is None):
                    yield each.of(candidate, rule.name, platform)


def _unknown_trait(context: GatesContext, settings: PackagesSettings) -> Verdict | None:
    known = {trait for each in context.release.candidates for trait in each.variant.traits}
    rules = (*settings.required, *settings.forbidden, *settings.protected)
    wrong = sorted({trait for rule in rules for trait in rule.traits} - known)
    if not wrong:
        return None
    why = f"no variant has the trait `{wrong[0]}`, so a rule would never be asked"
    return Verdict(State.ERROR, why, code="unknown-trait", needs="traits that variants have")


def _of_variant(settings: PackagesSettings, traits: frozenset[str]) -> PackagesSettings:
    def own(rules: tuple[PackageRule, ...]) -> tuple[PackageRule, ...]:
        return tuple(rule for rule in rules if traits.issuperset(rule.traits))

    return PackagesSettings.model_construct(
        required=own(settings.required), forbidden=own(settings.forbidden), protected=own(settings.protected)
    )


def _diff(diffs: Sequence[Diff], candidate: Candidate, platform: Platform) -> Diff | None:
    return next((one for one in diffs if (one.variant, one.platform) == (candidate.variant.name, platform)), None)


def verdicts(rules: PackagesSettings, contents: Contents | None, diff: Diff | None, *, first: bool) -> list[Verdict]:
    """What the list of one image, and what changed in it, say to the rules of its variant.

    ``contents`` is `None` where the list is out of reach, ``diff`` where nothing was compared: because it is the
    ``first`` release, from which nothing could go away, or because the predecessor's list is out of reach.
    """
    found: list[Verdict] = []
    if rules.required or rules.forbidden:
        if contents is None:
            found.append(_out_of_reach("what is inside the image"))
        else:
            found += _listed(rules, contents)
    if rules.protected and not first:
        found += [_out_of_reach("what changed")] if diff is None else _gone(rules.protected, diff)
    if found:
        return found
    count = len(rules.required) + len(rules.forbidden) + len(rules.protected)
    said = f"{count} rules hold" if count > 1 else "its rule holds" if count else "no rule is about this variant"
    if rules.protected and diff and not diff.exact:
        said += f" (approximate: {'; '.join(diff.notes)})"
    return [passed(said, source=contents.source if contents else None)]


def _out_of_reach(what: str) -> Verdict:
    why = f"nothing says {what}"
    return Verdict(State.ERROR, why, code="not-read", needs="a list that can be read, as when the release was planned")


def _listed(rules: PackagesSettings, contents: Contents) -> Iterator[Verdict]:
    """What a list says to what is required and forbidden."""
    missing: list[str] = []
    other: dict[str, list[str]] = {}
    present: dict[str, list[str]] = {}
    untold: dict[str, str] = {}
    for rule in (*rules.required, *rules.forbidden):
        if lacks := rule.unknown(contents):
            untold[str(rule)] = f"the list from `{contents.source}` does not know {lacks}"
        elif any(rule.fits(package) is None for package in _about(rule, contents)):
            untold[str(rule)] = "versions of such packages have no order"
    for rule in rules.required:
        packages = _about(rule, contents)
        if not packages:
            missing.append(str(rule))
        elif str(rule) not in untold and not any(rule.fits(package) for package in packages):
            other[str(rule)] = [f"{package.name} {package.version}" for package in packages]
    for rule in rules.forbidden:
        if str(rule) not in untold:
            there = [f"{package.name} {package.version}" for package in _about(rule, contents) if rule.fits(package)]
            present |= {str(rule): there} if there else {}
    if missing:
        yield Verdict(
            State.FAILED,
            f"has no {_named(missing)}",
            code="required-missing",
            needs=f"a build with {_named(missing)}",
            evidence={"missing": missing, "source": contents.source},
        )
    yield from _broken("required-version", "has", "not", other, contents.source)
    yield from _broken("forbidden-present", "has", "against", present, contents.source)
    if untold:
        said = [f"`{rule}`: {why}" for rule, why in untold.items()]
        needs = "a source that knows, such as an SBOM or the package database"
        yield Verdict(State.ERROR, "; ".join(said), code="cannot-tell", needs=needs, evidence={"rules": untold})


def _about(rule: PackageRule, contents: Contents) -> list[Package]:
    return [package for package in contents.packages if rule.names(package.name, package.arch)]


def _broken(code: str, verb: str, how: str, rules: Mapping[str, list[str]], source: str) -> Iterator[Verdict]:
    if rules:
        said = [f"{verb} {_named(there)}, {how} `{rule}`" for rule, there in rules.items()]
        needs = f"a build {'without' if how == 'against' else 'with'} {_named(list(rules))}"
        evidence = {"rules": dict(rules), "source": source}
        yield Verdict(State.FAILED, "; ".join(said), code=code, needs=needs, evidence=evidence)


def _gone(protected: Sequence[PackageRule], diff: Diff) -> Iterator[Verdict]:
    """Protected packages that are there no more, also those that took another name."""
    gone: list[str] = []
    for change in diff.changes:
        if change.kind not in (ChangeKind.REMOVED, ChangeKind.RENAMED):
            continue
        name, arch = change.name_before or change.name, change.arch_before or change.arch
        if any(rule.names(name, arch) for rule in protected):
            became = f" (became {change.name})" if change.kind is ChangeKind.RENAMED else ""
            gone.append(f"{name}.{arch}{became}" if arch else f"{name}{became}")
    if gone:
        needs = f"a build that keeps {_named(gone)}"
        yield Verdict(
            State.FAILED, f"{_named(gone)} is gone", code="protected-removed", needs=needs, evidence={"gone": gone}
        )
    untold = [str(rule) for rule in protected if rule.arch and not diff.exact]
    if untold:
        why = f"`{untold[0]}`: the lists may not know the architecture of packages ({'; '.join(diff.notes)})"
        yield Verdict(State.ERROR, why, code="cannot-tell", needs="sources that know", evidence={"rules": untold})


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST])
    return f"{shown} and {len(names) - _MOST} more" if len(names) > _MOST else shown
