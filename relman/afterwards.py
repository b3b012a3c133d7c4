"""A release after it was made: what is posted later, what can be stated of it, and what people say against it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import getpid
from typing import TYPE_CHECKING

from msgspec.structs import replace

from relman.errors import NotFound
from relman.lifecycle import Lifecycle
from relman.model.holds import Hold
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Receipt, Record, RecordState, Withdrawal
from relman.model.streams import Stream
from relman.walk import announcing, statement, withdrawing

if TYPE_CHECKING:  # what verifies signatures is loaded where one is verified
    from relman.signing.keys import PublicKey

# ------------------------------------------------------------------------------------------------------- posts


def posts(
    walk: Lifecycle,
    record: Record,
    stages: Sequence[Stage],
    channels: Sequence[str] = (),
    *,
    today: bool = False,
    new: bool = True,
    note: str | None = None,
) -> tuple[Plan, tuple[announcing.Post, ...]]:
    """A release's plan and its posts: as planned and, where there are channels that came since or it is asked
    for, as they would be ``today``, with ``note`` for a handwritten introduction. ``new``: there may be new ones.
    """
    config = walk.config
    plan = announcing.require_made(record, walk.instruments.plan_of(record), new=new)
    stream = config.stream(plan.stream)
    planned = {action.channel for action in plan.actions}
    added = tuple(
        one
        for one in config.channels
        if new and not plan.rollback and one.applies(stream.name) and one.name not in planned
        if not channels or one.name in channels
    )
    actions: tuple[Action, ...] = ()
    if today or added:
        release = announcing.made_again(plan, config, walk.instruments.resolver.pinned)
        changelog = announcing.with_note(plan.changelog, note)
        said = announcing.banner(record)
        renderer = walk.instruments.renderer(changelog, plan.id, overrides=plan.overrides, withdrawn=said)
        channels_now = config.channels if today else added
        actions = walk.actions(release, changelog, renderer, replace(config, channels=channels_now))
    return plan, announcing.posts_of(plan, record, stages, actions, channels)


@contextmanager
def announcer(
    walk: Lifecycle, record: Record, plan: Plan, report: Callable[[Action, Receipt], None]
) -> Iterator[announcing.Announcer]:
    """Acts on posts of a release, which nobody else does meanwhile; what came of it is written at the end.

    Raises `StalePlan` where somebody acted on it since ``record`` was read.
    """
    session = walk.ledger.reopen(record, host=socket.gethostname(), process=getpid(), now=walk.clock())
    made = announcing.Announcer(plan, session, walk.tools(plan, session, report), walk.person())
    try:
        announcing.require_unchanged(record, session.record)
        yield made
    finally:
        made.finish(lambda: walk.instruments.contents_to_keep(plan))


# -------------------------------------------------------------------------------------------------- statements


def promotion_statement(walk: Lifecycle, record: Record, variant: str) -> bytes:
    """The promotion of a variant as an in-toto statement. Raises `NotFound` where nothing was promoted."""
    plan = walk.instruments.plan_of(record)
    if plan is None:
        raise NotFound(f"`{record.version}` has no plan on record, so nothing can be stated of it")
    return statement.statement_bytes(plan, record, variant)


def signed_statement(walk: Lifecycle, record: Record, variant: str, key: PublicKey) -> bytes:
    """The statement that is attached to a variant's image, as the DSSE envelope that the owner of ``key`` signed.

    Raises `NotFound` where none is attached, `Malformed` where it is not signed with that key or says otherwise.
    """
    from relman.walk.attested import signed_envelope

    return signed_envelope(walk.instruments.reader, record, variant, key)


# ------------------------------------------------------------------------------------------- what people say


def yankable(walk: Lifecycle, stream: Stream, version: str) -> Record:
    """The release that `yank` would mark. Raises `NotFound`, and what says why for one that was not released."""
    return withdrawing.of_release(walk.ledger.records(stream.name), stream, version, walk.instruments.plan_of)


def yank(walk: Lifecycle, record: Record, reason: str, *, by: str) -> Record:
    """Write that a release must no longer be used. Nothing is removed, and no tag moves: see `plan_rollback`."""
    why = Withdrawal(reason, by, walk.clock())
    return walk.ledger.withdraw(record, RecordState.YANKED, why, host=socket.gethostname(), now=why.at)


def holding(walk: Lifecycle, stream: Stream, record: Record) -> tuple[str, ...]:
    """The variants whose tag in ``stream`` holds the image of ``record`` now."""
    held = {(one.name, one.holds) for one in walk.instruments.resolver.held(stream, None, None) if one.holds}
    return tuple(one.name for one in record.variants if (one.name, one.digest) in held)


def held_by(walk: Lifecycle, stream: Stream, variant: str | None, reason: str, *, by: str) -> Hold:
    """The hold that would let nothing enter ``stream``. Raises `UsageError` for a variant that is not there."""
    return withdrawing.hold_of(walk.config, stream, variant, reason, by, walk.clock())
