"""The plan of a rollback: the walk once more, with a release of images that were released before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from relman.errors import RelmanError
from relman.lifecycle import Lifecycle
from relman.model.gates import OverrideRequest
from relman.model.plan import Plan, Stage
from relman.model.rollback import Rollback
from relman.model.streams import Stream
from relman.walk import composing, gating, planning
from relman.walk import rollback as going_back
from relman.walk.comparing import pairs_of_release
from relman.walk.tags import TagBook


def plan_rollback(
    walk: Lifecycle,
    stream: Stream,
    *,
    to: str | None = None,
    reason: str | None = None,
    by: str,
    overrides: Sequence[OverrideRequest] = (),
) -> Plan | None:
    """The way back to the release ``to``, else to the one before; `None` where that was gone already.

    Tags move, and channels that announce are told so; nothing is published, and what cannot be compared holds up
    nothing. Raises `PartlyDone` while another release of ``stream`` is half carried out.
    """
    config, instruments, reader = walk.config, walk.instruments, walk.instruments.reader
    records = walk.ledger.records(stream.name)
    planning.refuse_half_done(stream, records, instruments.plan_of)
    current = going_back.require_promoting(stream, going_back.held_now(records))
    target = going_back.destination(stream, records, current, to)
    if target is None:
        return None
    way = going_back.WayBack(config, reader, TagBook(reader), instruments.plan_of, walk.clock())
    release = way.release(stream, current, target)
    try:
        compared = walk.inspect(pairs_of_release(release))
        changelog = composing.compose_without_commits(compared, release, config, instruments.templates)
    except RelmanError as error:
        changelog = going_back.bare_changelog(release, error.message)
    gates = walk.gate(release, None, rollback=True)
    by_hand, unused = gating.granted(overrides, gates, walk.clock())
    renderer = instruments.renderer(changelog, release.id, overrides=by_hand)
    withdrawal = Rollback(current.id, target.id, reason, by)
    left = way.left(stream, current, release.candidates)
    telling, said = instruments.rollback_renderer(changelog, release, withdrawal, left)
    heard = replace(config, channels=tuple(one for one in config.channels if one.kind == "announce"))
    made = planning.make_plan(
        replace(release, assumed=release.assumed + unused),
        changelog,
        gates,
        [one for one in walk.actions(release, said, telling, heard) if one.stage is not Stage.PUBLISH],
        renderer.notes("markdown"),
        config=config,
        changed=release.changed,
        now=max(walk.clock(), current.created + timedelta(seconds=1)),
        overrides=by_hand,
        rollback=withdrawal,
    )
    return walk.stating(made, stream)
