"""Posts for people: what a channel would get, what that measures, what it links to, and where it would go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import click

from relman.cli.output import printable
from relman.config import ChannelTable
from relman.curl import shown
from relman.errors import UsageError
from relman.model.plan import Action, Plan
from relman.redaction import redact
from relman.settings import SECRET_KEYS

_ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'|]+")
_NO_PLACE = SECRET_KEYS | {"type", "name", "streams", "template", "required", "timeout", "headers", "limit", "expect"}
_TEXTS = ("title", "text", "body")


def in_plan(plan: Plan, channel: str) -> tuple[Action, ...]:
    """What a plan posts to ``channel``. Raises `UsageError` that lists those it has."""
    found = tuple(action for action in plan.actions if action.channel == channel)
    if not found:
        known = ", ".join(f"`{action.channel}`" for action in plan.actions if action.channel) or "none"
        raise UsageError(f"the plan posts nothing to `{channel}`", hint=f"its channels: {known}")
    return found


def whole(actions: Sequence[Action], table: ChannelTable | None) -> str:
    """A post as it would be sent; below a line of its own what people want to know of it."""
    return "\n\n".join("\n".join(_lines(action, table)) for action in actions)


def _lines(action: Action, table: ChannelTable | None) -> Iterator[str]:
    texts = [str(action.payload[name]) for name in _TEXTS if action.payload.get(name)]
    yield from (redact(text) for text in texts)
    yield ""
    yield click.style(f"── {action.target}{'' if action.required else ', not required'}", dim=True)
    if said := _measured(action):
        yield f"measures  {said}"
    else:
        longest = max(texts, key=len, default="")
        yield f"measures  {len(longest):,} characters, {len(longest.encode()):,} bytes; the channel names no limit"
    links = dict.fromkeys(link.rstrip(".,;:!?*_`\\") for text in texts for link in _ADDRESS.findall(text))
    yield f"links to  {', '.join(map(printable, links)) if links else 'nothing'}"
    if beneath := action.payload.get("reply_to"):
        where = beneath.get("url") if isinstance(beneath, Mapping) else beneath
        yield f"follows   {printable(str(where))}"
    if table is not None:
        yield f"goes to   {printable(', '.join(_place(table))) or table.type}"


def _place(table: ChannelTable) -> Iterator[str]:
    """What the configuration says of where it goes: no secret, and of a variable its name."""
    yield table.type
    for key, value in table.table.items():
        if key in _NO_PLACE:
            continue
        if isinstance(value, Mapping):
            if set(value) == {"env"}:
                yield f"{key} = ${value['env']}"
        elif isinstance(value, str) and value.startswith(("http://", "https://")):
            yield f"{key} = {shown(value)}"
        else:
            yield f"{key} = {value}"


def _measured(action: Action) -> str | None:
    from relman.render.measuring import measured  # texts load much, and not every command has any

    return measured(action)


def size(action: Action) -> str:
    """What a line of a plan says of a text's size beside its limit; empty where there is none."""
    said = _measured(action) if action.channel else None
    return f" ({said})" if said else ""
