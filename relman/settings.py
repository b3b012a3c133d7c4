"""The types that tables of relman.toml are made of, for the core and for plugins alike."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SECRET_KEYS = frozenset({"token", "key", "password", "secret", "webhook"})
"""Keys whose value must be named (`{ env = "NAME" }`), never written into the file."""

STREAM_KEYS = frozenset({"streams", "latest", "prerelease"})
"""Keys of channels that name streams: each has to be one that there is."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Table(BaseModel):
    """A table: unknown keys are faults, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Secret(Table):
    """The *name* of an environment variable that holds a secret; the value is read only where it is used."""

    env: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        parts = re.findall(r"([0-9]+)([smhdw])", value)
        if not parts or "".join(a + b for a, b in parts) != value:
            raise ValueError(f"`{value}` is not a duration: write `30s`, `20m`, `12h`, `3d` or `1w`")
        try:
            return timedelta(seconds=sum(int(count) * _UNITS[unit] for count, unit in parts))
        except OverflowError as error:
            raise ValueError(f"`{value}` is longer than can be counted") from error
    if isinstance(value, bool) or not isinstance(value, timedelta):
        raise ValueError(f'`{value}` is not a duration: write it with its unit, in quotes, such as `"3d"`')
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""A length of time, written `30s`, `20m`, `12h`, `3d`, `1w` or joined (`1d12h`)."""


class ChannelSettings(Table):
    """What every `[[publish]]` and `[[announce]]` table has. ``streams`` empty means all."""

    type: str
    name: str = ""
    streams: tuple[str, ...] = ()
    template: str | None = None
    required: bool = False
    timeout: Duration = timedelta(seconds=30)


class PublishSettings(ChannelSettings):
    """What tables have of channels that publish the whole notes at an address of their own."""

    def page(self, version: str) -> str | None:
        """Where people will find the notes of ``version``, known before they stand there; `None` where nobody will."""
        return None
