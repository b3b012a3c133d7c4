"""Announces on Mastodon, and on servers that speak its API (https://docs.joinmastodon.org/methods/statuses/).

For an hour the server takes the same `Idempotency-Key` once. Later a post is found among
the account's own, by its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from html import unescape
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from pydantic import Field, StringConstraints

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    ChannelReader,
    ChannelSettings,
    ChannelWriter,
    ConfigError,
    HttpResponse,
    Malformed,
    NotFound,
    Secret,
    Slot,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, https, printable, under
from relman_plugins.announce.texts import announcement, replying, since, surviving, text_sha256

LIMIT = 500
"""Characters of a post by default; an address counts 23. A server tells its own limit."""
PAGE, PAGES = 40, 25
"""Posts of the account that are read at once, and how often."""
TRIES = 3
"""The same post with the same key is sent again where its answer was lost: the server takes it once."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HINT = "`token` is one of the account's (Settings, Development), with the rights `read` and `write:statuses`"


class MastodonSettings(ChannelSettings):
    """`type = "mastodon"`. ``limit`` is what a post may have on this server."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")]
    token: Secret
    visibility: Literal["public", "unlisted", "private", "direct"] = "public"
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = None
    limit: Annotated[int, Field(ge=1, le=100_000)] = LIMIT


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "mastodon"`."""
    return (Slot("announce", "mastodon", MastodonSettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A post for each table; it answers the one on the release that this one follows up."""
    for settings in context.settings(MastodonSettings):
        name = settings.name or settings.type
        earlier = context.earlier.get(name)
        text = context.renderer.post(
            settings.template or "post.md.j2",
            format="text",
            limit=settings.limit,
            measure="mastodon",
            url=context.page,
        )
        payload: dict[str, object] = {"text": text}
        payload |= replying(earlier) | since(context)
        yield announcement("mastodon", context, settings, payload)


@hookimpl
def relman_executors() -> tuple[MastodonExecutor]:
    """The one that writes posts."""
    return (MastodonExecutor(),)


class Server(msgspec.Struct, frozen=True):
    """A server, as an action's channel reaches it."""

    action: Action
    reader: ChannelReader

    @property
    def settings(self) -> MastodonSettings:
        """The channel's table."""
        return self.reader.settings(MastodonSettings)

    def headers(self) -> dict[str, str]:
        """With the token."""
        token = self.reader.reveal(self.settings.token).strip()
        return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def address(self, path: str, **query: object) -> str:
        """Of a resource below `/api`."""
        return f"{self.settings.url.rstrip('/')}/api/{path}" + (f"?{urlencode(query)}" if query else "")

    def get(self, path: str, **query: object) -> Any:
        """What the server shows, any JSON. Raises `NotFound` for what is not there."""
        answer = self.reader.get(self.address(path, **query), headers=self.headers())
        if answer.status in (404, 410):
            raise NotFound(f"the server of channel `{self.action.channel}` has no `{path}`")
        self.check(answer, reading=True)
        try:
            return json.loads(answer.content)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"the server of channel `{self.action.channel}` answers what is no JSON") from error

    def check(self, answer: HttpResponse, *, reading: bool = False) -> None:
        """Return where the answer is a success."""
        words = printable(fields(answer).get("error")) or body(answer)
        hint = _HINT if answer.status in (401, 403) else None
        check(answer, f"the server of channel `{self.action.channel}`", words, hint=hint, reading=reading)

    def require_room(self) -> None:
        """Raise where the server takes less than the text. One that does not tell takes what it takes."""
        size = _size(self.action)
        for version in ("v2", "v1"):
            try:
                told = under(self.get(f"{version}/instance"), "configuration", "statuses", "max_characters")
            except NotFound:
                continue
            if isinstance(told, int) and 0 < told < size:
                raise ConfigError(
                    f"the post of channel `{self.action.channel}` has {size:,} characters; its server takes {told:,}",
                    hint=f"write `limit = {told}` into its table, and make a new plan",
                )
            return


class MastodonExecutor:
    """Posts once. ``remote_id`` is the number of the post."""

    kind = "mastodon"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post to the Mastodon account of news`."""
        return f"post to the Mastodon account of `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Look for our text among the account's own posts, back to when the newest image was built."""
        server = Server(action, reader)
        account = under(server.get("v1/accounts/verify_credentials"), "id")
        if not isinstance(account, str) or not _ID.fullmatch(account):
            raise Malformed(f"the server of channel `{action.channel}` does not say whose token it is")
        since = action.payload.get("since")
        oldest = since if isinstance(since, int) and since < reader.now.timestamp() else 0
        query: dict[str, object] = {"limit": PAGE, "exclude_reblogs": "true"}
        for _ in range(PAGES):
            page = server.get(f"v1/accounts/{quote(account)}/statuses", **query)
            if not isinstance(page, list):  # that nothing is there is said by an empty list alone
                raise Malformed(f"the server of channel `{action.channel}` does not show the account's posts")
            statuses = [one for one in page if isinstance(one, dict)]
            for status in statuses:
                if _says(status, action) and _ID.fullmatch(str(status.get("id"))):
                    return _receipt(action, ReceiptState.ADOPTED, status)
            last = statuses[-1] if statuses else {}
            if not _ID.fullmatch(str(last.get("id", ""))) or min(map(_moment, statuses)) < oldest:
                return None
            query["max_id"] = last["id"]
        return Unknown(f"the account has more than {PAGE * PAGES:,} posts since then")

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Post, in answer to the earlier post where there is one, and by itself where that is gone."""
        server = Server(action, writer)
        server.require_room()
        settings = server.settings
        status: dict[str, object] = {"status": action.text("text"), "visibility": settings.visibility}
        if settings.language:
            status["language"] = settings.language
        earlier = str(action.payload.get("reply_to", ""))
        if _ID.fullmatch(earlier) and self._is_there(server, earlier):
            status["in_reply_to_id"] = earlier
        content = json.dumps(status, ensure_ascii=False).encode()
        headers = server.headers() | {"Idempotency-Key": action.key}
        for left in reversed(range(TRIES)):
            try:
                answer = writer.send("POST", server.address("v1/statuses"), content=content, headers=headers)
                server.check(answer)
            except AnswerLost:
                if not left:
                    raise
            else:
                break
        posted = fields(answer)
        if not _ID.fullmatch(str(posted.get("id", ""))):
            raise AnswerLost(f"the server of channel `{action.channel}` answered without the post's number")
        return _receipt(action, ReceiptState.DONE, posted)

    def _is_there(self, server: Server, id: str) -> bool:
        try:
            server.get(f"v1/statuses/{quote(id)}")
        except NotFound:
            return False
        return True

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The post is there and says what we say."""
        status = Server(action, reader).get(f"v1/statuses/{quote(receipt.remote_id or '', safe='')}")
        if not _says(status, action):
            raise Malformed(f"the post of channel `{action.channel}` says something else")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Edit the post: readers are shown that it was."""
        if not _ID.fullmatch(receipt.remote_id or ""):
            return None
        server = Server(action, writer)
        server.require_room()
        content = json.dumps({"status": action.text("text")}, ensure_ascii=False).encode()
        address = server.address(f"v1/statuses/{receipt.remote_id}")
        answer = writer.send("PUT", address, content=content, headers=server.headers())
        if answer.status in (405, 501):
            return None
        server.check(answer)
        return Receipt.of(
            action, ReceiptState.DONE, remote_id=receipt.remote_id, url=receipt.url, sha256=text_sha256(action)
        )

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Delete the post."""
        if not _ID.fullmatch(receipt.remote_id or ""):
            return None
        server = Server(action, writer)
        address = server.address(f"v1/statuses/{receipt.remote_id}")
        answer = writer.send("DELETE", address, content=b"", headers=server.headers())
        if answer.status not in (404, 410):
            server.check(answer)
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")


def _size(action: Action) -> int:
    """Of the text, as Mastodon counts: noted when planning."""
    size = under(action.payload.get("measured"), "size")
    return size if isinstance(size, int) else len(action.text("text"))


def _says(status: object, action: Action) -> bool:
    """Whether a post has our text: servers give it as HTML, in which addresses are cut by markup."""
    content = under(status, "content")
    if not isinstance(content, str):
        return False
    lines = re.sub(r"(?i)<br\s*/?>|</p>", "\n", content)
    return surviving(unescape(re.sub(r"<[^>]*>", "", lines))) == surviving(action.text("text"))


def _moment(status: Mapping[str, Any]) -> float:
    """When it was posted; of one that does not say, now: so that looking goes on."""
    try:
        return datetime.fromisoformat(str(status.get("created_at"))).astimezone(UTC).timestamp()
    except ValueError:
        return float("inf")


def _receipt(action: Action, state: ReceiptState, status: Mapping[str, Any]) -> Receipt:
    url = status.get("url")
    return Receipt.of(
        action,
        state,
        remote_id=str(status["id"]),
        url=https(url) if isinstance(url, str) and len(url) < 2000 and url.isprintable() else None,
        sha256=text_sha256(action),
    )
