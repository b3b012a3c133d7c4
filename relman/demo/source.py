"""The demo's git repository: what the images were built from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from relman import process

FIRST = 1_781_870_400
"""2026-06-19 12:00 UTC, the time of the first commit. Each build has its week, each commit six hours of it."""

COMMITS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("feat: a Containerfile to begin with", "Contributor One"),),
    (
        ("feat(dx): add `incus` | and its agent", "Contributor Two"),
        ("fix: pin the kernel until the Wi-Fi driver is mended (#41)", "Contributor One"),
        ("chore(deps): update the base image's digest (#42)", "renovate[bot]"),
        ("feat(firmware): fetch the newest microcode", "Contributor Three"),
        ("docs: thank @everyone who tested <b>this week's</b> builds", "Contributor Two"),
    ),
    (
        ('Revert "feat(firmware): fetch the newest microcode"', "Contributor Three"),
        ("feat!: 🦖 `ujust update` asks before it restarts", "Contributor One"),
        ("fix(nvidia): load the module before the display manager starts", "Contributor Two"),
        ("Update README", "Contributor One"),
        ("chore: tidy", "Contributor One"),
        ("feat: replace toolbox by uupd", "Contributor Three"),
    ),
)
"""Subject and author, oldest first; the last commit of each part is what that build was made from."""


class Source(msgspec.Struct, frozen=True):
    """The repository, and the revision of each build."""

    folder: Path
    revisions: tuple[str, ...]


def make_source(folder: Path) -> Source:
    """A repository with a work tree in ``folder``: the same commits, by the same names, every time."""
    folder = folder.resolve()  # git -C takes relative paths from there
    folder.mkdir(parents=True)
    git = ("git", "-C", str(folder))
    process.run([*git, "init", "--quiet", "--initial-branch=main"], timeout=30)
    marks = folder / ".git" / "demo-marks"
    shas: dict[str, str] = {}
    last: list[str] = []
    for week, part in enumerate(COMMITS):
        for number, (subject, author) in enumerate(part):
            when = FIRST + week * 7 * 86_400 + number * 6 * 3600
            stream = _commit(subject, author, when, parent=last[-1] if last else None, shas=shas)
            process.run([*git, "fast-import", "--quiet", f"--export-marks={marks}"], timeout=30, stdin=stream)
            shas[subject] = marks.read_text().split()[1]
            last.append(shas[subject])
    marks.unlink()
    process.run([*git, "reset", "--quiet", "--hard", "main"], timeout=30)
    ends = [sum(map(len, COMMITS[: number + 1])) for number in range(len(COMMITS))]
    return Source(folder, tuple(last[end - 1] for end in ends))


def _commit(subject: str, author: str, when: int, *, parent: str | None, shas: dict[str, str]) -> bytes:
    """One commit as `git fast-import` reads it; it changes a line of the Containerfile, so that there is a diff."""
    reverted = next((sha for other, sha in shas.items() if subject == f'Revert "{other}"'), None)
    message = f"{subject}\n\nThis reverts commit {reverted}.\n" if reverted else f"{subject}\n"
    content = f"FROM quay.io/fedora-ostree-desktops/silverblue:44\n# {subject}\n".encode()
    who = f"{author} <demo@example.org> {when} +0000".encode()
    return b"".join(
        (
            b"commit refs/heads/main\nmark :1\n",
            b"author " + who + b"\ncommitter " + who + b"\n",
            _data(message.encode()),
            f"from {parent}\n".encode() if parent else b"",
            b"M 100644 inline Containerfile\n",
            _data(content),
        )
    )


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
