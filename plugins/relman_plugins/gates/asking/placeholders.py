"""Placeholders in commands, addresses and paths: what each stands for, and what keeps a value from doing harm.

argv = ["./smoke", "--image={reference}"]      url = "https://ci.example.org/results/{digest}"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator

from relman.model.gates import State
from relman.model.oci import Platform
from relman.model.release import Candidate, Release
from relman_plugins.gates.verdict import Closed, Verdict, plain

NAMES = frozenset(
    {"reference", "digest", "variant", "platform", "stream", "version", "revision", "release", "previous"}
)
"""``reference``: the image, pinned · ``digest``: its own · ``release``: the release's id · ``previous``: the digest of
what it follows · ``platform``: `linux/amd64`, and the question is then asked for each."""

_PLACE = re.compile(r"\{([a-z_]+)\}")


def _known(template: str) -> str:
    for name in _PLACE.findall(template):
        if name not in NAMES:
            known = ", ".join(f"{{{one}}}" for one in sorted(NAMES))
            raise ValueError(f"`{{{name}}}` is no placeholder; there are {known}")
    if not template or "\0" in template:
        raise ValueError("it is empty, or has a NUL in it")
    return template


Template = Annotated[str, AfterValidator(_known)]
"""A text in which the placeholders of `NAMES` stand for something; other braces stand for themselves."""


def per_platform(*templates: str) -> bool:
    """Whether the question is one for each platform."""
    return any("platform" in _PLACE.findall(template) for template in templates)


def values_of(release: Release, candidate: Candidate, platform: Platform | None) -> Mapping[str, str | None]:
    """What each placeholder stands for; `None` where there is no such thing."""
    follows = candidate.follows
    return {
        "reference": str(candidate.image.reference.repository.digest(candidate.image.digest)),
        "digest": candidate.image.digest,
        "variant": candidate.variant.name,
        "platform": None if platform is None else str(platform),
        "stream": release.stream,
        "version": release.version,
        "revision": candidate.revision,
        "release": release.id,
        "previous": follows.digest if follows else None,
    }


def filled(template: str, values: Mapping[str, str | None], written: Callable[[str], str] = str) -> str:
    """``template`` with its placeholders filled in, each value as ``written`` has it.

    Raises `Closed` for what the image does not say, and for a value that could be taken for something else: one that
    begins like an option, or has control characters.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        found = values[name]
        if not found:
            raise Closed(Verdict(State.ABSENT, f"the image has no {name} to ask with", f"no-{name}"))
        if found.startswith("-") or any(unicodedata.category(c)[0] == "C" for c in found):
            raise Closed(Verdict(State.ERROR, f"its {name}, `{plain(found, 60)}`, is nothing to ask with", "unfit"))
        return written(found)

    return _PLACE.sub(value, template)


def in_address(value: str) -> str:
    """As part of a web address: it adds no step, no parameter and no host."""
    return quote(value, safe="") if value not in (".", "..") else "%2E" * len(value)


def in_path(value: str) -> str:
    """As part of a path: `linux/amd64` is `linux-amd64`, `sha256:…` is `sha256-…`, and nothing leads upwards."""
    return re.sub(r"[^A-Za-z0-9._+-]", "-", value).lstrip(".") or "-"


def environment_of(values: Mapping[str, str | None]) -> dict[str, str]:
    """The same for a program, as `RELMAN_DIGEST` and so on; what there is none of is empty."""
    return {f"RELMAN_{name.upper()}": (value or "").replace("\0", "") for name, value in values.items()}
