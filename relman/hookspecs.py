"""The hooks, in the order of the walk: the manual for plugin authors.

configure → resolve → inspect → compose → gate → plan, then promote → publish → announce → finish.

A plugin implements any of these with `@hookimpl` (from `relman.plugin`) and is found by an entry point of the group
``relman``. Hooks *describe*: they return frozen values and change nothing. The core decides, and executors act.

Rules for all hooks: an answer is any iterable, generators included; `None` and empty mean "nothing from me"; answers
of several plugins are collected, and the core orders them. An exception ends the run with an error that names the
plugin and the hook (in `relman_gates` it closes the gate instead). A hook is called in exactly one place.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec
import pluggy
from pydantic import BaseModel

from relman.mail import MailServer
from relman.model.changelog import Changelog, Commit, Section
from relman.model.contents import Capability, Contents, Unavailable
from relman.model.diff import Diff
from relman.model.gates import GateResult
from relman.model.holds import Hold
from relman.model.observed import Observations
from relman.model.oci import Platform, PlatformImage, Reference
from relman.model.plan import Action
from relman.model.record import Receipt, Record, Unknown
from relman.model.release import Release
from relman.model.signature import SignatureRule
from relman.model.streams import GateRule, Stream
from relman.registry.protocol import RegistryReader, RegistryWriter

hookspec = pluggy.HookspecMarker("relman")
hookimpl = pluggy.HookimplMarker("relman")

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

ANSWER_LIMIT = 1024 * 1024
"""How much of an answer a channel reads where its plugin does not ask for more, in bytes."""


class Settings(Protocol):
    """How a context hands a plugin its own tables."""

    def __call__(self, model: type[M], /) -> tuple[M, ...]:
        """Every table of the configuration that a `Slot` with this ``model`` declared, in the order of the file.

        For `publish` and `announce`, only those that apply to the stream at hand.
        """


# ------------------------------------------------------------------------------------------------- configure


class Slot(msgspec.Struct, frozen=True):
    """A table of relman.toml that the plugin understands.

    ``kind`` and ``type``: `[[publish]]` or `[[announce]]` with that ``type``, a gate of that type, or
    (``kind = "plugin"``) the table `[plugins.TYPE]`. ``model`` is a pydantic model: unknown keys and bad values are
    reported with their line, at once with all other faults. Models of channels derive from `ChannelSettings`.
    """

    kind: Literal["publish", "announce", "gate", "plugin"]
    type: str
    model: builtins.type[BaseModel]

    @property
    def table(self) -> str:
        """Which table, in a word: `announce.irc`, `gate.smoke`, `plugin.get`."""
        return f"{self.kind}.{self.type}"


@hookspec
def relman_settings() -> Iterable[Slot]:  # type: ignore[empty-body]  # specifications have no body
    """Say which tables of the configuration the plugin understands.

    Empty: none. Example::

        @hookimpl
        def relman_settings():
            return [Slot("announce", "irc", IrcSettings)]
    """


# --------------------------------------------------------------------------------------------------- inspect


class ImageUnderRead(msgspec.Struct, frozen=True):
    """One platform's image, as a source of contents is handed it: where it is, what it is, and a reader.

    ``image`` is `None` for a file given by hand (`sbom:FILE`), which ``reference`` then names. ``wants`` are the
    capabilities beyond the list of packages that this run has a use for (changelog, files): a source that has them
    reads them only then, since they are many times larger than the list. Opening a blob through ``registry`` may wait
    until others have read theirs: memory is bounded for all sources together.
    """

    reference: Reference
    image: PlatformImage | None
    registry: RegistryReader
    wants: frozenset[Capability] = frozenset()


class ContentsSource(Protocol):
    """A place where an image's list of contents may be found.

    ``name`` is what `[packages] sources` orders. ``capabilities`` are what it can know at best: who can know what a run
    wants may come first. The `Contents` that it returns say what they do know. One that begins by asking what is
    attached to the image may have ``asks_referrers = True``: that is asked for while the image is still looked at.
    """

    name: str
    capabilities: frozenset[Capability]

    def read(self, image: ImageUnderRead) -> Contents | Unavailable:
        """The contents, or why this source does not have them. Broken data is `Unavailable` too, with what broke."""


class ContentsContext(msgspec.Struct, frozen=True):
    """``ecosystems``: those that count beside the system's own package database (`[packages] ecosystems`)."""

    ecosystems: frozenset[str]
    settings: Settings


@hookspec
def relman_contents_sources(context: ContentsContext) -> Iterable[ContentsSource]:  # type: ignore[empty-body]
    """Offer sources of contents.

    They are asked in the order of `[packages] sources`; the next one when one is `Unavailable`; when none serves, the
    error lists every reason. Example::

        @hookimpl
        def relman_contents_sources(context):
            return [PackagesTxt()]
    """


# --------------------------------------------------------------------------------------------------- compose


class CommitsContext(msgspec.Struct, frozen=True):
    """A range of commits: those reachable from ``after`` and not from ``before``, in the repository ``checkout``."""

    before: str
    after: str
    checkout: Path


@hookspec
def relman_commits(context: CommitsContext) -> Iterable[Commit]:  # type: ignore[empty-body]
    """List the commits of the range, newest first, without leaving any out: the core applies the rules.

    Called once for each pair of revisions. Raise `NotFound` for a revision that is not there: an empty answer says
    that nothing was committed.
    """


class CommandRenderer(Protocol):
    """Writes command lines for readers to copy."""

    def __call__(self, source: str, /, **values: object) -> str:
        """``source``, a template, filled in: each value as one word of the shell, quoted where it has to be.

        Raises `ConfigError` for a value that is not there, and for one with control characters.
        """


class SectionsContext(msgspec.Struct, frozen=True):
    """What sections are written from.

    ``release`` and ``stream`` are `None` for two images given by hand. ``diffs`` are all of them, exact or not.
    ``note`` is the text of `--note`, or `None`. ``records`` are those of the stream, newest first. ``command`` writes
    command lines. ``checkout`` is the git repository, and `None` where it does not have the revisions of the images;
    ``highlights`` and ``known_issues`` are the folders in it that hold what people wrote, `None` where the
    configuration names none.
    """

    release: Release | None
    diffs: tuple[Diff, ...]
    commits: tuple[Commit, ...]
    records: tuple[Record, ...]
    note: str | None
    settings: Settings
    stream: Stream | None
    command: CommandRenderer
    checkout: Path | None = None
    highlights: str | None = None
    known_issues: str | None = None


@hookspec
def relman_sections(context: SectionsContext) -> Iterable[Section]:  # type: ignore[empty-body]
    """Add titled parts, in Markdown, to the notes.

    Sections are ordered by rank, then id; those below 50 stand before the packages. Example::

        @hookimpl
        def relman_sections(context):
            yield Section("size", rank=60, title="Size", markdown=f"{len(context.diffs)} images were compared.")
    """


# ------------------------------------------------------------------------------------------------------ gate


class HttpResponse(msgspec.Struct, frozen=True):
    """An answer of a service: its body is cut, at one MiB where nobody asked for more."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Web(Protocol):
    """Reads over HTTP, for gates that ask somebody else."""

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: timedelta = timedelta(seconds=30),
        limit: int = 1024 * 1024,
    ) -> HttpResponse:
        """GET, retried where that may help, for ``timeout`` at most; any status is an answer.

        A body longer than ``limit`` bytes is cut there. Redirects are followed; ``headers`` stay with the host that
        they were meant for. Raises `Passing` where no answer came.
        """

    def reveal(self, secret: object, /) -> str:
        """The value of a `Secret`, hidden in every output from now on. Raises `Unequipped` where it is not set."""


def _as_written(rule: GateRule, model: type[M]) -> M:
    return model.model_validate(dict(rule.table))


class GatesContext(msgspec.Struct, frozen=True):
    """What gates decide from: nothing here can write. ``rules`` are the gates that the stream asks for.

    ``read`` says whether the images were read: `relman status` does not, and ``contents`` and ``diffs`` are then empty.
    ``contents`` are the packages of each candidate by variant and platform; they and ``diffs`` may lack those of lists
    that were given by hand (`--sbom`) and are out of reach later on. ``observed`` is what `relman observe` noted,
    ``source`` the stream that the candidates come from, `None` where builds write the stream directly. ``holds`` are
    those of the stream and of its variants. ``signature`` is what `[signature]` asks for, `None` where there is no such
    table. ``by`` says who asks for the release. ``folder`` is where relative paths begin and programs run, ``checkout``
    the git repository, ``known_issues`` the folder in it, ``repository_url`` its page. ``tables`` reads a rule's table.
    ``remembered`` is what plugins found out about a digest in this run, each under a key of its own: what takes long is
    not done again before the first write.
    """

    release: Release
    stream: Stream
    rules: tuple[GateRule, ...]
    diffs: tuple[Diff, ...]
    registry: RegistryReader
    records: tuple[Record, ...]
    now: datetime
    settings: Settings
    holds: tuple[Hold, ...] = ()
    signature: SignatureRule | None = None
    read: bool = True
    contents: Mapping[tuple[str, Platform], Contents] = msgspec.field(default_factory=dict)
    observed: Observations = msgspec.field(default_factory=Observations)
    source: Stream | None = None
    web: Web | None = None
    by: Callable[[], str] = str
    folder: Path = Path()
    checkout: Path | None = None
    known_issues: str | None = None
    repository_url: str | None = None
    tables: Callable[[GateRule, type[Any]], Any] = _as_written
    remembered: MutableMapping[object, object] = msgspec.field(default_factory=dict)

    def of_type(self, type: str) -> tuple[GateRule, ...]:
        """The rules that are asked of gates of that type."""
        return tuple(rule for rule in self.rules if rule.type == type)

    def asked(self, type: str, model: builtins.type[M]) -> tuple[tuple[GateRule, M], ...]:
        """The rules of that type, each with its table; a rule that is only a name has what ``model`` has by itself."""
        return tuple((rule, self.tables(rule, model)) for rule in self.of_type(type))


@hookspec
def relman_gates(context: GatesContext) -> Iterable[GateResult]:  # type: ignore[empty-body]
    """Say whether each candidate may enter the stream.

    Answer for each rule in ``context.rules`` that is yours, for every candidate, bound to its digest. A rule that
    nobody answers for a candidate is `absent`, and an exception is `error`: both stay closed. Where ``context.read`` is
    false, a gate that needs what is inside the images answers `skipped`. Called when planning and again before the
    first write. Example::

        @hookimpl
        def relman_gates(context):
            for rule in context.of_type("no-fridays"):
                for candidate in context.release.candidates:
                    friday = context.now.weekday() == 4
                    state, reason = (State.PENDING, "it is Friday") if friday else (State.PASSED, "it is not Friday")
                    yield candidate.gate(rule.name, state, reason, needs="another day")
    """


# ------------------------------------------------------------------------------------------------------ plan


class Renderer(Protocol):
    """Renders texts of the release at hand; the project's templates come before the built-in ones."""

    def render(self, template: str, /, **values: object) -> str:
        """The template filled in with the release's standard values and ``values``. Raises `ConfigError`."""

    def inline(self, source: str, /, **values: object) -> str:
        """The same for a template given as text."""

    def path(self, source: str, /) -> str:
        """The same for a path: what is filled in can add neither a folder nor a `..`."""

    def notes(
        self,
        format: str = "markdown",
        *,
        limit: int | None = None,
        measure: str | Callable[[str], int] = "characters",
        full: str | None = None,
    ) -> str:
        """The release notes in ``markdown``, ``classic``, ``html``, ``text``, ``bbcode`` or ``json``.

        Where they measure more than ``limit``, whole parts are left out in a stated order; a sentence says so, with
        a link to ``full``, the address of the whole text. ``measure`` counts as the channel does: ``characters``,
        ``bytes`` (UTF-8), ``utf16`` units, ``graphemes``, ``mastodon`` (graphemes, an address as 23 of them),
        ``telegram`` (``utf16`` units without the tags), or by a function of your own.
        Raises `UsageError` where the limit leaves room for nothing.
        """

    def post(
        self,
        template: str,
        /,
        *,
        format: str = "markdown",
        limit: int | None = None,
        measure: str | Callable[[str], int] = "characters",
        **values: object,
    ) -> str:
        """A message from ``template``, which is Markdown, as the channel reads it.

        ``format``: ``markdown``, ``discord``, ``text``, ``html``, ``telegram``, ``slack`` or ``bbcode``. Mentions ping
        nobody in any of them. The template finds ``detail``, 3 by itself: where the message measures more than
        ``limit``, it is rendered again with 2, 1 and 0, and the first that fits is taken. ``values`` come beside the
        standard ones. Raises `ConfigError` that names the template, the limit and what it measures where none fits,
        and for a message that is empty.
        """


class ActionsContext(msgspec.Struct, frozen=True):
    """What actions are planned from. ``signature`` is what `[signature]` asks for.

    ``page`` is the address where the whole notes will stand, `None` where there is none: posts link to it. ``earlier``
    are, by channel, the posts on the release that this one follows up: the same images in the stream that they come
    from. A channel that can may post its own beneath. ``registry`` is there to look at: what is attached to the images,
    for example; `None` where there is none to ask.
    """

    release: Release
    stream: Stream
    changelog: Changelog
    renderer: Renderer
    settings: Settings
    signature: SignatureRule | None = None
    page: str | None = None
    earlier: Mapping[str, Receipt] = msgspec.field(default_factory=dict)
    registry: RegistryReader | None = None


@hookspec
def relman_actions(context: ActionsContext) -> Iterable[Action]:  # type: ignore[empty-body]
    """Plan effects, as data.

    Keys come from `action_key(release.id, target)`. Actions run by stage, each after what it ``needs``. Texts are
    rendered now: what was reviewed is what is posted.
    """


# -------------------------------------------------------------------------------- promote, publish, announce


class ChannelReader(Protocol):
    """Reads on behalf of one channel, whose table of the configuration it holds."""

    @property
    def now(self) -> datetime:
        """The time of this run, in UTC."""

    def settings(self, model: type[M], /) -> M:
        """The channel's table as it is configured now."""

    def reveal(self, secret: object, /) -> str:
        """The value of a `Secret`, hidden in every output from now on. Raises `Unequipped` where it is not set."""

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, limit: int = ANSWER_LIMIT) -> HttpResponse:
        """GET, retried where that may help; any status is an answer, cut after ``limit`` bytes."""

    def read_file(self, path: str) -> bytes | None:
        """A file, from the configuration's folder; `None` where there is none."""


class ChannelWriter(ChannelReader, Protocol):
    """Writes on behalf of one channel."""

    def send(
        self,
        method: str,
        url: str,
        *,
        content: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """One request that may change something; any status is an answer.

        Sent again only where it was surely not carried out (no connection, 429, 403 or 503 with Retry-After). Raises
        `AnswerLost` where it was sent and no whole answer came.
        """

    def write_file(self, path: str, content: bytes) -> None:
        """Replace a file, from the configuration's folder, atomically."""

    def mail(self, server: MailServer, sender: str, recipients: Sequence[str], message: bytes, /) -> Mapping[str, str]:
        """Hand a mail in; answers with the recipients that the server refused, and why, where it took others.

        Raises `AnswerLost` where it was sent and no answer came, `Passing` and `RelmanError` where it was not taken.
        """

    def outside(self, write: Callable[[], T], /) -> T:
        """Run what writes by itself, as a library does, for as long as the channel may take.

        Raises `AnswerLost` when that is over: it may go on, and nobody waits for it.
        """

    def change_file(self, path: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file by what ``change`` makes of it, with no other run in between.

        It is given `None` where there is no file, and answers `None` to leave everything as it is.
        """

    def released(self, reference: Reference, *, size: int) -> bytes:
        """A blob of ``size`` bytes by its digest, such as an SBOM, from a repository of this project's images.

        Raises `NotFound` where it is gone, and `RelmanError` for a repository that the configuration does not have.
        """


R = TypeVar("R", contravariant=True)
W = TypeVar("W", contravariant=True)


class Executor(Protocol[R, W]):
    """Knows how to do one kind of action. The reader and writer are narrow: a registry's for tags, a channel's else.

    Called in this order: `probe`; where it answers `None`, `apply` and `verify`. After a lost answer, `probe` again.
    `relman audit` asks `probe` and `verify` of what was published long before: `Malformed` or `NotFound` says that it
    was edited or taken away.
    """

    kind: str
    scope: Literal["registry", "channel"]
    # One whose actions of the stages `promote` and `seal` may go a few at a time says so: `concurrent = True`. Its
    # methods are then called from several threads. One that needs more than a registry has
    # `ready(actions, reader) -> Iterable[str]`: asked before the first write, for all actions of its kind that are
    # left, it says how they would be done, and raises `Unequipped` where they cannot.

    def describe(self, action: Action) -> str:
        """One line for people."""

    def probe(self, action: Action, reader: R) -> Receipt | Unknown | None:
        """Is it so already? A receipt with state `adopted`; `None` for no; `Unknown` where the world cannot tell."""

    def apply(self, action: Action, writer: W) -> Receipt:
        """Do it. Raises where it was refused, `AnswerLost` where it may or may not have happened."""

    def verify(self, action: Action, receipt: Receipt, reader: R) -> None:
        """Read back; raises where the world does not show it."""

    def undo(self, action: Action, receipt: Receipt, writer: W) -> Receipt | None:
        """The way back, or `None` where there is none."""


class ChannelExecutor(Executor[ChannelReader, ChannelWriter], Protocol):
    """Executors of channels can also correct what they posted. Their `undo` takes it back."""

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Let what ``receipt`` is about say what ``action`` says now; `None` where the service cannot change it.

        Asked again after a lost answer: it must not post anything new.
        """


RegistryExecutor = Executor[RegistryReader, RegistryWriter]


@hookspec
def relman_executors() -> Iterable[RegistryExecutor | ChannelExecutor]:  # type: ignore[empty-body]
    """Offer an executor for each kind of action that the plugin plans. Two for one kind are an error."""


WALK: tuple[Callable[..., object], ...] = (
    relman_settings,
    relman_contents_sources,
    relman_commits,
    relman_sections,
    relman_gates,
    relman_actions,
    relman_executors,
)
"""Every hook, in the order in which the walk calls them."""
