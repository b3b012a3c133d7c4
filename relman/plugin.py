"""What plugins import, beside `relman.model` and `relman.testing`. The manual is `relman.hookspecs`."""

from relman.compact.attached import attached_contents, lists_among
from relman.compact.inband import embedded_contents
from relman.errors import AnswerLost, ConfigError, Malformed, NotFound, Passing, RelmanError, StalePlan, Unequipped
from relman.hookspecs import (
    ActionsContext,
    ChannelReader,
    ChannelWriter,
    CommandRenderer,
    CommitsContext,
    ContentsContext,
    ContentsSource,
    Executor,
    GatesContext,
    HttpResponse,
    ImageUnderRead,
    Renderer,
    SectionsContext,
    Slot,
    hookimpl,
)
from relman.registry.protocol import Manifest, RegistryReader, RegistryWriter
from relman.settings import ChannelSettings, Duration, Secret, Table

__all__ = [
    "ActionsContext",
    "AnswerLost",
    "ChannelReader",
    "ChannelSettings",
    "ChannelWriter",
    "CommandRenderer",
    "CommitsContext",
    "ConfigError",
    "ContentsContext",
    "ContentsSource",
    "Duration",
    "Executor",
    "GatesContext",
    "HttpResponse",
    "ImageUnderRead",
    "Malformed",
    "Manifest",
    "NotFound",
    "Passing",
    "RegistryReader",
    "RegistryWriter",
    "RelmanError",
    "Renderer",
    "Secret",
    "SectionsContext",
    "Slot",
    "StalePlan",
    "Table",
    "Unequipped",
    "attached_contents",
    "embedded_contents",
    "hookimpl",
    "lists_among",
]
