"""How a context hands a plugin its own tables, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import msgspec
from pydantic import BaseModel

from relman.config import Config
from relman.config.channels import read_table
from relman.hookspecs import Slot
from relman.model.streams import GateRule, Stream

M = TypeVar("M", bound=BaseModel)


class SettingsOf(msgspec.Struct, frozen=True):
    """`hookspecs.Settings` for one stream, or for no stream in particular."""

    config: Config
    slots: tuple[Slot, ...]
    stream: Stream | None = None

    def __call__(self, model: type[M], /) -> tuple[M, ...]:
        """Every table that a slot with this ``model`` declared."""
        return tuple(
            read_table(table, model, what=what)
            for slot in self.slots
            if slot.model is model
            for what, table in self._tables(slot)
        )

    def _tables(self, slot: Slot) -> Iterable[tuple[str, Mapping[str, object]]]:
        if slot.kind == "plugin":
            if slot.type in self.config.plugins:
                yield f"[plugins.{slot.type}]", self.config.plugins[slot.type]
        elif slot.kind == "gate":
            for rule in (self.stream.gates or ()) if self.stream else ():
                if rule.type == slot.type:
                    yield f"gate `{rule.name}`", rule.table
        else:
            for channel in self.config.channels:
                fits = self.stream is None or channel.applies(self.stream.name)
                if fits and (channel.kind, channel.type) == (slot.kind, slot.type):
                    yield f"channel `{channel.name}`", {**channel.table, "name": channel.name}


def table_of_gate(rule: GateRule, model: type[M]) -> M:
    """A gate's table as its model."""
    return read_table(rule.table, model, what=f"gate `{rule.name}`")
