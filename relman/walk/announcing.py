"""What a release says to people after it was made: posts that were left out, corrected, taken back.

Also what a post is told beside its text: where the whole notes stand, and which post it follows up.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from relman.boundary import guarded
from relman.config import Config
from relman.errors import (
    AnswerLost,
    ConfigError,
    NotFound,
    NotShown,
    Passing,
    PluginError,
    RelmanError,
    StalePlan,
    UsageError,
)
from relman.hookspecs import Executor, Slot
from relman.ledger.protocol import Session
from relman.model.changelog import Changelog, Section
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Correction, Receipt, ReceiptState, Record, RecordState
from relman.model.release import Release
from relman.model.streams import OnFailure, Stream
from relman.settings import PublishSettings
from relman.walk.acting import Outcome, act, state_so_far
from relman.walk.settings import SettingsOf
from relman.walk.trying import WAITS, Tools

if TYPE_CHECKING:
    from relman.render import Banner

log = logging.getLogger(__name__)

NOTE = "note"
"""The section that `--note` writes."""
TRIES = 3
"""How often an edit or a withdrawal is asked for whose answer was lost: both can be repeated."""
IN_ADDRESSES = ("project", "stream", "version", "previous", "major")
"""What `[changelog] page` may be made from."""
UNSAID = frozenset({"reply_to", "since", "measured"})
"""What a payload has beside what is said: the post above, where to look for it, what it measures."""
TEXTS = ("title", "text", "body")
"""What a payload has of words, in the order in which people read them."""


# ------------------------------------------------------------------------------------------- what a post is told


def page_of(
    config: Config, slots: tuple[Slot, ...], stream: Stream, version: str, fill: Callable[[str], str]
) -> str | None:
    """Where the whole notes will stand: `[changelog] page`, else at the first channel of `[[publish]]` that knows.

    ``fill`` fills in a template of an address. Raises `ConfigError` where what comes out is no address of the web.
    """
    if config.notes.page:
        from relman.render.escaping import url  # texts load much, and not every command has any

        page = url(fill(config.notes.page))
        if page is None:
            raise ConfigError(f"{config.where}: `[changelog] page` makes no address: `{config.notes.page}`")
        return page
    settings = SettingsOf(config, slots, stream)
    for slot in slots:
        if slot.kind == "publish" and issubclass(slot.model, PublishSettings):
            for table in settings(slot.model):
                if found := table.page(version):
                    return found
    return None


def followed_up(
    release: Release, records: Iterable[Record], plan_of: Callable[[Record], Plan | None]
) -> Mapping[str, Receipt]:
    """By channel, the posts on the newest release of the source stream that had the images of ``release``.

    Nothing of one that no longer stands, and no post that was taken back. ``records`` are those of the source stream,
    the newest first.
    """
    wanted = {(candidate.variant.name, candidate.image.digest) for candidate in release.candidates}
    for record in records:
        had = {(variant.name, variant.digest) for variant in record.variants}
        if record.state is RecordState.FINISHED and record.rollback is None and wanted <= had:
            plan = plan_of(record)
            posted = ((action, record.receipt(action.key)) for action in (plan.actions if plan else ()))
            return {
                action.channel: receipt
                for action, receipt in posted
                if action.channel and action.stage is Stage.ANNOUNCE and receipt and receipt.stands
            }
    return {}


def with_note(changelog: Changelog, note: str | None) -> Changelog:
    """``changelog`` with ``note`` for its handwritten introduction, instead of an earlier one; as it is without."""
    if note is None:
        return changelog
    own = Section(NOTE, 0, "From the maintainers", note)
    return replace(changelog, sections=(own, *(section for section in changelog.sections if section.id != NOTE)))


def made_again(plan: Plan, config: Config, pinned: Callable[[Plan], Release]) -> Release:
    """The release of ``plan``, to write posts about. Raises `NotFound` where its images, or a variant, are gone."""
    hint = "what was planned can be posted all the same: `--channel NAME`"
    configured = {variant.name for variant in config.variants}
    if gone := [variant.name for variant in plan.variants if variant.name not in configured]:
        raise NotFound(f"{config.where} has no variant `{gone[0]}` any more: nothing new can be written", hint=hint)
    try:
        return pinned(plan)
    except NotFound as error:
        raise NotFound(f"{error.message}: nothing new can be written about it", hint=hint) from error


def banner(record: Record) -> Banner | None:
    """What is said above everything where a release no longer stands."""
    from relman.render import Banner

    if (why := record.withdrawn) is None:
        return None
    return Banner(record.state.replace("-", " "), why.at, why.by, why.reason)


# --------------------------------------------------------------------------------------------- what is left to do


class Post(msgspec.Struct, frozen=True):
    """One action of a channel, as it was planned, with what came of it. ``now`` is what it would say today."""

    planned: Action
    receipt: Receipt | None
    now: Action | None = None

    @property
    def channel(self) -> str:
        """The channel's name."""
        return self.planned.channel or ""

    @property
    def corrected(self) -> bool:
        """Whether it would say something else now than it was last made to say."""
        if self.now is None or self.receipt is None:
            return False
        if self.receipt.edited:
            return self.receipt.edited.sha256 != payload_digest(self.now)
        return payload_digest(self.now) != payload_digest(self.planned)


def payload_digest(action: Action) -> str:
    """The hash of all that an action says, in whatever order a plan has it; neither its place nor its room is said."""
    said = {name: value for name, value in action.payload.items() if name not in UNSAID}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def require_made(record: Record, plan: Plan | None, *, new: bool) -> Plan:
    """The plan of a release that may be announced. ``new`` says whether there would be posts that nobody has seen."""
    if plan is None:
        raise UsageError(
            f"`{record.version}` was imported, or has no plan on record: relman cannot know what to post",
            hint="`relman records show` says where it was published",
        )
    finish = f"finish it: `relman resume {record.id}`"
    tags = [action for action in plan.actions if action.stage <= Stage.SEAL]
    moved = all((known := record.receipt(action.key)) is not None and known.settled for action in tags)
    if record.state is RecordState.INTENDED or not moved:
        raise UsageError(f"the tags of `{record.version}` have not all moved", hint=finish)
    if new and record.state in (RecordState.YANKED, RecordState.ROLLED_BACK):
        raise UsageError(
            f"`{record.version}` is {record.state}: nothing new is announced of it",
            hint=f"`relman announce {record.version} --edit` corrects what was posted, `--withdraw` takes it back",
        )
    return plan


def require_unchanged(shown: Record, held: Record) -> None:
    """Raises `StalePlan` where somebody acted on a release between what was ``shown`` and now that it is ``held``.

    A person answers a question for as long as it takes. "It is not there" says nothing of a post sent meanwhile.
    """
    before, after = ({receipt.key: receipt for receipt in record.receipts} for record in (shown, held))
    if (shown.state, before) == (held.state, after):
        return
    changed = next((receipt for key, receipt in after.items() if before.get(key) != receipt), None)
    what = f"`{changed.action}` is {changed.state} now" if changed else f"it is {held.state} now"
    raise StalePlan(
        f"somebody acted on `{held.version}` meanwhile: {what}", hint="the same command again shows how it stands"
    )


def posts_of(
    plan: Plan, record: Record, stages: Sequence[Stage], added: Iterable[Action], channels: Sequence[str]
) -> tuple[Post, ...]:
    """The posts of a release: those planned, and ``added`` of channels that came since, or as they would be now.

    Raises `UsageError` for a channel that has none.
    """
    now = {action.key: action for action in added if action.channel}
    planned = [action for action in plan.actions if action.channel]
    known = {action.key for action in planned}
    every = [*planned, *(action for key, action in now.items() if key not in known)]
    found = tuple(Post(a, record.receipt(a.key), now.get(a.key)) for a in every if a.stage in stages)
    names = {post.channel for post in found}
    for channel in channels:
        if channel not in names:
            listed = ", ".join(f"`{name}`" for name in sorted(names)) or "none"
            raise UsageError(f"`{plan.version}` has no post for a channel `{channel}`", hint=f"there are: {listed}")
    return tuple(post for post in found if not channels or post.channel in channels)


def left_out(posts: Iterable[Post]) -> tuple[Post, ...]:
    """Those that nobody has seen yet, as far as is known."""
    return tuple(post for post in posts if not (post.receipt and post.receipt.settled))


def standing(posts: Iterable[Post]) -> tuple[Post, ...]:
    """Those that people see."""
    return tuple(post for post in posts if post.receipt and post.receipt.stands)


# -------------------------------------------------------------------------------------------------- doing it


class CannotChange(RelmanError):
    """The channel can neither change nor take back what it posted: asking again changes nothing."""


class _Seen:
    """A session of a release of which nothing is in doubt: somebody looked."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def record(self) -> Record:
        return replace(self._session.record, elsewhere=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@dataclass
class Announcer:
    """Acts on the posts of one release, which ``session`` holds. ``by`` is who asked for it."""

    plan: Plan
    session: Session
    tools: Tools
    by: str
    came: list[tuple[Post, Receipt]] = field(default_factory=list)
    seen: bool = False
    """Whether somebody looked what became of the post at hand, so that no earlier try of it is in doubt."""

    def post(self, posts: Sequence[Post]) -> Outcome:
        """Post what was left out, as `relman resume` would: what is unknown is asked after, and not sent again."""
        settled = {receipt.key for receipt in self.session.record.receipts if receipt.settled}
        actions = [post.planned for post in posts]
        known = {action.key for action in actions}
        for action in actions:
            if missing := [key for key in action.needs if key not in known | settled]:
                target = next((a.target for a in self.plan.actions if a.key == missing[0]), missing[0])
                raise UsageError(f"`{action.target}` needs `{target}`, which is not done", hint="post that one, too")
        free = [replace(a, needs=tuple(key for key in a.needs if key not in settled)) for a in actions]
        session: Any = _Seen(self.session) if self.seen else self.session
        outcome = act(replace(self.plan, actions=tuple(free)), session, self.tools, OnFailure.FORWARD)
        receipts = {receipt.key: receipt for receipt in outcome.receipts}
        self.came += [(post, receipts[post.planned.key]) for post in posts]
        return outcome

    def again(self, post: Post) -> None:
        """Let a post whose end nobody knows be sent once more: somebody looked, and it is not there."""
        self._note(post, self._word(post, ReceiptState.FAILED, f"{self.by} says that it did not arrive"), quietly=True)
        self.seen = True

    def posted(self, post: Post, address: str | None) -> None:
        """Somebody looked, and it is there."""
        receipt = self._word(post, ReceiptState.DONE, f"{self.by} says that it arrived")
        self._note(post, replace(receipt, by=self.by, url=address or receipt.url))

    def skip(self, post: Post, reason: str) -> None:
        """Somebody said that it is to be left."""
        self._note(post, replace(self._word(post, ReceiptState.SKIPPED, reason), by=self.by))

    def edit(self, post: Post) -> None:
        """Let what was posted say what it would say now. Raises where that failed; safe to repeat."""
        assert post.receipt
        assert post.now
        found = self._asked("edit", post.now, post.receipt)
        if found is None:
            raise CannotChange(f"`{post.planned.target}` cannot be changed any more", hint="see docs/channels.md")
        correction = Correction(self.tools.clock(), self.by, payload_digest(post.now))
        kept = replace(
            post.receipt,
            remote_id=found.remote_id or post.receipt.remote_id,
            url=found.url or post.receipt.url,
            sha256=found.sha256 or post.receipt.sha256,
            edited=correction,
        )
        self._read_back(post.now, kept)
        self._note(post, kept)

    def withdraw(self, post: Post) -> None:
        """Take back what was posted. Raises where that failed; safe to repeat."""
        assert post.receipt
        if self._asked("undo", post.planned, post.receipt) is None:
            raise CannotChange(f"`{post.planned.target}` cannot be taken back", hint="see docs/channels.md")
        correction = Correction(self.tools.clock(), self.by)
        self._note(post, replace(post.receipt, state=ReceiptState.SKIPPED, detail="taken back", withdrawn=correction))

    def finish(self, contents: Callable[[], Mapping[str, bytes]]) -> Record:
        """Write what came of it. A release that was `partial` is finished once nothing required is left."""
        record = self.session.record
        state = record.state
        if state is RecordState.PARTIAL:
            state = state_so_far(self.plan, record.receipts)
        kept = contents() if state is RecordState.FINISHED and record.state is RecordState.PARTIAL else {}
        return self.session.finish(state, now=self.tools.clock(), contents=kept)

    def _asked(self, what: str, action: Action, receipt: Receipt) -> Receipt | None:
        executor: Executor[Any, Any] | None = self.tools.executors.get(action.kind)
        if executor is None:
            raise PluginError(f"no plugin carries out actions of the kind `{action.kind}`")
        call = getattr(executor, what, None)
        if call is None:
            return None
        writer = self.tools.writer(action, executor)
        for left in reversed(range(TRIES)):
            self.session.assure(now=self.tools.clock())
            try:
                found = guarded(f"`{action.target}` failed", call, action, receipt, writer)
                return found if isinstance(found, Receipt) else None
            except AnswerLost as error:
                if not left:
                    raise Passing(error.message, hint="the same command again settles it") from error
                log.debug("%s: asking again", error.message)
        raise AssertionError("the last try returns or raises")

    def _read_back(self, action: Action, receipt: Receipt) -> None:
        """Raises where the service does not show the correction: that is not noted then, and can be asked for again."""
        executor = self.tools.executors[action.kind]
        reader = self.tools.reader(action, executor)
        for pause in WAITS:
            try:
                return guarded(f"`{action.target}` failed", executor.verify, action, receipt, reader)
            except NotShown as error:
                log.debug("%s: looking again in %g s", error.message, pause)
                self.tools.sleep(pause)
        return guarded(f"`{action.target}` failed", executor.verify, action, receipt, reader)

    def _word(self, post: Post, state: ReceiptState, detail: str) -> Receipt:
        known = post.receipt or Receipt.of(post.planned, state)
        return replace(known, state=state, detail=detail)

    def _note(self, post: Post, receipt: Receipt, *, quietly: bool = False) -> None:
        receipt = replace(receipt, at=self.tools.clock())
        self.session.assure(now=receipt.at)
        self.session.receipt(receipt)
        if not quietly:
            self.came.append((post, receipt))
            self.tools.report(post.planned, receipt)
