"""The walk, whole: what each phase is given, what it hands on, and the only place that asks the plugins.

observe:  configure → resolve → inspect → compose → gate → plan      only reads, safe to repeat
act:      promote → publish → announce → finish                      only from a plan, one action at a time, resumable
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from relman import config as configuration
from relman import hookspecs
from relman.cache import ContentsCache
from relman.config import Config
from relman.errors import ConfigError, GateClosed, NotFound, PartlyDone, RelmanError
from relman.hands import Hands
from relman.hookspecs import ContentsSource, Slot
from relman.http import Client
from relman.instruments import Instruments
from relman.ledger.protocol import Ledger, Session
from relman.manager import Plugins
from relman.model.audit import Audit, Finding
from relman.model.changelog import Changelog, Commit
from relman.model.check import Fault
from relman.model.contents import Capability
from relman.model.gates import GateResult, Override, OverrideRequest, State
from relman.model.holds import Hold
from relman.model.oci import Image, Platform, Reference, Repository, Transport
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Receipt, Record, RecordState, Withdrawal
from relman.model.release import Release
from relman.model.rollback import Rollback
from relman.model.state import StreamState, VariantState, still_held
from relman.model.streams import Stream
from relman.registry.protocol import RegistryReader, RegistryWriter
from relman.registry.remembering import Informed, Telling
from relman.walk import acting, announcing, composing, gating, observing, planning, rehearsing, statement, withdrawing
from relman.walk import rollback as going_back
from relman.walk.attested import signed_envelope
from relman.walk.audit.auditing import audit
from relman.walk.audit.facts import Facts, Images, Published
from relman.walk.audit.rhythm import standstill
from relman.walk.compared import Compared
from relman.walk.comparing import Comparer, Pair, pairs_of_release
from relman.walk.given import GivenSbom, stand_ins
from relman.walk.inspect import Inspector
from relman.walk.pinning import require_whole, with_moves
from relman.walk.probing import Ability, Probes, probe, require_able
from relman.walk.settings import SettingsOf, table_of_gate
from relman.walk.tags import TagBook
from relman.walk.trying import Tools
from relman.walk.wholeness import check_whole
from relman.web import ReadingWeb

if TYPE_CHECKING:  # half of what a command imports is for texts, which `relman diff` has none of
    from relman.render import Banner, NotesRenderer, Templates
    from relman.signing.keys import PublicKey


def configure(plugins: Plugins, file: Path | None, folder: Path) -> tuple[Config, tuple[Slot, ...]]:
    """The configuration, and the tables that plugins understand. Without a ``file``, what holds without one."""
    slots = tuple(slot for answer in plugins.ask(hookspecs.relman_settings) for slot in answer.values)
    return (configuration.load(file, slots) if file else configuration.without_file(folder)), slots


T = TypeVar("T")

Given = Mapping[str, Mapping[Platform, str]]
"""SBOMs that stand for candidates: files by variant and platform."""


@dataclass(frozen=True)
class Lifecycle:
    """One run's walk. Everything from ``resolve`` to ``plan`` only reads; ``apply`` carries out a plan.

    ``person`` says who runs it, for what is written down about them.
    """

    config: Config
    slots: tuple[Slot, ...]
    plugins: Plugins
    registry: RegistryWriter
    http: Client
    ledger: Ledger
    clock: Callable[[], datetime]
    cache: ContentsCache | None = None
    person: Callable[[], str] = getpass.getuser

    # --------------------------------------------------------------------------------------------- observe

    def resolve(self, stream: Stream, *, since: str | None = None) -> Release:
        """A stream's candidates, pinned, each with what it follows."""
        return self.instruments.resolver.release(stream, since=since)

    def published(self, stream: Stream, version: str, *, since: str | None = None) -> Release:
        """A release that the stream had before."""
        return self.instruments.resolver.published(stream, version, since=since)

    def inspect(self, pairs: Sequence[Pair]) -> tuple[Compared, ...]:
        """What is inside each image, compared with what was inside its predecessor."""
        return self.notes_comparer.compare(pairs)

    def stand_in(self, given: Sequence[GivenSbom], release: Release, comparer: Comparer | None = None) -> Given:
        """Let SBOMs on disk stand for what is inside candidates, for ``comparer`` or else for `inspect`.

        Their names by variant and platform. Raises `UsageError`, `NotFound`, and `Malformed` for one that cannot be.
        """
        inspector = (comparer or self.notes_comparer).inspector
        found: dict[str, dict[Platform, str]] = {}
        for one in stand_ins(given, release):
            file = Reference(Repository(Transport.SBOM, "", str(Path(one.given.file).absolute())))
            inspector.stand_in(file, one.given.file, one.image)
            found.setdefault(one.given.variant, {})[one.image.platform] = one.given.file
        return found

    def compose(
        self, compared: Sequence[Compared], release: Release | None = None, *, note: str | None = None
    ) -> Changelog:
        """The changelog of what was compared: commits, sections, groups, and the count that nothing was lost."""
        stream = self.config.stream(release.stream) if release else None
        commits = composing.read_commits(compared, self._ask_commits, self.config)
        context = hookspecs.SectionsContext(
            release=release,
            diffs=tuple(one.diff for one in compared if one.diff),
            commits=commits.ruled,
            records=self.ledger.records(stream.name) if stream else (),
            note=note,
            settings=SettingsOf(self.config, self.slots, stream),
            stream=stream,
            command=self.templates.command,
            checkout=None if commits.missing else self.config.checkout,
            highlights=self.config.notes.highlights,
            known_issues=self.config.notes.known_issues,
        )
        sections = self._asked(hookspecs.relman_sections, context)
        return composing.compose_changelog(compared, release, commits, sections, self.config, self.templates)

    def gate(
        self, release: Release, compared: Sequence[Compared] | None, *, rollback: bool = False
    ) -> tuple[GateResult, ...]:
        """Whether each candidate may enter the stream. A plugin that fails closes the gates it may have answered.

        ``compared`` is `None` where nobody read the images, as for a look at where things stand.
        """
        stream = self.config.stream(release.stream)
        rules = gating.rules_of(stream, signed=self.config.signed, rollback=rollback)
        context = hookspecs.GatesContext(
            release=release,
            stream=stream,
            rules=rules,
            diffs=tuple(one.diff for one in compared or () if one.diff),
            registry=self.reader,
            records=self.ledger.records(stream.name),
            now=self.clock(),
            settings=SettingsOf(self.config, self.slots, stream),
            holds=tuple(hold for hold in self.ledger.holds() if hold.stream == stream.name),
            signature=self.config.signature,
            read=compared is not None,
            contents={(one.name, one.platform): one.after for one in compared or ()},
            observed=self.ledger.observed(),
            source=self.config.stream(stream.source) if stream.source else None,
            web=ReadingWeb(self.http),
            by=self.person,
            folder=self.config.folder,
            checkout=self.config.checkout,
            known_issues=self.config.notes.known_issues,
            repository_url=self.config.repository_url,
            tables=table_of_gate,
            remembered=self._remembered,
        )
        answers: list[GateResult] = []
        failures: dict[str, str] = {}
        for name in self.plugins.answering("relman_gates"):
            try:
                answers += self.plugins.ask_one(name, hookspecs.relman_gates, context=context).values
            except RelmanError as error:
                failures[name] = error.message
        return gating.settle(rules, release.candidates, answers, failures)

    def plan(
        self,
        stream: Stream,
        *,
        since: str | None = None,
        note: str | None = None,
        overrides: Sequence[OverrideRequest] = (),
        sboms: Sequence[GivenSbom] = (),
    ) -> Plan:
        """The release that ``stream`` would make now. Raises `PartlyDone` while another is half carried out."""
        self._refuse_half_done(stream)
        release = self.resolve(stream, since=since)
        given = self.stand_in(sboms, release)
        compared = self.inspect(pairs_of_release(release))
        changelog = self.compose(compared, release, note=note)
        gates = self.gate(release, compared)
        by_hand, unused = gating.granted(overrides, gates, self.clock())
        renderer = self.renderer(changelog, release.id, overrides=by_hand)
        made = planning.make_plan(
            replace(release, assumed=release.assumed + unused),
            changelog,
            gates,
            self._actions(release, changelog, renderer, self.config),
            renderer.notes("markdown"),
            config=self.config,
            changed=release.changed,
            now=self.clock(),
            overrides=by_hand,
            given=given,
        )
        return self._stating(made, stream)

    def plan_rollback(
        self,
        stream: Stream,
        *,
        to: str | None = None,
        reason: str | None = None,
        by: str,
        overrides: Sequence[OverrideRequest] = (),
    ) -> Plan | None:
        """The way back to the release ``to``, else to the one before; `None` where that was gone already.

        Tags move, and channels that announce are told so; nothing is published, and what cannot be compared holds up
        nothing.
        """
        records = self.ledger.records(stream.name)
        self._refuse_half_done(stream)
        current = going_back.require_promoting(stream, going_back.held_now(records))
        target = going_back.destination(stream, records, current, to)
        if target is None:
            return None
        way = going_back.WayBack(self.config, self.reader, TagBook(self.reader), self.instruments.plan_of, self.clock())
        release = way.release(stream, current, target)
        try:
            compared = self.inspect(pairs_of_release(release))
            changelog = composing.compose_without_commits(compared, release, self.config, self.templates)
        except RelmanError as error:
            changelog = going_back.bare_changelog(release, error.message)
        gates = self.gate(release, None, rollback=True)
        by_hand, unused = gating.granted(overrides, gates, self.clock())
        renderer = self.renderer(changelog, release.id, overrides=by_hand)
        withdrawal = Rollback(current.id, target.id, reason, by)
        left = way.left(stream, current, release.candidates)
        telling, said = self.instruments.rollback_renderer(changelog, release, withdrawal, left)
        heard = replace(self.config, channels=tuple(one for one in self.config.channels if one.kind == "announce"))
        made = planning.make_plan(
            replace(release, assumed=release.assumed + unused),
            changelog,
            gates,
            [one for one in self._actions(release, said, telling, heard) if one.stage is not Stage.PUBLISH],
            renderer.notes("markdown"),
            config=self.config,
            changed=release.changed,
            now=max(self.clock(), current.created + timedelta(seconds=1)),
            overrides=by_hand,
            rollback=withdrawal,
        )
        return self._stating(made, stream)

    def _stating(self, plan: Plan, stream: Stream) -> Plan:
        wanted = self.config.attach and stream.source is not None
        return statement.with_statements(plan, self.config.signing) if wanted else plan

    def _actions(
        self, release: Release, changelog: Changelog, renderer: NotesRenderer, config: Config
    ) -> tuple[Action, ...]:
        """What plugins would do for ``release``, with the channels of ``config``."""
        stream = self.config.stream(release.stream)
        settings = SettingsOf(config, self.slots, stream)
        page, earlier = None, {}
        if config.channels:
            page = announcing.page_of(config, self.slots, stream, release.version, partial(self._address, changelog))
            source = self.ledger.records(release.source) if release.source else ()
            earlier = dict(announcing.followed_up(release, source, self.instruments.plan_of))
        measuring = self.instruments.measuring(renderer)
        context = hookspecs.ActionsContext(
            release,
            stream,
            changelog,
            measuring,
            settings,
            self.config.signature,
            page,
            earlier,
            registry=self.reader,
        )
        return tuple(map(measuring.noting, self._asked(hookspecs.relman_actions, context)))

    def _address(self, changelog: Changelog, source: str) -> str:
        values = {name: getattr(changelog, name) for name in announcing.IN_ADDRESSES}
        return self.templates.address(source)(values)

    def rehearse(self) -> tuple[Fault, ...]:
        """What is wrong with the posts of channels, each rendered for a release that never was."""
        from relman.render.sample import sample

        names = tuple(variant.name for variant in self.config.variants) or ("os",)
        faults: list[Fault] = []
        for channel in self.config.channels:
            stream = next((name for name in self.config.streams if channel.applies(name)), None)
            if stream is None:
                continue
            made = sample(self.config.project, stream, names)
            release = rehearsing.sample_release(self.config.project, stream, names)
            try:
                alone = replace(self.config, channels=(channel,))
                self._actions(release, made, self.renderer(made, release.id), alone)
            except RelmanError as error:
                found = rehearsing.fault_of(error, channel.name, self.config.where)
                faults += [found] if found else []
        return tuple(faults)

    def state(self, stream: Stream) -> StreamState:
        """What the stream holds, what waits to enter it, and what is unfinished. Never fails for what is not there."""
        records = self.ledger.records(stream.name)
        released = self.instruments.resolver.last_finished(stream.name)
        gates: tuple[GateResult, ...] = ()
        release: Release | None = None
        problem: str | None = None
        try:
            release = self.resolve(stream)
            gates = self.gate(release, None)
        except (NotFound, ConfigError) as error:
            problem = error.message
        held = self.instruments.resolver.held(stream, release, released)
        return StreamState(
            name=stream.name,
            source=stream.source,
            variants=self._since(stream, held),
            released=released,
            unfinished=tuple(record for record in records if record.state in acting.UNFINISHED),
            gates=gates,
            problem=problem,
            holds=tuple(hold for hold in self.ledger.holds() if hold.stream == stream.name),
            yanked=still_held(records, held),
            stalled=() if problem else self._stalled(stream, gates),
        )

    def _stalled(self, stream: Stream, gates: Sequence[GateResult]) -> tuple[Finding, ...]:
        """What `relman audit` would say of the rhythm of ``stream``, and of the one that it promotes from."""
        source = (self.config.stream(stream.source),) if stream.source else ()
        shut = tuple(gate for gate in gates if not gate.opens and gate.state is not State.SKIPPED)
        facts = (
            Facts(
                self.config,
                one,
                self.ledger.records(one.name),
                (),
                self.ledger.observed(),
                self.instruments.resolver.tags,
                Images(self.instruments.told),
                self.reader,
                self._published,
                self.clock(),
                0,
                lambda asked: shut if asked.name == stream.name else (),
            )
            for one in (stream, *source)
            if one.expect
        )
        return tuple(answer for one in facts for answer in standstill(one) if isinstance(answer, Finding))

    def _closed(self, stream: Stream) -> tuple[GateResult, ...]:
        """The gates that keep out what waits, as far as that can be told without reading the images."""
        try:
            gates = self.gate(self.resolve(stream), None)
        except (NotFound, ConfigError):
            return ()
        return tuple(gate for gate in gates if not gate.opens and gate.state is not State.SKIPPED)

    @property
    def _published(self) -> Published:
        return Published(self.instruments.plan_of, lambda kind: self.hands.executors.get(kind), self.hands.eyes)

    def statement(self, record: Record, variant: str) -> bytes:
        """The promotion of a variant as an in-toto statement. Raises `NotFound` where nothing was promoted."""
        plan = self.instruments.plan_of(record)
        if plan is None:
            raise NotFound(f"`{record.version}` has no plan on record, so nothing can be stated of it")
        return statement.statement_bytes(plan, record, variant)

    def signed_statement(self, record: Record, variant: str, key: PublicKey) -> bytes:
        """The statement that is attached to a variant's image, as the DSSE envelope that the owner of ``key`` signed.

        Raises `NotFound` where none is attached, `Malformed` where it is not signed with that key or says otherwise.
        """
        return signed_envelope(self.reader, record, variant, key)

    def yankable(self, stream: Stream, version: str) -> Record:
        """The release that `yank` would mark. Raises `NotFound`, and what says why for one that was not released."""
        return withdrawing.of_release(self.ledger.records(stream.name), stream, version, self.instruments.plan_of)

    def yank(self, record: Record, reason: str, *, by: str) -> Record:
        """Write that a release must no longer be used. Nothing is removed, and no tag moves: see `plan_rollback`."""
        why = Withdrawal(reason, by, self.clock())
        return self.ledger.withdraw(record, RecordState.YANKED, why, host=socket.gethostname(), now=why.at)

    def holding(self, stream: Stream, record: Record) -> tuple[str, ...]:
        """The variants whose tag in ``stream`` holds the image of ``record`` now."""
        held = {(one.name, one.holds) for one in self.instruments.resolver.held(stream, None, None) if one.holds}
        return tuple(one.name for one in record.variants if (one.name, one.digest) in held)

    def held_by(self, stream: Stream, variant: str | None, reason: str, *, by: str) -> Hold:
        """The hold that would let nothing enter ``stream``. Raises `UsageError` for a variant that is not there."""
        return withdrawing.hold_of(self.config, stream, variant, reason, by, self.clock())

    def observe(self, streams: Sequence[Stream]) -> observing.Observed:
        """Note in the ledger what the tags of ``streams`` hold now: all that is ever written while looking."""
        return observing.observe(self.config, streams, TagBook(self.reader), self.ledger, self.clock())

    def audit(self, streams: Sequence[Stream], *, last: int | None) -> Audit:
        """Registry, records and observations compared; ``last``: how many earlier releases are asked after."""
        now, published = self.clock(), self._published
        return audit(self.config, streams, self.ledger, self.reader, published, now=now, last=last, closed=self._closed)

    def _since(self, stream: Stream, held: tuple[VariantState, ...]) -> tuple[VariantState, ...]:
        observed, now = self.ledger.observed(), self.clock()
        return tuple(
            replace(one, since=observed.first_seen(one.holds, stream.name, one.name, now=now)) if one.holds else one
            for one in held
        )

    def abilities(self, plan: Plan, known: Sequence[Receipt] = ()) -> tuple[Ability, ...]:
        """How what is left of ``plan`` would be done from this machine, and what keeps it from that."""
        hands = self.hands
        probes = Probes(hands.executors, hands.eyes, self.registry.require_push, self.instruments.signer)
        return probe(plan, known, probes)

    # ------------------------------------------------------------------------------------------------- act

    def apply(self, plan: Plan, report: Callable[[Action, Receipt], None]) -> tuple[Record, acting.Outcome | None]:
        """Carry out ``plan``: promote, publish, announce, finish. Without an outcome there was nothing left to do."""
        from relman.documents.changelog import changelog_bytes
        from relman.documents.plan import plan_bytes, plan_digest

        before = self.instruments.record(plan.id)
        if before and before.state is RecordState.FINISHED:
            return before, None
        planning.check_fresh(plan, self.config, self.reader, before.receipts if before else ())
        require_whole(plan, self.config)
        if plan.rollback and not (before and acting.begun(before.receipts)):
            going_back.check_target(plan, self.ledger.records(plan.stream))
        self.hands.check_channels(plan, before)
        require_able(self.abilities(plan, before.receipts if before else ()))
        gates = self._check_gates_again(plan, before)
        check_whole(plan, self.instruments.told, before.receipts if before else ())
        content = plan_bytes(plan)
        session = self.ledger.begin(
            replace(planning.record_of(plan, plan_digest(content)), gates=gates),
            content,
            changelog_bytes(plan.changelog),
            host=socket.gethostname(),
            process=getpid(),
            now=self.clock(),
        )
        if session.finished:
            return session.record, None
        try:
            return self._act(plan, session, self._tools(plan, session, report))
        except RelmanError as error:
            if not acting.begun(session.record.receipts):
                raise
            finish = f"finish it: `relman resume {plan.id}`"
            hint = f"{error.hint}; then {finish}" if error.hint else finish
            raise PartlyDone(f"`{plan.version}` is partly done: {error.message}", hint=hint) from error

    # ------------------------------------------------------------------------------------------- after it was made

    def posts(
        self,
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
        plan = announcing.require_made(record, self.instruments.plan_of(record), new=new)
        stream = self.config.stream(plan.stream)
        planned = {action.channel for action in plan.actions}
        added = tuple(
            one
            for one in self.config.channels
            if new and not plan.rollback and one.applies(stream.name) and one.name not in planned
            if not channels or one.name in channels
        )
        actions: tuple[Action, ...] = ()
        if today or added:
            release = announcing.made_again(plan, self.config, self.instruments.resolver.pinned)
            changelog = announcing.with_note(plan.changelog, note)
            renderer = self.renderer(changelog, plan.id, overrides=plan.overrides, withdrawn=announcing.banner(record))
            channels_now = self.config.channels if today else added
            actions = self._actions(release, changelog, renderer, replace(self.config, channels=channels_now))
        return plan, announcing.posts_of(plan, record, stages, actions, channels)

    @contextmanager
    def announcer(
        self, record: Record, plan: Plan, report: Callable[[Action, Receipt], None]
    ) -> Iterator[announcing.Announcer]:
        """Acts on posts of a release, which nobody else does meanwhile; what came of it is written at the end."""
        session = self.ledger.reopen(record, host=socket.gethostname(), process=getpid(), now=self.clock())
        announcer = announcing.Announcer(plan, session, self._tools(plan, session, report), self.person())
        try:
            yield announcer
        finally:
            announcer.finish(lambda: self.instruments.contents_to_keep(plan))

    def _tools(self, plan: Plan, session: Session, report: Callable[[Action, Receipt], None]) -> Tools:
        return Tools(
            executors=self.hands.executors,
            reader=self.hands.eyes,
            writer=self.hands.hands,
            clock=self.clock,
            report=report,
            filled=lambda action, record: statement.filled(plan, action, record, self.instruments.signer),
        )

    def _act(self, plan: Plan, session: Session, tools: Tools) -> tuple[Record, acting.Outcome]:
        outcome: acting.Outcome | None = None
        try:
            if plan.rollback:
                going_back.hold_stream(plan, self.ledger)
            acted = acting.act(plan, session, tools, self.config.stream(plan.stream).on_failure)
            if plan.rollback:
                going_back.conclude(plan, acted, self.ledger, host=socket.gethostname(), now=self.clock())
            outcome = acted
        finally:
            state = outcome.state if outcome else acting.state_after_exception(plan, session.record.receipts)
            over = state is RecordState.FINISHED
            kept = self.instruments.contents_to_keep(plan) if over else {}
            evidence = self.instruments.evidence_to_keep(plan) if over else {}
            record = session.finish(
                state, now=self.clock(), contents=kept, evidence=evidence, order=[action.key for action in plan.actions]
            )
        return record, outcome

    def _check_gates_again(self, plan: Plan, before: Record | None) -> tuple[GateResult, ...]:
        """Until something people follow was written: the gates as they are now, for the digests that the plan pins.

        Copies and verified signatures are no reason to let pass what was held or frozen since.
        """
        prepared = {action.key for action in plan.actions if action.stage is Stage.PREPARE}
        if before and any(receipt.settled and receipt.key not in prepared for receipt in before.receipts):
            return ()
        release = with_moves(self.instruments.resolver.pinned(plan), plan)
        if plan.rollback:
            return self._require_open(plan, self.gate(release, None, rollback=True))
        # An SBOM that stood for an image need not be on this machine.
        given = {(variant.name, platform) for variant in plan.variants for platform in variant.sboms}
        compared = self.notes_comparer.compare(pairs_of_release(release), optional=given)
        return self._require_open(plan, self.gate(release, compared))

    def _require_open(self, plan: Plan, gates: tuple[GateResult, ...]) -> tuple[GateResult, ...]:
        shut = gating.closed(gates, plan.overrides, self.clock())
        if shut:
            look = "status" if plan.rollback else "plan"  # only planning runs programs, and reads what is inside
            raise GateClosed(gating.explain(shut), hint=f"`relman {look} {plan.stream}` says what would open each gate")
        return gates

    # --------------------------------------------------------------------------------------- what they use

    @cached_property
    def instruments(self) -> Instruments:
        """What the phases look with."""
        return Instruments(self.config, self.registry, self.ledger, self.clock, self.cache, self._sources)

    @cached_property
    def hands(self) -> Hands:
        """What executors act with."""
        executors = partial(self.plugins.ask, hookspecs.relman_executors)
        eyes = Telling(self.reader, self.instruments.told)
        writer = Informed(self.registry, self.instruments.told)
        return Hands(self.config, writer, eyes, self.http, self.clock, executors)

    @cached_property
    def _remembered(self) -> dict[object, object]:
        """What gates found out in this run."""
        return {}

    @property
    def reader(self) -> RegistryReader:
        """The registry, to look at."""
        return self.instruments.reader

    @property
    def templates(self) -> Templates:
        """The project's templates before the built-in ones."""
        return self.instruments.templates

    @property
    def comparer(self) -> Comparer:
        """Reads and compares lists of packages, and nothing beside them."""
        return self.instruments.comparer

    @property
    def notes_comparer(self) -> Comparer:
        """Reads what notes are made from."""
        return self.instruments.notes_comparer

    @property
    def firsthand(self) -> Inspector:
        """Reads what relman's own lists are made from."""
        return self.instruments.firsthand

    def comparer_of(self, wants: frozenset[Capability], *, richest: bool) -> Comparer:
        """Reads and compares what is wanted: see `Instruments.comparer_of`."""
        return self.instruments.comparer_of(wants, richest=richest)

    def renderer(
        self,
        changelog: Changelog,
        id: str | None = None,
        *,
        overrides: Sequence[Override] = (),
        withdrawn: Banner | None = None,
    ) -> NotesRenderer:
        """Renders texts of one changelog; ``overrides`` are what let its release through closed gates, ``withdrawn``
        says that it no longer stands.
        """
        return self.instruments.renderer(changelog, id, overrides=overrides, withdrawn=withdrawn)

    def look(self, reference: Reference) -> Image:
        """An image as the registry has it."""
        return self.instruments.look(reference)

    def describe(self, action: Action) -> str:
        """One line for people, in the words of the action's executor."""
        return self.hands.describe(action)

    def _sources(self) -> tuple[ContentsSource, ...]:
        settings = SettingsOf(self.config, self.slots)
        context = hookspecs.ContentsContext(self.config.packages.ecosystems, settings)
        return self._asked(hookspecs.relman_contents_sources, context)

    def _ask_commits(self, context: hookspecs.CommitsContext) -> tuple[Commit, ...]:
        return self._asked(hookspecs.relman_commits, context)

    def _asked(self, hook: Callable[..., Iterable[T]], context: object) -> tuple[T, ...]:
        return tuple(value for answer in self.plugins.ask(hook, context=context) for value in answer.values)

    def _refuse_half_done(self, stream: Stream) -> None:
        for record in self.ledger.records(stream.name):
            plan = self.instruments.plan_of(record) if record.state in acting.UNFINISHED else None
            if plan and planning.moved_in_part(plan, record.receipts):
                raise PartlyDone(
                    f"the tags of `{stream.name}` are partly moved: `{record.version}` is not finished",
                    hint=f"finish it: `relman resume {record.id}`",
                )
