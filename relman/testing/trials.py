"""One executor with a world of its own: what the contract of `relman.testing.executors` is tried upon.

A trial plans as the core plans, and acts with the core's own code, upon a ledger in a folder. A `Blow` strikes one of
its writes: the process dies there, the answer is lost, the service refuses.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from relman import config as configuration
from relman.channel import Channel, ReadingChannel
from relman.config import Config
from relman.documents.changelog import changelog_bytes
from relman.documents.plan import plan_bytes, plan_digest
from relman.errors import ConfigError, RelmanError
from relman.hookspecs import ActionsContext, Executor, Slot
from relman.http import Client, Retry
from relman.ledger import FolderLedger
from relman.model.changelog import Changelog
from relman.model.plan import Action, Plan
from relman.model.record import Receipt
from relman.model.release import Release
from relman.model.streams import OnFailure
from relman.redaction import RedactingFilter
from relman.registry.protocol import RegistryWriter
from relman.registry.readonly import ReadOnly
from relman.render import NotesRenderer, Templates
from relman.render.sample import sample
from relman.walk.acting import Outcome, act
from relman.walk.planning import make_plan, record_of
from relman.walk.rehearsing import ID, sample_release
from relman.walk.settings import SettingsOf
from relman.walk.trying import Tools

RELEASE = ID
PAGE = "https://example.org/releases/sample-20260705"
TITLE = "sample-20260705: Composed *OS* <b>ü</b> & @everyone @here \U0001f469\u200d\U0001f4bb"
"""Something of what strangers write into titles: markup, a ping, an emoji of three."""

WRITES = frozenset({"send", "mail", "outside", "write_file", "change_file", "put_blob", "put_manifest", "copy"})
"""What writers write with."""

_HEAD = """\
[project]
name = "Composed OS"

[registry]
prefix = "ghcr.io/composed"

[[variants]]
name = "os"

[streams.stable]
tags = ["stable"]
versions = ["stable-{date}"]

"""
_NOON = datetime(2026, 7, 6, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process died here. Nothing may catch it and carry on."""


class Blow(msgspec.Struct, frozen=True):
    """What strikes a write: the ``number``-th of a run, before or ``after`` it was carried out.

    ``strike`` is given what was written and either raises or gives what is answered instead. Number 0 strikes after
    the executor's work, just before its receipt is noted.
    """

    number: int
    after: bool
    strike: Callable[[tuple[object, ...], Mapping[str, object]], object]


class Tally(msgspec.Struct):
    """Counts the writes of a run, and strikes where it is told."""

    blow: Blow | None = None
    count: int = 0
    _lock: threading.Lock = msgspec.field(default_factory=threading.Lock)

    def around(self, write: Callable[..., Any]) -> Callable[..., Any]:
        """``write``, counted and struck."""

        def struck(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                self.count += 1
                hit = self.blow if self.blow and self.blow.number == self.count else None
            if hit and not hit.after:
                return hit.strike(arguments, named)
            answer = write(*arguments, **named)
            return hit.strike(arguments, named) if hit else answer

        return struck


class Struck:
    """A writer whose writes are counted and struck. All else is the writer's own."""

    def __init__(self, writer: object, tally: Tally) -> None:
        self._writer = writer
        self._tally = tally

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._writer, name)
        return self._tally.around(found) if name in WRITES else found


class _Dying:
    """A session of a process that dies before it can note a receipt."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def receipt(self, receipt: Receipt) -> None:
        if receipt.settled:
            raise Killed
        self._session.receipt(receipt)


@dataclass
class Trial:
    """Executors by kind, and the world that they act upon.

    ``plan`` plans the actions anew. ``reader`` and ``writer`` give what an action's executor is handed. ``effects``
    counts what came of it in the world (posts, files, tags that moved), and ``expected`` is what one release makes of
    it: 0 for an executor that only looks. ``secrets`` must not be seen anywhere. ``changed`` is an action as
    `relman announce --edit` would have it, with another text. ``sends`` are functions that write without the writer,
    each with the object that it is an attribute of: a plugin that speaks another protocol than HTTP.
    """

    executors: Mapping[str, Executor[Any, Any]]
    plan: Callable[[], Sequence[Action]]
    reader: Callable[[Action], Any]
    writer: Callable[[Action], Any]
    effects: Callable[[], int]
    folder: Path
    expected: int = 1
    secrets: tuple[str, ...] = ()
    changed: Callable[[Action], Action] = lambda action: with_other_text(action)
    sends: tuple[tuple[object, str], ...] = ()
    now: datetime = _NOON
    said: list[str] = field(default_factory=list)
    """Everything that was logged, as `--verbose` prints it, and every error."""
    tallied: int = 0
    """How many writes the last run made."""

    def __post_init__(self) -> None:
        # All are required: what failed is tried again, as `relman announce` does for the others.
        actions = [replace(action, required=True) for action in self.plan()]
        self.planned: Plan = make_plan(
            _release(), _changelog(), (), actions, "notes", config=_CONFIG, changed=True, now=self.now
        )

    @property
    def ledger(self) -> FolderLedger:
        """Where receipts go."""
        return FolderLedger(self.folder / "ledger")

    @property
    def written(self) -> tuple[bytes, ...]:
        """What lies in the ledger: plan, record, journal."""
        return tuple(path.read_bytes() for path in sorted((self.folder / "ledger").rglob("*")) if path.is_file())

    def executor(self, action: Action) -> Executor[Any, Any]:
        """The one that carries out ``action``."""
        return self.executors[action.kind]

    @contextmanager
    def struck(self, blow: Blow | None = None) -> Iterator[Tally]:
        """The writes of a run, counted and struck, also those that go around the writer."""
        tally = Tally(blow)
        with ExitStack() as stack:
            for owner, name in self.sends:
                own = getattr(owner, name)
                stack.callback(setattr, owner, name, own)
                setattr(owner, name, tally.around(own))
            yield tally

    def run(self, blow: Blow | None = None) -> Outcome | None:
        """Carry out the plan as `relman apply` does, or what is left of it; `None` where it was finished before.

        Each run is another process, an hour after the one before. Raises `Killed` where the blow kills.
        """
        self.now += timedelta(hours=1)
        content = plan_bytes(self.planned)
        record = record_of(self.planned, plan_digest(content))
        session = self.ledger.begin(
            record, content, changelog_bytes(self.planned.changelog), host="a", process=os.getpid(), now=self.now
        )
        if session.finished:
            return None
        with self.struck(blow) as tally, self.listening():
            tools = Tools(
                executors=self.executors,
                reader=lambda action, _: self.reader(action),
                writer=lambda action, _: Struck(self.writer(action), tally),
                clock=lambda: self.now,
                report=lambda action, _: self.said.append(self.executor(action).describe(action)),
                sleep=lambda _: None,
            )
            dying = blow is not None and blow.number == 0
            outcome = act(self.planned, _Dying(session) if dying else session, tools, OnFailure.FORWARD)
            self.tallied = tally.count
        session.finish(outcome.state, now=self.now)
        return outcome

    def lose_journal(self) -> None:
        """The next run is on another machine, where nobody knows what this one tried."""
        shutil.rmtree(self.folder / "ledger" / ".journal", ignore_errors=True)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Keep what is logged, as it would be printed, and the words of errors."""
        heard = self.said

        class Ear(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                heard.append(self.format(record))

        ear, logger = Ear(), logging.getLogger("relman")
        ear.addFilter(RedactingFilter())
        before = logger.level
        logger.addHandler(ear)
        logger.setLevel(logging.DEBUG)
        try:
            yield
        except RelmanError as error:
            heard += [error.message, error.hint or ""]
            raise
        finally:
            logger.removeHandler(ear)
            logger.setLevel(before)


def with_other_text(action: Action) -> Action:
    """``action`` with every text of its payload made another, as after a correction."""
    texts = {name: value for name, value in action.payload.items() if name in ("text", "body") and value}
    return replace(action, payload={**action.payload, **{name: f"{text} (corrected)" for name, text in texts.items()}})


@contextmanager
def channel_trial(
    plugin: Any,
    table: str,
    *,
    folder: Path,
    effects: Callable[[], int],
    environ: Mapping[str, str] = MappingProxyType({}),
    earlier: Mapping[str, Receipt] = MappingProxyType({}),
    page: str | None = PAGE,
    **more: Any,
) -> Iterator[Trial]:
    """A trial of a plugin's channel. ``plugin`` has the hooks (a module), ``table`` is as relman.toml has it.

    ``environ`` are the variables that the table names; their values count as secrets. ``more`` are fields of `Trial`.
    """
    slots: tuple[Slot, ...] = tuple(plugin.relman_settings())
    file = folder / "relman.toml"
    file.write_text(_HEAD + table, encoding="utf-8")
    try:
        config = configuration.load(file, slots)
    except ConfigError as error:
        raise AssertionError("\n".join((error.message, *error.problems))) from error
    with Client(retry=Retry(attempts=2, connections=1, wait_initial=0, wait_jitter=0)) as http:

        def of(action: Action) -> tuple[Any, ...]:
            channel = next(each for each in config.channels if each.name == action.channel)
            return channel, folder, http, trial.now, environ

        trial = Trial(
            executors={executor.kind: executor for executor in plugin.relman_executors()},
            plan=lambda: tuple(plugin.relman_actions(_context(config, slots, page, earlier))),
            reader=lambda action: ReadingChannel(*of(action)),
            writer=lambda action: Channel(*of(action)),
            effects=effects,
            folder=folder,
            secrets=more.pop("secrets", tuple(environ.values())),
            **more,
        )
        yield trial


def registry_trial(
    executor: Any,
    action: Action,
    registry: RegistryWriter,
    *,
    folder: Path,
    effects: Callable[[], int],
    **more: Any,
) -> Trial:
    """A trial of an executor that acts upon a registry. ``more`` are fields of `Trial`."""
    return Trial(
        executors={executor.kind: executor},
        plan=lambda: (action,),
        reader=lambda _: ReadOnly(registry),
        writer=lambda _: registry,
        effects=effects,
        folder=folder,
        **more,
    )


def _context(
    config: Config, slots: tuple[Slot, ...], page: str | None, earlier: Mapping[str, Receipt]
) -> ActionsContext:
    stream, changelog = config.stream("stable"), _changelog()
    renderer = NotesRenderer(Templates(), changelog, {"id": RELEASE})
    settings = SettingsOf(config, slots, stream)
    return ActionsContext(_release(), stream, changelog, renderer, settings, page=page, earlier=earlier)


def _changelog() -> Changelog:
    return replace(sample("Composed OS", "stable", ("os",)), title=TITLE)


def _release() -> Release:
    return sample_release("Composed OS", "stable", ("os",))


_CONFIG = configuration.without_file(Path())
