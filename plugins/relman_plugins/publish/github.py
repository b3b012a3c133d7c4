"""Releases on GitHub (docs.github.com/rest/releases, version 2022-11-28 of the API)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import AfterValidator, Field, model_validator

from relman.model.plan import Action
from relman.plugin import ActionsContext, AnswerLost, ChannelReader, Malformed, Slot, hookimpl

from .api import Api
from .assets import Asset
from .executor import ReleaseExecutor
from .planning import Wanted, plan_release
from .releases import Found, Held
from .table import Address, ForgeSettings, server

LIMIT = 125_000
"""Characters of a release's text at most ("body is too long"); in no documentation, but in every refusal."""
API = "https://api.github.com"


def _api(value: str) -> str:
    """An address of the API, also where only the server's is given (GitHub Enterprise Server: `/api/v3`)."""
    url = server(value)
    parts = urlsplit(url)
    return url if parts.path or (parts.hostname or "").startswith("api.") else f"{url}/api/v3"


class GitHubSettings(ForgeSettings):
    """`type = "github"`. ``latest`` and ``prerelease`` are streams whose releases are marked so."""

    api: Annotated[str, AfterValidator(_api)] = API
    draft: bool = False
    discussion_category: str | None = Field(default=None, min_length=1)
    latest: tuple[str, ...] = ()
    prerelease: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _marks(self) -> GitHubSettings:
        if both := sorted({*self.latest} & {*self.prerelease}):
            raise ValueError(f"releases of `{both[0]}` cannot be both latest and pre-releases")
        if self.draft and self.discussion_category:
            raise ValueError("a draft has no discussion: `discussion_category` is for releases that relman publishes")
        return self

    @property
    def address(self) -> Address:
        """The API at `api.HOST` belongs to the site at `HOST`; GitHub Enterprise Server has both on one host."""
        parts = urlsplit(self.api)
        host = parts.netloc.removeprefix("api.")
        return Address(self.api, f"{parts.scheme}://{host}")

    def page(self, version: str) -> str | None:
        """Where the release will be; nowhere while it is a draft."""
        return None if self.draft else super().page(version)


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[publish]] type = "github"`."""
    return (Slot("publish", "github", GitHubSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A release for each table."""
    for settings in context.settings(GitHubSettings):
        flags = {
            "draft": settings.draft,
            "prerelease": context.stream.name in settings.prerelease,
            "latest": context.stream.name in settings.latest,
            "discussion_category": settings.discussion_category,
        }
        yield plan_release(context, settings, limit=LIMIT, flags=flags)


@hookimpl
def relman_executors() -> tuple[GitHubExecutor]:
    """The one that publishes."""
    return (GitHubExecutor(),)


class GitHub(msgspec.Struct, frozen=True):
    """GitHub, or a server of its kind."""

    api: Api
    path: str
    settings: GitHubSettings
    exclusive: bool = False

    def candidates(self, tag: str) -> Iterator[Found]:
        """By tag GitHub finds what is published; drafts are only in the list, and several may have one tag."""
        published = self.api.get(f"{self.path}/tags/{quote(tag, safe='')}")
        if published is not None:
            yield Found.read(published)
        for document in self.api.pages(self.path):
            if document.get("draft") is True:
                yield Found.read(document)

    def files(self, release: Found) -> tuple[Held, ...]:
        """Every file."""
        return tuple(Held.read(one) for one in self.api.pages(f"{self.path}/{release.id}/assets"))

    def upload(self, release: Found, asset: Asset, content: bytes) -> Held:
        """Files have a host of their own, which the answer names: no token goes to any other."""
        address = (release.upload or "").partition("{")[0]
        host = urlsplit(self.settings.api).hostname or ""
        aside = (f"uploads.{host.removeprefix('api.')}",)
        if not self.settings.address.owns(address, aside=aside) or not address.endswith(
            f"/releases/{release.id}/assets"
        ):
            raise Malformed(f"GitHub names `{address[:200]}` for uploads, which is not its own")
        answer = self.api.send("POST", f"{address}?name={quote(asset.name)}", content, {"Content-Type": asset.type})
        try:
            return Held.read(answer)
        except Malformed as error:
            raise AnswerLost(f"GitHub did not answer with the file `{asset.name}`") from error

    def remove(self, release: Found, held: Held) -> None:
        """Delete a file."""
        self.api.write("DELETE", f"{self.path}/assets/{held.id}", again=True)

    def flags(self, wanted: Wanted) -> dict[str, object]:
        """GitHub would mark the newest as the latest by itself: said for every release, so that none is by accident."""
        found: dict[str, object] = {
            "prerelease": wanted.prerelease,
            "make_latest": "true" if wanted.latest else "false",
        }
        if wanted.discussion:
            found["discussion_category_name"] = wanted.discussion
        return found

    def page(self, tag: str) -> str:
        """Where people find it."""
        return f"{self.settings.home}/releases/tag/{quote(tag, safe='')}"


class GitHubExecutor(ReleaseExecutor):
    """Publishes on GitHub."""

    kind = "github"
    name = "GitHub"

    def forge(self, reader: ChannelReader) -> GitHub:
        """GitHub as the channel's table names it."""
        settings = reader.settings(GitHubSettings)
        token = reader.reveal(settings.token)
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        permission = " (`contents: write`; `discussions: write` for discussions)"
        channel = settings.name or settings.type
        api = Api(reader, settings.api, self.name, channel, headers, token, permission)
        return GitHub(api, f"/repos/{settings.repository}/releases", settings)
