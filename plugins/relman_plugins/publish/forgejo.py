"""Releases on Forgejo, and on Gitea, whose API it has: like GitHub's, with files as forms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import AfterValidator

from relman.model.plan import Action
from relman.plugin import ActionsContext, AnswerLost, ChannelReader, Malformed, Slot, hookimpl

from .api import Api
from .assets import Asset
from .executor import ReleaseExecutor
from .planning import Wanted, plan_release
from .releases import Found, Held
from .table import Address, ForgeSettings, lacking, server

API = "/api/v1"
PAGE = 50
"""Releases of one page: what servers give at most where nobody changed it (`[api] MAX_RESPONSE_ITEMS`)."""


def _api(value: str) -> str:
    """An address of the API, also where only the server's is given. A server may be below a path."""
    url = server(value)
    return url if url.endswith(API) else f"{url}{API}"


class ForgejoSettings(ForgeSettings):
    """`type = "forgejo"`, for Gitea as well. ``prerelease`` are streams whose releases are marked so."""

    api: Annotated[str, AfterValidator(_api)]
    draft: bool = False
    prerelease: tuple[str, ...] = ()
    latest: Annotated[None, lacking("forgejo", "it takes the newest release")] = None
    discussion_category: Annotated[None, lacking("forgejo", "it has no discussions")] = None

    @property
    def address(self) -> Address:
        """One server."""
        return Address(self.api, self.api.removesuffix(API))

    def page(self, version: str) -> str | None:
        """Where the release will be; nowhere while it is a draft."""
        return None if self.draft else super().page(version)


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[publish]] type = "forgejo"`."""
    return (Slot("publish", "forgejo", ForgejoSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A release for each table."""
    for settings in context.settings(ForgejoSettings):
        flags = {"draft": settings.draft, "prerelease": context.stream.name in settings.prerelease}
        yield plan_release(context, settings, limit=None, flags=flags)


@hookimpl
def relman_executors() -> tuple[ForgejoExecutor]:
    """The one that publishes."""
    return (ForgejoExecutor(),)


class Forgejo(msgspec.Struct, frozen=True):
    """A server of Forgejo or Gitea."""

    api: Api
    path: str
    settings: ForgejoSettings
    exclusive: bool = True

    def candidates(self, tag: str) -> Iterator[Found]:
        """A tag has one release here, drafts included. A draft may be found by its tag, or only in the list."""
        by_tag = self.api.get(f"{self.path}/tags/{quote(tag, safe='')}")
        found = [] if by_tag is None else [Found.read(by_tag)]
        known = {one.id for one in found}
        drafts = (Found.read(one) for one in self.api.pages(f"{self.path}?draft=true", "limit", each=PAGE))
        found += [one for one in drafts if one.draft and one.id not in known]
        yield from found

    def files(self, release: Found) -> tuple[Held, ...]:
        """Every file: they come on one page."""
        listed = self.api.get(f"{self.path}/{release.id}/assets")
        if listed is None:
            raise self.api.missing(f"{self.path}/{release.id}")
        if not isinstance(listed, list):
            raise Malformed(f"{self.api.name} answers with files of a release that are no list")
        return tuple(Held.read(one) for one in listed)

    def upload(self, release: Found, asset: Asset, content: bytes) -> Held:
        """One form with one file (RFC 7578). Its boundary is made from what is in it, so it cannot occur there."""
        boundary = f"relman-{hashlib.sha256(content).hexdigest()}"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="attachment"; filename="{asset.name}"\r\n'
            f"Content-Type: {asset.type}\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
        url = f"{self.path}/{release.id}/assets?name={quote(asset.name)}"
        answer = self.api.send("POST", url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        try:
            return Held.read(answer)
        except Malformed as error:
            raise AnswerLost(f"{self.api.name} did not answer with the file `{asset.name}`") from error

    def remove(self, release: Found, held: Held) -> None:
        """Delete a file."""
        self.api.write("DELETE", f"{self.path}/{release.id}/assets/{held.id}", again=True)

    def flags(self, wanted: Wanted) -> dict[str, object]:
        """The newest that is no pre-release is the latest here; nobody can say otherwise."""
        return {"prerelease": wanted.prerelease}

    def page(self, tag: str) -> str:
        """Where people find it."""
        return f"{self.settings.home}/releases/tag/{quote(tag, safe='')}"


class ForgejoExecutor(ReleaseExecutor):
    """Publishes on Forgejo and Gitea."""

    kind = "forgejo"
    name = "Forgejo"

    def forge(self, reader: ChannelReader) -> Forgejo:
        """The server as the channel's table names it."""
        settings = reader.settings(ForgejoSettings)
        token = reader.reveal(settings.token)
        headers = {"Accept": "application/json", "Authorization": f"token {token}"}
        permission = " (scope `write:repository`)"
        name = f"Forgejo (`{urlsplit(settings.api).hostname}`)"
        channel = settings.name or settings.type
        api = Api(reader, settings.api, name, channel, headers, token, permission)
        return Forgejo(api, f"/repos/{settings.repository}/releases", settings)
