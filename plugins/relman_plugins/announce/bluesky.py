"""Announces on Bluesky: a record in the account's repository (https://docs.bsky.app, https://atproto.com/specs).

A record's key is ours to choose: it derives from the action's, so that writing the same post again writes the same
record, and reading it tells whether it is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

import msgspec
from pydantic import Field, StringConstraints

from relman.model.plan import Action, action_key
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
    Passing,
    RelmanError,
    Secret,
    Slot,
    conceal,
    hookimpl,
)
from relman_plugins.announce.answers import body, check, fields, printable, under
from relman_plugins.announce.texts import announcement, replying, text_sha256

GRAPHEMES, BYTES = 300, 3000
"""The length of a post at most (lexicon `app.bsky.feed.post`)."""
COLLECTION = "app.bsky.feed.post"
TRIES = 3
"""The same record is written again where its answer was lost."""
EDITED = "the record is corrected; bsky.app goes on showing the text that it saw first"

_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
_LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]}'*]")
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]{1,256}")
_URI = re.compile(rf"at://({_DID.pattern})/{re.escape(COLLECTION)}/([A-Za-z0-9._:~-]{{1,512}})")
_HASH = re.compile(r"[a-z0-9]{1,128}")
_HINT = "`handle` is the account, and `password` one of its app passwords (Settings, Privacy and security)"


class BlueskySettings(ChannelSettings):
    """`type = "bluesky"`. ``url`` is the server of the account ``handle``, ``languages`` those of the post."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s?#]+$")] = "https://bsky.social"
    handle: Annotated[str, StringConstraints(pattern=r"^@?[A-Za-z0-9.:-]{3,253}$")]
    password: Secret
    languages: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z-]{2,20}$")], ...], Field()] = ("en",)


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[announce]] type = "bluesky"`."""
    return (Slot("announce", "bluesky", BlueskySettings),)


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A post for each table, with a card that leads to the notes."""
    built = [image.created for candidate in context.release.candidates if (image := candidate.first).created]
    for settings in context.settings(BlueskySettings):
        name = settings.name or settings.type
        key = action_key(context.release.id, f"bluesky:{name}")
        earlier = context.earlier.get(name)
        template = settings.template or "post.md.j2"
        text = context.renderer.post(template, format="text", limit=GRAPHEMES, measure="graphemes")
        if len(text.encode()) > BYTES:
            raise ConfigError(
                f"channel `{name}`: the post has {len(text.encode()):,} bytes, and Bluesky takes {BYTES:,}"
            )
        payload: dict[str, object] = {"text": text, "rkey": record_key(key, max(built) if built else None)}
        if context.page:
            payload["card"] = {"uri": context.page, "title": context.changelog.title, "description": ""}
        payload |= replying(earlier)
        yield announcement("bluesky", context, settings, payload)


def record_key(key: str, built: datetime | None) -> str:
    """A timestamp identifier (https://atproto.com/specs/tid) that only this action has.

    Its time is that of the images, to the second, as feeds are sorted by it; the rest is taken from ``key``.
    """
    moment = int((built or datetime(2026, 1, 1, tzinfo=UTC)).timestamp())
    fraction, clock = int(key[:12], 16) % 1_000_000, int(key[12:16], 16) % 1024
    number = (moment * 1_000_000 + fraction) << 10 | clock
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(60, -1, -5))


def facets(text: str) -> list[dict[str, object]]:
    """What makes the addresses in ``text`` links; their places are counted in bytes of UTF-8."""
    found: list[dict[str, object]] = []
    for link in _LINK.finditer(text):
        start = len(text[: link.start()].encode())
        place = {"byteStart": start, "byteEnd": start + len(link[0].encode())}
        feature = {"$type": "app.bsky.richtext.facet#link", "uri": link[0]}
        found.append({"index": place, "features": [feature]})
    return found


@hookimpl
def relman_executors() -> tuple[BlueskyExecutor]:
    """The one that writes posts."""
    return (BlueskyExecutor(),)


class Existing(RelmanError):
    """There is a record of our key, with another text or time."""


class Account(msgspec.Struct, frozen=True):
    """The account as its server answers to a login: who it is, and a token for some hours."""

    did: str
    token: str


class BlueskyExecutor:
    """Writes a record once. ``remote_id`` is its address."""

    kind = "bluesky"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`post to the Bluesky account of news`."""
        return f"post to the Bluesky account of `{action.channel}`"

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """The record of our key. Anybody may read it."""
        found = _record(action, reader, reader.settings(BlueskySettings).handle.lstrip("@"), action.text("rkey"))
        return _receipt(action, ReceiptState.ADOPTED, found) if found else None

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Log in and write the record, where there is none of that key."""
        account = _login(action, writer)
        record = _post(action, writer)
        if reply := _reply(action, writer):
            record["reply"] = reply
        try:
            written = _put(action, writer, account, record, {"swapRecord": None})
        except Existing as error:  # of another run that was faster: `probe` finds it
            raise AnswerLost(error.message) from error
        return _receipt(action, ReceiptState.DONE, written)

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """The record is there and says what we say."""
        posted = _URI.fullmatch(receipt.remote_id or "")
        found = _record(action, reader, posted[1], posted[2]) if posted else None
        if found is None:
            raise NotFound(f"the post of channel `{action.channel}` is not there")
        if under(found, "value", "text") != action.text("text"):
            raise Malformed(f"the post of channel `{action.channel}` says something else")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Write the record anew, with the time and the thread that it has."""
        posted = _URI.fullmatch(receipt.remote_id or "")
        before = _record(action, writer, posted[1], posted[2]) if posted else None
        if posted is None or before is None:
            return None
        kept = {key: value for key in ("createdAt", "reply") if (value := under(before, "value", key)) is not None}
        account = _login(action, writer)
        written = _put(action, writer, account, {**_post(action, writer), **kept}, {}, posted[2])
        return _receipt(action, ReceiptState.DONE, written, detail=EDITED)

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Delete the record; one that is gone already is no error to the server."""
        posted = _URI.fullmatch(receipt.remote_id or "")
        if posted is None:
            return None
        account = _login(action, writer)
        request = {"repo": account.did, "collection": COLLECTION, "rkey": posted[2]}
        _call(action, writer, "com.atproto.repo.deleteRecord", request, account)
        return Receipt.of(action, ReceiptState.DONE, detail="deleted")


def _post(action: Action, reader: ChannelReader) -> dict[str, object]:
    text = action.text("text")
    record: dict[str, object] = {
        "$type": COLLECTION,
        "text": text,
        "createdAt": reader.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "langs": list(reader.settings(BlueskySettings).languages[:3]),
    }
    if links := facets(text):
        record["facets"] = links
    if isinstance(card := action.payload.get("card"), Mapping):
        record["embed"] = {"$type": "app.bsky.embed.external", "external": dict(card)}
    return record


def _reply(action: Action, reader: ChannelReader) -> Mapping[str, object] | None:
    """Where the earlier post stands, and where its thread begins; `None` where it is gone."""
    earlier = _URI.fullmatch(str(action.payload.get("reply_to", "")))
    found = _record(action, reader, earlier[1], earlier[2]) if earlier else None
    if found is None:
        return None
    parent = {"uri": found["uri"], "cid": found["cid"]}
    root = under(found, "value", "reply", "root")
    return {"root": root if isinstance(root, dict) else parent, "parent": parent}


def _record(action: Action, reader: ChannelReader, repo: str, rkey: str) -> Mapping[str, Any] | None:
    """A record of an account, with its ``uri``, ``cid`` and ``value``; `None` where there is none."""
    query = urlencode({"repo": repo, "collection": COLLECTION, "rkey": rkey})
    answer = reader.get(f"{_server(reader)}/xrpc/com.atproto.repo.getRecord?{query}")
    found = fields(answer)
    if answer.status == 400 and found.get("error") == "RecordNotFound":
        return None
    _check(action, answer, reading=True)
    return _checked(action, found)


def _checked(action: Action, found: Mapping[str, Any]) -> Mapping[str, Any]:
    if not _URI.fullmatch(str(found.get("uri"))) or not _HASH.fullmatch(str(found.get("cid"))):
        raise Malformed(f"the server of channel `{action.channel}` names the post `{printable(found.get('uri'))}`")
    return found


def _login(action: Action, writer: ChannelWriter) -> Account:
    settings = writer.settings(BlueskySettings)
    password = writer.reveal(settings.password).strip()
    request = {"identifier": settings.handle.lstrip("@"), "password": password}
    answer = _surely(action, writer, "com.atproto.server.createSession", request)
    if answer is None:
        raise Passing(f"the server of channel `{action.channel}` did not answer the login")
    did, token = answer.get("did"), answer.get("accessJwt")
    if not isinstance(did, str) or not _DID.fullmatch(did) or not isinstance(token, str) or not token.isascii():
        raise Malformed(f"the server of channel `{action.channel}` does not say who logged in")
    conceal(token)
    return Account(did, token)


def _put(
    action: Action,
    writer: ChannelWriter,
    account: Account,
    record: Mapping[str, object],
    condition: Mapping[str, object],
    rkey: str | None = None,
) -> Mapping[str, Any]:
    """Write a record. Raises `AnswerLost` where no try was answered, or where one is there already."""
    request = {"repo": account.did, "collection": COLLECTION, "rkey": rkey or action.text("rkey"), "record": record}
    answer = _surely(action, writer, "com.atproto.repo.putRecord", {**request, **condition}, account)
    if answer is None:
        raise AnswerLost(f"the server of channel `{action.channel}` did not answer")
    return _checked(action, answer)


def _surely(
    action: Action, writer: ChannelWriter, name: str, request: Mapping[str, object], account: Account | None = None
) -> Mapping[str, Any] | None:
    """The answer to what may be done any number of times; `None` where no try was answered."""
    for _ in range(TRIES):
        try:
            return _call(action, writer, name, request, account)
        except AnswerLost:
            continue
    return None


def _call(
    action: Action, writer: ChannelWriter, name: str, request: Mapping[str, object], account: Account | None = None
) -> Mapping[str, Any]:
    headers = {"Content-Type": "application/json"}
    if account:
        headers["Authorization"] = f"Bearer {account.token}"
    content = json.dumps(request, ensure_ascii=False).encode()
    answer = writer.send("POST", f"{_server(writer)}/xrpc/{name}", content=content, headers=headers)
    if answer.status == 400 and fields(answer).get("error") == "InvalidSwap":
        raise Existing(f"the server of channel `{action.channel}` has another post of that key already")
    _check(action, answer)
    return fields(answer)


def _check(action: Action, answer: HttpResponse, *, reading: bool = False) -> None:
    words = printable(f"{fields(answer).get('error', '')} {fields(answer).get('message', '')}".strip())
    who = f"the server of channel `{action.channel}`"
    check(answer, who, words or body(answer), hint=_HINT if answer.status == 401 else None, reading=reading)


def _server(reader: ChannelReader) -> str:
    return reader.settings(BlueskySettings).url.rstrip("/")


def _receipt(action: Action, state: ReceiptState, record: Mapping[str, Any], detail: str | None = None) -> Receipt:
    did, _, rkey = record["uri"].removeprefix("at://").split("/")
    url = f"https://bsky.app/profile/{quote(did, safe=':')}/post/{quote(rkey)}"
    return Receipt.of(action, state, remote_id=record["uri"], url=url, sha256=text_sha256(action), detail=detail)
