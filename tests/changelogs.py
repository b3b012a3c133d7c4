"""Changelogs in memory, for tests: an empty one, a small one, a large one, and one that only malice could make."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from relman.model.changelog import (
    Accounting,
    Changelog,
    Commit,
    Fix,
    Group,
    Major,
    PackageName,
    Row,
    Section,
    VariantSummary,
)
from relman.model.diff import ChangeKind, Part
from relman.model.oci import LINUX_AMD64, Digest, Platform

PACKAGES = Path(__file__).parent / "golden" / "packages.txt"
ARM64 = Platform("linux", "arm64")
VENDORS = {7: "Fedora Copr - user ublue-os", 17: "Fedora Copr - group @kernel-vanilla", 23: "RPM Fusion", 40: "Terra"}
BLUEFIN = ("bluefin", "bluefin-dx", "bluefin-nvidia-open", "bluefin-dx-nvidia-open")


def digest(name: str) -> Digest:
    """Some digest, the same for the same name."""
    return Digest.of(name.encode())


def sha(name: str) -> str:
    """Some commit, the same for the same name."""
    return hashlib.sha1(name.encode("utf-8", "surrogateescape")).hexdigest()


def variant(
    name: str,
    *,
    platform: Platform = LINUX_AMD64,
    follows: bool = True,
    packages: int = 1828,
    download: int | None = None,
) -> VariantSummary:
    """A variant whose digests are made from its name."""
    previous = digest(f"{name} {platform} before") if follows else None
    now = digest(f"{name} {platform}")
    return VariantSummary(name, platform, now, previous, sha("head"), True, packages, download)


def row(
    names: str | tuple[str | tuple[str, str | None], ...],
    before: str | tuple[str, ...],
    after: str | tuple[str, ...],
    *,
    kind: ChangeKind | None = None,
    part: Part | None = None,
    arch: str | None = "x86_64",
    source: str | None = None,
    arch_before: str | None = None,
    vendor_before: str | None = None,
    name_before: str | None = None,
    vendor: str | None = None,
    ecosystem: str = "rpm",
) -> Row:
    """A row; a text is a single name or version, and an empty one no version. The kind is guessed when left out."""
    olds, news = _versions(before), _versions(after)
    if kind is None:
        kind = ChangeKind.ADDED if not olds else ChangeKind.REMOVED if not news else ChangeKind.UPGRADED
    given = (names,) if isinstance(names, str) else names
    packages = tuple(PackageName(n, arch) if isinstance(n, str) else PackageName(*n) for n in given)
    return Row(kind, part, ecosystem, source, packages, olds, news, arch_before, vendor_before, name_before, vendor)


def _versions(versions: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, (versions,))) if isinstance(versions, str) else versions


def group(
    title: str,
    rows: Iterable[Row],
    variants: tuple[str, ...] = ("bluefin",),
    platforms: tuple[Platform, ...] = (LINUX_AMD64,),
) -> Group:
    """A group of rows."""
    return Group(title, variants, platforms, tuple(rows))


def commit(
    subject: str,
    *,
    author: str = "A. Maintainer",
    type: str | None = None,
    breaking: bool = False,
    reason: str | None = None,
    reverted_by: str | None = None,
    variants: tuple[str, ...] = (),
    co_authors: tuple[str, ...] = (),
    bot: bool = False,
    pull_request: int | None = None,
    closes: tuple[int, ...] = (),
    newcomers: tuple[str, ...] | None = (),
) -> Commit:
    """A commit whose hash is made from its subject; ``reverted_by`` is the subject of the one that takes it back."""
    return Commit(
        sha=sha(subject),
        subject=subject,
        author=author,
        type=type,
        breaking=breaking,
        listed=reason is None,
        reason=reason,
        reverted_by=sha(reverted_by) if reverted_by else None,
        variants=variants,
        co_authors=co_authors,
        bot=bot,
        pull_request=pull_request,
        closes=closes,
        newcomers=newcomers,
    )


def changelog(
    *,
    variants: tuple[VariantSummary, ...] = (variant("bluefin"),),
    majors: tuple[Major, ...] = (),
    groups: tuple[Group, ...] = (),
    commits: tuple[Commit, ...] = (),
    ignored: int = 0,
    **others: object,
) -> Changelog:
    """A changelog of Bluefin whose accounting is counted from what it holds; ``others`` are fields to change."""
    shown = sum(len(r.packages) * len(g.variants) * len(g.platforms) for g in groups for r in g.rows)
    listed = sum(commit.listed for commit in commits)
    made = Changelog(
        project="Bluefin",
        stream="stable",
        version="stable-20250608",
        previous="stable-20250525",
        title="stable-20250608: Bluefin stable (F42, #0340d37)",
        variants=variants,
        majors=majors,
        groups=groups,
        commits=commits,
        security=None,
        sections=(),
        keys_added=(),
        keys_removed=(),
        accounting=Accounting(len(commits), listed, len(commits) - listed, shown + ignored, shown, ignored),
        repository_url="https://github.com/ublue-os/bluefin",
        major=42,
    )
    return replace(made, **others)  # the fields are checked by the constructor


def empty() -> Changelog:
    """A first release of which nothing is known but its image."""
    return changelog(
        variants=(variant("bluefin", follows=False),),
        stream=None,
        version=None,
        previous=None,
        repository_url=None,
        title="Bluefin",
    )


def unchanged() -> Changelog:
    """A release in which nothing changed."""
    return changelog(security=(), notes=("Nothing that relman can see is different.",))


def small() -> Changelog:
    """A real week of Bluefin in small: every kind of change once, two variants, a revert, a section on each side."""
    both = ("bluefin", "bluefin-dx")
    rows = (
        row("iwd", "", "3.6-1.fc42"),
        row(("mesa-dri-drivers", "mesa-filesystem", "mesa-libGL"), "25.0.4-1.fc42", "25.0.6-1.fc42", source="mesa"),
        row((("glibc", "i686"), ("glibc", "x86_64")), "2.41-3.fc42", "2.41-5.fc42", source="glibc"),
        row("kernel-core", ("6.14.3-300.fc42", "6.14.4-300.fc42"), ("6.14.4-300.fc42", "6.14.5-300.fc42")),
        row("xdg-desktop-portal", "1.20.3-1.fc42", "1.20.0-1.fc42", kind=ChangeKind.DOWNGRADED),
        row("docbook-utils", "0.6.14-63.fc41", "0.6.14-63.fc42", kind=ChangeKind.REBUILT, part=Part.DIST),
        row("ptyxis", "48.3-2.fc42", "48.4-2.fc42", kind=ChangeKind.RENAMED, name_before="gnome-console"),
        row("hwdata", "0.395-1.fc42", "0.395-1.fc42", kind=ChangeKind.CHANGED, arch="noarch", arch_before="x86_64"),
        row("nautilus-open-any-terminal", "0.0.git.339.47f12cbc-1.fc42", ""),
    )
    return changelog(
        variants=(variant("bluefin"), variant("bluefin-dx", packages=2104)),
        majors=(
            Major("Kernel", "kernel", ("6.14.4-300.fc42",), ("6.14.5-300.fc42",), both),
            Major("Podman", "podman", ("5:5.5.0-1.fc42",), ("5:5.5.0-1.fc42",), both),
            Major("Docker", "docker-ce", ("28.1.1-1.fc42",), ("28.2.2-1.fc42",), ("bluefin-dx",), frozenset({"dx"})),
        ),
        groups=(
            group("All images", rows, both),
            group("Dev Experience Images", [row("code", "1.100.2-1.el8", "1.100.3-1.el8")], ("bluefin-dx",)),
        ),
        commits=(
            commit(
                "feat: Add `iwd` (#2616)", type="feat", pull_request=2616, closes=(2601,), newcomers=("C. Newcomer",)
            ),
            commit(
                "chore(deps): update actions (#2615)", type="chore", author="renovate[bot]", bot=True, pull_request=2615
            ),
            commit('Revert "fix: pin mutter"', author="B. Maintainer"),
            commit("fix: pin mutter", type="fix", reverted_by='Revert "fix: pin mutter"'),
            commit("chore: tidy up", type="chore", reason="^chore"),
            commit(
                "feat(dx)!: drop docker extension",
                type="feat",
                breaking=True,
                variants=("bluefin-dx",),
                co_authors=("B. Maintainer",),
            ),
        ),
        sections=(
            Section("known", 70, "Known issues", "- Sleep fails on one laptop."),
            Section("highlights", 10, "Highlights", "GNOME **48.2** is here, see [its notes](https://example.org/48)."),
        ),
        security=(Fix("CVE-2025-1234", ("openssl", "openssl-libs"), "Fixes a buffer overrun."),),
        keys_added=("b99058cd-68123456",),
        notes=("bluefin-dx was compared with stable-20250524: it was not part of stable-20250525.",),
    )


def large() -> Changelog:
    """Some 350 changed packages of four variants; names and later versions are real, the earlier ones composed."""
    lines = PACKAGES.read_text(encoding="utf-8").splitlines()
    packages = [tuple(line.split()) for line in lines if line and not line.startswith("#")]
    folded: dict[tuple[str, str], list[str]] = {}
    for name, version in packages:
        folded.setdefault((name.split("-")[0], version), []).append(name)
    rows = [
        _composed(at, source if len(names) > 1 else names[0], tuple(names), version)
        for at, ((source, version), names) in enumerate(folded.items())
    ]
    dx = tuple(name for name in BLUEFIN if "-dx" in name)
    nvidia = tuple(name for name in BLUEFIN if "nvidia" in name)
    kernels = ("7.0.10-201.fc44", "7.0.12-201.fc44")
    return changelog(
        variants=tuple(
            variant(
                name,
                packages=1828 + 140 * ("dx" in name),
                download=412_345_678 + 287_654_321 * ("dx" in name) + 98_765_432 * ("nvidia" in name),
            )
            for name in BLUEFIN
        ),
        majors=(
            Major("Kernel", "kernel", kernels[:1], kernels[1:], BLUEFIN),
            Major("Gnome", "gnome-shell", ("50.2-1.fc44",), ("50.2-1.fc44",), BLUEFIN),
            Major("Mesa", "mesa-filesystem", ("26.1.1-1.fc44",), ("26.1.2-1.fc44",), BLUEFIN),
            Major("Nvidia", "nvidia-driver", ("3:595.58-1.fc44",), ("3:595.71-1.fc44",), nvidia, frozenset({"nvidia"})),
            Major("Docker", "docker-ce", ("3:29.5.2-1.fc44",), ("3:29.5.3-1.fc44",), dx, frozenset({"dx"})),
        ),
        groups=(
            group("All images", rows[:-40], BLUEFIN),
            group("Dev Experience Images", rows[-40:-8], dx),
            group("Nvidia Images", [replace(row, vendor="negativo17.org") for row in rows[-8:-2]], nvidia),
            group("bluefin-dx", rows[-2:], ("bluefin-dx",)),
        ),
        commits=tuple(
            commit(f"{kind}: change number {number} (#{4000 + number})", type=kind, reason=reason)
            for number in range(24)
            for kind, reason in [(("feat", None), ("fix", None), ("docs", None), ("chore", "^chore"))[number % 4]]
        ),
        version="stable-20260612",
        previous="stable-20260605",
        title="stable-20260612: Bluefin stable (F44, #31fd14d)",
        major=44,
    )


def _composed(at: int, source: str, names: tuple[str, ...], version: str) -> Row:
    """A change to ``version`` from one that is made up, as is who built it."""
    return replace(_step(at, source, names, version), vendor=VENDORS.get(at % 41, "Fedora Project"))


def _step(at: int, source: str, names: tuple[str, ...], version: str) -> Row:
    whole, _, release = version.rpartition("-")
    if at % 29 == 0:
        return row(names, "", version, source=source)
    if at % 31 == 0:
        return row(names, version, "", source=source)
    if at % 7 == 0:
        older = version.replace(".fc44", ".fc43")
        return row(names, older, version, kind=ChangeKind.REBUILT, part=Part.DIST, source=source)
    if at % 23 == 0:
        newer = f"{whole}.1-{release}"
        return row(names, newer, version, kind=ChangeKind.DOWNGRADED, part=Part.VERSION, source=source)
    return row(names, f"{whole}-0.{release}", version, part=Part.RELEASE, source=source)


HOSTILE_SUBJECTS = (
    "fix: a | b || c \\| d",
    "feat: `code` and ``more`` ` alone",
    "chore: thanks @octocat, @everyone and admin@example.org",
    "<script>alert(1)</script> <img src=x onerror=alert(1)> <details>",
    "fix: **bold** __under__ ~~gone~~ ~one~ snake_case_name 2~rc1 2~rc2",
    "docs: [click](javascript:alert(1)) ![x](http://127.0.0.1/pixel) <javascript:alert(1)>",
    "feat: 🎉 family 👨‍👩‍👧 flag 🇩🇪 ❤️ (#123)",
    "fix: שלום עולם and العربية \u202etxt.exe",
    "- [ ] not a list",
    "# not a heading",
    "1. not numbered",
    "two\nlines\r\nand\ta tab\x00\x1b[31mred",
    "&amp; &#64;octocat &lt;b&gt; AT&T a & b",
    "$x^2$ $`y`$ [^1] [ref]: http://127.0.0.1",
    "",
)


def pathological() -> Changelog:
    """What strangers could write into names, versions, subjects, authors and keys, and shapes that are rare."""
    long = "very-" * 99 + "long"
    rows = (
        row("pipe|name`tick`<b>", "1|2", "1|3"),
        row(long, "1.0-1", "1.1-1"),
        row("epoch", "1:2.0-1.fc42", "2:1.0-1.fc42", part=Part.EPOCH),
        row("tildes", ("0~rc1-1", "0~rc2-1"), ("0~rc2-1", "0~rc3-1")),
        row((("glibc", "i686"), ("glibc", "x86_64"), ("glibc-common", "x86_64")), "2.41-3", "2.41-5", source="glibc"),
        row(
            "kernel-core",
            ("6.14.3-300.fc42", "6.14.4-300.fc42", "6.14.5-300.fc42"),
            ("6.14.4-300.fc42", "6.14.5-300.fc42", "6.14.6-300.fc42"),
        ),
        row("@scope/name", "", "1.0", vendor="Fedora Project"),
        row("a](javascript:alert(1))", "1", "2", vendor="Fedora Copr - user ../../evil?x=<b>|[b]"),
        row("[b]bold[/b] [url=javascript:alert(1)]x[/url]", "[i]1", "[/table]2"),
        row("vendor", "1.0-1", "1.0-1", kind=ChangeKind.CHANGED, vendor_before="Acme <acme@example.org> | Sons"),
        row("שם", "1.0-1", ""),
    )
    both = ("bluefin", "bluefin-dx")
    return changelog(
        variants=(variant("bluefin"), variant("bluefin-dx"), variant("bluefin-dx", platform=ARM64)),
        majors=(
            Major("Kernel | core", "kernel", ("6.14.3-300.fc42",), ("6.14.5-300.fc42",), ("bluefin",)),
            Major("Kernel | core", "kernel", (), ("6.14.5-300.fc42",), ("bluefin-dx",)),
            Major("Gone", "gone", ("1.0~a-1",), (), both),
            Major("Never", "never", (), (), both),
        ),
        groups=(
            group("All images", rows, both),
            group("bluefin-dx on linux/arm64", [row("<details>", "1", "2")], ("bluefin-dx",), (ARM64,)),
            group("</summary></details>@octocat", [row("x", "1", "2")], ("bluefin-dx",), (LINUX_AMD64, ARM64)),
        ),
        commits=tuple(
            commit(subject, author="Eve | <b>@evil</b>", co_authors=("[x](javascript:1)",), newcomers=("<i>@all|",))
            for subject in HOSTILE_SUBJECTS
        ),
        sections=(
            Section("open", 10, "Left open | <b>", "```\nnever closed\n\n<details>"),
            Section(
                "raw", 60, "Raw", "<script>alert(1)</script>\n\n<details>\n<summary>never closed</summary>\n\ntext"
            ),
        ),
        security=(Fix("CVE-2025-0001", ("a|b", "c"), "Fixes <b>it</b>\n\n# all"),),
        keys_added=("<key>",),
        keys_removed=("b99058cd-68123456",),
        notes=("bluefin's `|` was <compared> with @nothing.",),
        title="stable-20250608: <b>Bluefin</b> | `stable` @everyone #",
        version="stable-20250608`|",
        previous="<previous>",
    )
