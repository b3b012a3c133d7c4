"""The project's documents as tests read them: fenced blocks, headings, tables, links; and consoles that run again.

In a block marked `console`, lines that begin with `$ ` are commands, and what follows is what they print. A line `…`
stands for one line or more that the document leaves out. `RELMAN_UPDATE_GOLDEN=1 pytest` writes the blocks anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from relman.demo.build import NOW
from relman.hookspecs import Slot, relman_settings
from relman.manager import Plugins

ROOT = Path(__file__).parent.parent
CUT = "…"
_CACHE = tempfile.TemporaryDirectory(prefix="relman-cache-")
_MARKDOWN = MarkdownIt("commonmark").enable("table")


def documents() -> list[Path]:
    """Every document of the project."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def slots() -> tuple[Slot, ...]:
    """The tables of relman.toml that the installed plugins understand."""
    return tuple(slot for answer in Plugins().ask(relman_settings) for slot in answer.values)


def short(path: Path) -> str:
    """A file as it is named from the checkout's folder."""
    return str(path.relative_to(ROOT))


def tokens(file: Path) -> list[Token]:
    """The document, parsed."""
    return _MARKDOWN.parse(file.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Block:
    """A fenced block: what is marked on its fence, its text, and the lines of the file that the text takes."""

    file: Path
    info: str
    text: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{short(self.file)}:{self.start}"


def blocks(file: Path, *infos: str) -> list[Block]:
    """The fenced blocks marked with one of ``infos``, or all."""
    found = [
        Block(file, token.info.strip(), token.content, token.map[0] + 1, token.map[1] - 1)
        for token in tokens(file)
        if token.type == "fence" and token.map
    ]
    return [block for block in found if not infos or block.info in infos]


def headings(file: Path) -> list[str]:
    """Every heading's text, Markdown taken off."""
    return [_plain(one) for token, one in _pairs(tokens(file)) if token.type == "heading_open"]


def sections(file: Path) -> dict[str, list[Token]]:
    """What stands under each heading, up to the next one."""
    found: dict[str, list[Token]] = {}
    current: list[Token] = []
    for token, one in _pairs(tokens(file)):
        if token.type == "heading_open":
            current = found.setdefault(_plain(one), [])
        current.append(token)
    return found


def rows(section: Iterable[Token]) -> list[list[str]]:
    """The rows of the tables in a section, heads included; a cell is its Markdown."""
    found: list[list[str]] = []
    for token, one in _pairs(section):
        if token.type == "tr_open":
            found.append([])
        elif token.type in ("td_open", "th_open"):
            found[-1].append(one.content)
    return found


def codes(section: Iterable[Token]) -> list[str]:
    """Every code span in a section."""
    return [child.content for token in section for child in token.children or () if child.type == "code_inline"]


def links(file: Path) -> list[str]:
    """Where the document's links and pictures lead."""
    children = [child for token in tokens(file) for child in token.children or ()]
    found = [child.attrGet("href") or child.attrGet("src") for child in children]
    return [str(link) for link in found if link]


def anchors(file: Path) -> set[str]:
    """What links into the document may name, as GitHub makes it from headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(file)}


def _pairs(those: Iterable[Token]) -> Iterator[tuple[Token, Token]]:
    """Each token with the one that follows it."""
    listed = list(those)
    return zip(listed, [*listed[1:], Token("end", "", 0)], strict=True)


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


# ------------------------------------------------------------------------------------------------ consoles


def environment(**more: str) -> dict[str, str]:
    """What makes a console's output the same everywhere: the demo's time, a width, no colours, this relman first."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SOURCE_DATE_EPOCH": f"{NOW.timestamp():.0f}",
        "COLUMNS": "110",
        "NO_COLOR": "1",
        "RELMAN_CONFIG": "",
        "RELMAN_CACHE": _CACHE.name,
        "GITHUB_OUTPUT": "",
        "GITHUB_STEP_SUMMARY": "",
        **more,
    }


def run(command: str, folder: Path, *, env: Mapping[str, str], code: int = 0) -> tuple[str, int]:
    """What a command prints to a terminal, and its exit code; ``code`` is that of the command before, for `$?`."""
    script = f"(exit {code}); {command}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout.decode(), done.returncode


def commands(block: Block) -> list[tuple[str, list[str]]]:
    """The commands of a console, each with the lines that the document says it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def shows(expected: Sequence[str], printed: Sequence[str]) -> bool:
    """Whether ``expected`` is what was printed, lines apart that a `…` stands for."""
    return _places(expected, printed) is not None


def updated(expected: Sequence[str], printed: Sequence[str]) -> list[str]:
    """``expected`` as it should be: each piece between cuts as long as before, and where its first line stands now."""
    pieces = _pieces(expected)
    if len(pieces) == 1:
        return list(printed)
    result: list[str] = []
    after = 0
    for number, piece in enumerate(pieces):
        if number == 0:
            start = 0
        elif number == len(pieces) - 1:
            start = len(printed) - len(piece)
        else:
            start = list(printed).index(piece[0], after)
        after = start + len(piece)
        result += [*([CUT] if number else []), *printed[start:after]]
    return result


def _pieces(expected: Sequence[str]) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    for line in expected:
        if line == CUT:
            pieces.append([])
        else:
            pieces[-1].append(line)
    return pieces


def _places(expected: Sequence[str], printed: Sequence[str]) -> list[int] | None:
    """Where in ``printed`` each piece between the cuts begins; `None` where one is nowhere."""
    pieces = _pieces(expected)
    if len(pieces) == 1:
        return [0] if list(expected) == list(printed) else None
    last = len(printed) - len(pieces[-1])
    places: list[int] = []
    least = 0
    for number, piece in enumerate(pieces):
        most = {0: 0, len(pieces) - 1: last}.get(number, last - 1)
        first = max(least, last) if number == len(pieces) - 1 else least
        place = next((p for p in range(first, most + 1) if list(printed[p : p + len(piece)]) == piece), None)
        if place is None:
            return None
        places.append(place)
        least = place + len(piece) + 1  # a cut stands for at least one line
    return places


def check_consoles(file: Path, folder: Path, env: Mapping[str, str]) -> None:
    """Run every console of a document in ``folder``, in order, and compare what it prints."""
    code = 0
    anew: list[tuple[Block, list[str]]] = []
    for block in blocks(file, "console"):
        lines: list[str] = []
        for command, expected in commands(block):
            printed, code = run(command, folder, env=env, code=code)
            there = [line.rstrip() for line in printed.splitlines()]
            lines.append(f"$ {command}")
            if os.environ.get("RELMAN_UPDATE_GOLDEN") == "1":
                lines += updated(expected, there)
                continue
            assert shows(expected, there), f"{block}: `{command}` prints otherwise:\n{printed}"
        anew.append((block, lines))
    if os.environ.get("RELMAN_UPDATE_GOLDEN") == "1":
        _rewrite(file, anew)


def _rewrite(file: Path, anew: Sequence[tuple[Block, list[str]]]) -> None:
    text = file.read_text(encoding="utf-8").splitlines()
    for block, lines in reversed(anew):
        text[block.start : block.end] = lines
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
