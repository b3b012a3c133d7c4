"""One rule on packages: which, in which versions, on which variants. Written as a text or as a table."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from relman.model.contents import Capability, Contents, Package
from relman.model.versions import ORDERED, compare, parse
from relman.plugin import Table

_TEXT = re.compile(r"(?P<name>[^\s<>=!]+)(?:\s*(?P<version>(?:<=|>=|!=|<|>|=).*))?", re.ASCII)
_CONDITION = re.compile(r"(<=|>=|!=|<|>|=)\s*([A-Za-z0-9.+_~^:-]+)", re.ASCII)


class PackageRule(Table):
    """`"kernel >= 6.14"`, or `{ name = "nvidia-*", version = ">= 570", arch = "x86_64", traits = ["nvidia"] }`.

    ``name`` is the package's, in which `*` stands for anything. ``version`` without an epoch or a release says nothing
    of these. Only variants with all ``traits`` are asked.
    """

    name: Annotated[str, Field(min_length=1)]
    version: str | None = None
    arch: str | None = None
    traits: tuple[str, ...] = ()

    @field_validator("version")
    @classmethod
    def _can_be_compared(cls, value: str | None) -> str | None:
        if value is not None and not _CONDITION.fullmatch(value.strip()):
            raise ValueError(
                f"`{value}` is no condition on a version: write `>= 6.14` (`<`, `<=`, `=`, `!=`, `>=`, `>`)"
            )
        return value.strip() if value is not None else None

    def __str__(self) -> str:
        name = f"{self.name}.{self.arch}" if self.arch else self.name
        return f"{name} {self.version}" if self.version else name

    def names(self, name: str, arch: str | None) -> bool:
        """Whether it is about packages of that name and architecture."""
        return fnmatchcase(name, self.name) and self.arch in (None, arch)

    def fits(self, package: Package) -> bool | None:
        """Whether a package that it is about has such a version; `None` where versions like its own have no order."""
        if self.version is None:
            return True
        relation, wanted = self._condition
        order = _order(package.ecosystem, package.version, wanted)
        if order is None:
            return None if relation not in ("=", "!=") else (package.version == wanted) is (relation == "=")
        return {
            "<": order < 0,
            "<=": order <= 0,
            "=": order == 0,
            "!=": order != 0,
            ">=": order >= 0,
            ">": order > 0,
        }[relation]

    def unknown(self, contents: Contents) -> str | None:
        """What of the rule the source of ``contents`` cannot tell; `None` where it can tell all of it."""
        if self.arch is not None and Capability.ARCH not in contents.capabilities:
            return "the architecture of packages"
        if self.version is not None:
            if ":" in self._condition[1] and Capability.EPOCH not in contents.capabilities:
                return "epochs"
            if Capability.MULTI_VERSION not in contents.capabilities:
                return "several versions of one package"
        return None

    @property
    def _condition(self) -> tuple[str, str]:
        match = _CONDITION.fullmatch(self.version or "")
        assert match
        return match[1], match[2]


def _order(ecosystem: str, version: str, wanted: str) -> int | None:
    """The order of ``version`` and ``wanted``, in what ``wanted`` says; `None` where there is none.

    A rule that says no epoch or no release says nothing of them, as in the dependencies of rpm.
    """
    if ecosystem not in ORDERED:
        return None
    has, asks = parse(ecosystem, version), parse(ecosystem, wanted)
    epoch = f"{has.epoch}:" if ":" in wanted else ""
    release = f"-{has.release}" if asks.release is not None and has.release is not None else ""
    return compare(ecosystem, f"{epoch}{has.version}{release}", wanted)


def _rule(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _TEXT.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"`{value}` is no package: write `kernel`, `mesa-*` or `kernel >= 6.14`")
    return {key: text for key, text in match.groupdict().items() if text is not None}


Rule = Annotated[PackageRule, BeforeValidator(_rule)]
