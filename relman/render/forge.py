"""Where a forge shows a commit, a pull request, an issue: GitHub, GitLab, and Forgejo with Gitea before it."""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import urlsplit

import msgspec

from relman.render.escaping import url

_GITLAB = re.compile(r"(?:^|\.)gitlab\.")


class Forge(msgspec.Struct, frozen=True):
    """Addresses below a project's page. ``page`` is `None` where there is none, and then so is every address."""

    page: str | None
    _below: str = "/"

    @classmethod
    def at(cls, page: str | None) -> Self:
        """The forge of the project at ``page``; one that is no http address is none."""
        address = url(page) if page else None
        if address is None:
            return cls(None)
        gitlab = _GITLAB.search(urlsplit(address).hostname or "") is not None
        return cls(address.rstrip("/"), "/-/" if gitlab else "/")

    def commit(self, sha: str) -> str | None:
        """The commit's page."""
        return self._address("commit", sha) if re.fullmatch(r"[0-9a-f]{7,64}", sha) else None

    def pull_request(self, number: int) -> str | None:
        """The page of a pull request, or of a merge request."""
        if self._below != "/":
            return self._address("merge_requests", number)
        # GitHub and Forgejo both lead from an issue's address to the pull request of that number.
        return self._address("issues", number)

    def issue(self, number: int) -> str | None:
        """The issue's page."""
        return self._address("issues", number)

    def _address(self, kind: str, of: object) -> str | None:
        return f"{self.page}{self._below}{kind}/{of}" if self.page else None
