"""containers-registries.d(5): whether a host looks for sigstore signatures of an image at all.

The files are YAML, two maps deep. What they need of it is read here: block maps, plain and quoted scalars, comments.
Anything else is refused with its line, since a file that is not understood says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from relman.plugin import ConfigError
from relman_plugins.gates.signature.names import Name

_KEY = "use-sigstore-attachments"
_LIMIT = 1024 * 1024
_LINE = re.compile(
    r"""( *)("(?:[^"\\])*"|'[^']*'|[^\s"'#&*!|>%@`{\[\]}?,-][^\s]*(?: +[^\s#:]+)*?|-[^\s]+)\s*:(?:\s+(.*))?"""
)
_SCALAR = re.compile(r"""("[^"\\]*"|'[^']*'|[^"'#&*!|>%@`{\[\]},-][^#]*?|\{\})\s*(?:\s#.*)?""")
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})


class Attachments(msgspec.Struct, frozen=True):
    """What a folder of such files says. ``scopes`` are those that say anything; ``""`` is the default."""

    folder: Path
    scopes: Mapping[str, bool]

    def unseen(self, name: Name) -> str | None:
        """Why a host would not look for signatures of ``name``; `None` where it does.

        The most precise scope that has the key decides, as in containers/image.
        """
        for scope in (*name.scopes, ""):
            if scope in self.scopes:
                if self.scopes[scope]:
                    return None
                where = f"under `{scope}`" if scope else "by default"
                return f"`{self.folder}` turns `{_KEY}` off {where}"
        return f"`{self.folder}` does not turn `{_KEY}` on for `{name.repository}`"


class Quoted(str):
    """A text in quotes: never true or false, whatever it spells."""

    __slots__ = ()


def read_registries_d(folder: Path) -> Attachments:
    """Read a folder; one that is not there says nothing. Raises `ConfigError` for a file that cannot be read."""
    scopes: dict[str, bool] = {}
    seen: set[str] = set()
    for file in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
        try:
            content = file.read_bytes()
            if len(content) > _LIMIT:
                raise ValueError(f"it is larger than {_LIMIT} bytes")
            for scope, section in _sections(read_yaml(content.decode())):
                if scope in seen:
                    raise ValueError(f"`{scope or 'default-docker'}` stands twice in `{folder}`")
                seen.add(scope)
                if _KEY in section:
                    scopes[scope] = _truth(section[_KEY])
        except (ValueError, OSError) as error:
            raise ConfigError(f"`{file}`: {error}") from error
    return Attachments(folder, scopes)


def read_yaml(text: str) -> dict[str, Any]:
    """Maps in maps, the leaves texts or `None`. Raises `ValueError` that names the line."""
    whole: dict[str, Any] = {}
    # The open maps: how far their keys are indented (`None`: not known yet), and where a map would be put.
    levels: list[tuple[int | None, dict[str, Any]]] = [(None, whole)]
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or (line.rstrip() == "---" and not whole):
            continue
        found = _LINE.fullmatch(line.rstrip())
        if found is None or "\t" in line:
            raise ValueError(f"line {number} is not a plain `key: value`, which is all that is read of YAML here")
        indent, key, rest = len(found[1]), _unquoted(found[2]), (found[3] or "").strip()
        while levels[-1][0] is not None and levels[-1][0] > indent:
            levels.pop()
        known, level = levels[-1]
        if known is None:
            below = levels[-2][0] if len(levels) > 1 else None
            if below is not None and indent <= below:  # the map that might have begun is empty
                levels.pop()
                known, level = levels[-1]
            else:
                levels[-1] = (indent, level)
                known = indent
        if known != indent or key in level:
            raise ValueError(f"line {number}: `{key[:80]}` is indented like no other key, or stands twice")
        if rest and not rest.startswith("#"):
            level[key] = _scalar(rest, number)
        else:
            level[key] = {}
            levels.append((None, level[key]))
    return whole


def _scalar(rest: str, number: int) -> Any:
    found = _SCALAR.fullmatch(rest)
    if found is None:
        raise ValueError(f"line {number}: `{rest[:80]}` is no plain value, which is all that is read of YAML here")
    if found[1] == "{}":
        return {}
    return Quoted(_unquoted(found[1])) if found[1][0] in ('"', "'") else found[1]


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] in ('"', "'") else text


def _sections(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    default, docker = value.get("default-docker"), value.get("docker", {})
    if not isinstance(docker, dict) or not all(isinstance(section, dict) for section in docker.values()):
        raise ValueError("`docker` is no map of maps")
    if default is not None:
        if not isinstance(default, dict):
            raise ValueError("`default-docker` is no map")
        yield "", default
    yield from docker.items()


def _truth(value: object) -> bool:
    word = value if isinstance(value, str) and not isinstance(value, Quoted) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError(f"`{_KEY}` is `{str(value)[:40]}`, which is neither true nor false")
    return word in _TRUE
