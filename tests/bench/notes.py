"""Composing and rendering the largest release that is to be expected: `python -m tests.bench.notes`.

Thirty variants of 2,500 packages, before and after. Names and versions are composed, in the shapes of a Fedora image.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from relman.config.values import GroupRule, MajorRule
from relman.model.changelog import Changelog, Commit
from relman.model.contents import EXACT, Capability, Contents, Package, PackageSet
from relman.model.diff import Side
from relman.model.oci import LINUX_AMD64, Digest
from relman.model.streams import Variant
from relman.render import FORMATS, NotesRenderer, Templates
from relman.walk.compare import assemble, compare_contents
from relman.walk.compose import Compared, compose
from relman.walk.history import CommitRange

VARIANTS, PACKAGES, CHANGED = 30, 2500, 0.4
TRAITS = ("base", "dx", "nvidia", "deck", "gnome")
VENDORS = ("Fedora Project",) * 9 + ("Fedora Copr - user ublue-os",)

T = TypeVar("T")


@dataclass
class Bench:
    """What was measured, in seconds and MiB, by what it was measured on."""

    times: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def timed(self, what: str, run: Callable[[], T]) -> T:
        """The result of ``run``, its time noted."""
        start = time.perf_counter()
        result = run()
        self.times[what] = time.perf_counter() - start
        return result


def compared_variants(variants: int, packages: int, share: float = CHANGED) -> Iterator[Compared]:
    """Each variant with both its lists and their difference; most packages are those of all, some are a trait's own."""
    chance = random.Random(20260705)
    sources = [f"source{number // 3:04}" for number in range(packages)]
    steps = [(chance.random() < share, chance.random()) for _ in range(packages)]
    for at in range(variants):
        traits = frozenset(trait for bit, trait in enumerate(TRAITS) if (at >> bit) & 1)
        before, after = [], []
        for number in range(packages):
            changed, kind = steps[number]
            own = number % 50 == 0
            name = f"{sources[number]}-{'-'.join(sorted(traits)) or 'plain'}{number}" if own else f"package{number:04}"
            vendor = VENDORS[number % len(VENDORS)]
            old, new = f"1.{number}.0-1.fc44", f"1.{number}.0-1.fc44"
            if changed:
                new = f"1.{number}.0-1.fc45" if kind < 0.2 else f"1.{number}.1-1.fc44"
                if kind > 0.98:
                    old, new = new, old
            if not (changed and 0.2 < kind < 0.22):
                before.append(Package("rpm", name, "x86_64", old, sources[number], vendor))
            if not (changed and 0.22 < kind < 0.24):
                after.append(Package("rpm", name, "x86_64", new, sources[number], vendor))
        yield _compared(Variant(f"variant{at:02}", f"variant{at:02}", "", traits, ()), before, after)


def _compared(variant: Variant, before: list[Package], after: list[Package]) -> Compared:
    capabilities = EXACT | {Capability.VENDOR}
    one, two = (Contents(PackageSet(side), "sbom", capabilities) for side in (before, after))
    sides = [Side(variant.name, None, LINUX_AMD64, None, "0" * 40, len(each), "sbom") for each in (before, after)]
    diff = assemble(compare_contents(one, two), *sides, variant=variant.name, platform=LINUX_AMD64)
    digest = Digest.of(variant.name.encode())
    return Compared(
        variant=variant,
        name=variant.name,
        platform=LINUX_AMD64,
        after=two,
        digest=digest,
        after_labels={},
        revision="0" * 40,
        before=one,
        diff=diff,
        before_labels={},
        previous_digest=digest,
        download=412_000_000,
    )


def composed(compared: tuple[Compared, ...]) -> Changelog:
    """The changelog of them all, with two hundred commits."""
    names = tuple(each.name for each in compared)
    commits = tuple(
        Commit(f"{at:040x}", f"fix: change {at} (#{at})", "A. Maintainer", "fix", variants=names) for at in range(200)
    )
    return compose(
        compared,
        project="Bench",
        title="Bench",
        stream="stable",
        version="stable-20260705",
        previous="stable-20260628",
        ranges=(CommitRange(names, commits),),
        commits=commits,
        majors=tuple(MajorRule(f"Major {at}", f"package{at:04}", None, frozenset()) for at in range(1, 11)),
        groups=tuple(GroupRule(f"{trait} images", frozenset({trait})) for trait in TRAITS),
        repository_url="https://github.com/example/os",
    )


def measure(variants: int = VARIANTS, packages: int = PACKAGES, share: float = CHANGED) -> Bench:
    """Compose and render once, and note what it took."""
    bench = Bench()
    compared = bench.timed("compare (not counted)", lambda: tuple(compared_variants(variants, packages, share)))
    peak = _peak()
    changelog = bench.timed("compose", lambda: composed(compared))
    renderer = bench.timed("values", lambda: NotesRenderer(Templates(), changelog))
    for format in FORMATS:
        bench.counts[f"characters of {format}"] = len(bench.timed(format, lambda f=format: renderer.notes(f)))  # type: ignore[misc]
    fitted = bench.timed("markdown fitted to 125,000", lambda: renderer.notes(limit=125_000))
    bench.counts["characters fitted"] = len(fitted)
    bench.counts["groups"] = len(changelog.groups)
    bench.counts["rows"] = sum(len(group.rows) for group in changelog.groups)
    bench.counts["changed"] = changelog.accounting.packages_changed
    bench.counts["MiB of inputs"] = peak
    bench.counts["MiB at most"] = _peak()
    return bench


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=VARIANTS)
    parser.add_argument("--packages", type=int, default=PACKAGES)
    parser.add_argument("--changed", type=float, default=CHANGED, help="the share of packages that changed, up to 1")
    given = parser.parse_args()
    bench = measure(given.variants, given.packages, given.changed)
    for what, seconds in bench.times.items():
        print(f"{what:28} {seconds * 1000:9,.0f} ms")  # noqa: T201  # what it is for
    whole = sum(bench.times[part] for part in ("compose", "values", "markdown"))
    print(f"{'compose, values, markdown':28} {whole * 1000:9,.0f} ms")  # noqa: T201
    for what, count in bench.counts.items():
        print(f"{what:28} {count:9,}")  # noqa: T201


if __name__ == "__main__":
    main()
