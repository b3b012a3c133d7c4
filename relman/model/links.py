"""Where packages are made and discussed, as rules on who made them."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from relman.model.changelog import Row


class LinkRule(msgspec.Struct, frozen=True):
    """Which page a changed package has: ``url`` that of its source, ``build`` that of this very build.

    Both are templates; an empty one is no link. ``ecosystem``, ``vendor``, ``package`` and ``version`` are globs, the
    last two on the source's name and on the newest version; a rule that asks for a vendor matches none that is not
    known.
    """

    url: str = ""
    build: str = ""
    ecosystem: str = "*"
    vendor: str = "*"
    package: str = "*"
    version: str = "*"

    def matches(self, row: Row) -> bool:
        """Whether this rule speaks of the row."""
        return (
            fnmatchcase(row.ecosystem, self.ecosystem)
            and fnmatchcase(row.vendor or "", self.vendor)
            and fnmatchcase(row.source or row.title, self.package)
            and fnmatchcase(row.newest, self.version)
        )
