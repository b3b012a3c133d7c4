"""The walk, whole: what each phase is given, what it hands on, and the only place that asks the plugins.

observe:  configure → resolve → inspect → compose → gate → plan      only reads, safe to repeat
act:      promote → publish → announce → finish                      only from a plan, one action at a time, resumable
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cached_property, partial
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec.structs import replace

from relman import config as configuration
from relman import hookspecs
from relman.cache import ContentsCache
from relman.config import Config
from relman.errors import GateClosed, PartlyDone, RelmanError
from relman.hookspecs import ContentsSource, Slot
from relman.http import Client
from relman.instruments import Instruments
from relman.later import Later
from relman.ledger.protocol import Ledger, Session
from relman.manager import Plugins
from relman.model.changelog import Changelog
from relman.model.check import Fault
from relman.model.gates import GateResult, OverrideRequest
from relman.model.oci import Platform
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Receipt, Record, RecordState
from relman.model.release import Release
from relman.model.streams import Stream
from relman.registry.protocol import RegistryWriter
from relman.registry.remembering import Informed, Telling
from relman.walk import given as given_sboms
from relman.walk.comparing import pairs_of_release
from relman.walk.settings import SettingsOf, table_of_gate

if TYPE_CHECKING:
    from relman.hands import Hands
    from relman.render import NotesRenderer
    from relman.walk import (
        acting,
        announcing,
        composing,
        gating,
        pinning,
        planning,
        probing,
        rehearsing,
        statement,
        trying,
        wholeness,
    )
    from relman.walk import rollback as going_back
    from relman.walk.ahead import Ahead
    from relman.walk.compared import Compared
    from relman.walk.comparing import Comparer, Pair
else:  # half of what the walk needs is for texts and effects, and `relman diff` has neither
    acting, announcing = Later("relman.walk.acting"), Later("relman.walk.announcing")
    composing, gating = Later("relman.walk.composing"), Later("relman.walk.gating")
    pinning, planning = Later("relman.walk.pinning"), Later("relman.walk.planning")
    probing = Later("relman.walk.probing")
    rehearsing, statement = Later("relman.walk.rehearsing"), Later("relman.walk.statement")
    trying, wholeness = Later("relman.walk.trying"), Later("relman.walk.wholeness")
    going_back = Later("relman.walk.rollback")


def configure(plugins: Plugins, file: Path | None, folder: Path) -> tuple[Config, tuple[Slot, ...]]:
    """The configuration, and the tables that plugins understand. Without a ``file``, what holds without one."""
    config = configuration.load(file, plugins.understood) if file else configuration.without_file(folder)
    return config, plugins.understood(config.tables)


T = TypeVar("T")


class Lifecycle(msgspec.Struct, frozen=True, dict=True):
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

    def resolve(self, stream: Stream, *, since: str | None = None, ahead: Ahead | None = None) -> Release:
        """A stream's candidates, pinned, each with what it follows; ``ahead`` reads them as soon as they are known."""
        resolver = self.instruments.resolver
        return (ahead.of(resolver) if ahead else resolver).release(stream, since=since)

    def ahead(self, comparer: Callable[[], Comparer], platforms: Sequence[Platform] = ()) -> Ahead:
        """Reads for ``comparer`` while a stream is resolved. Where an SBOM stands for a candidate, do without it."""
        from relman.walk.ahead import Ahead

        return Ahead(comparer, platforms, self.cache)

    def published(self, stream: Stream, version: str, *, since: str | None = None) -> Release:
        """A release that the stream had before."""
        return self.instruments.resolver.published(stream, version, since=since)

    def inspect(self, pairs: Sequence[Pair]) -> tuple[Compared, ...]:
        """What is inside each image, compared with what was inside its predecessor."""
        return self.instruments.notes_comparer.compare(pairs)

    def stand_in(
        self, given: Sequence[given_sboms.GivenSbom], release: Release, comparer: Comparer | None = None
    ) -> given_sboms.Given:
        """Let SBOMs on disk stand for what is inside candidates, for ``comparer`` or else for `inspect`.

        Their names by variant and platform. Raises `UsageError`, `NotFound`, and `Malformed` for one that cannot be.
        """
        return given_sboms.stand_in(given, release, (comparer or self.instruments.notes_comparer).inspector)

    def compose(
        self, compared: Sequence[Compared], release: Release | None = None, *, note: str | None = None
    ) -> Changelog:
        """The changelog of what was compared: commits, sections, groups, and the count that nothing was lost."""
        stream = self.config.stream(release.stream) if release else None
        commits = composing.read_commits(compared, partial(self._asked, hookspecs.relman_commits), self.config)
        context = hookspecs.SectionsContext(
            release=release,
            diffs=tuple(one.diff for one in compared if one.diff),
            commits=commits.ruled,
            records=self.ledger.records(stream.name) if stream else (),
            note=note,
            settings=SettingsOf(self.config, self.slots, stream),
            stream=stream,
            command=self.instruments.templates.command,
            checkout=None if commits.missing else self.config.checkout,
            highlights=self.config.notes.highlights,
            known_issues=self.config.notes.known_issues,
        )
        sections = self._asked(hookspecs.relman_sections, context)
        return composing.compose_changelog(
            compared, release, commits, sections, self.config, self.instruments.templates
        )

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
            registry=self.instruments.reader,
            records=self.ledger.records(stream.name),
            now=self.clock(),
            settings=SettingsOf(self.config, self.slots, stream),
            holds=tuple(hold for hold in self.ledger.holds() if hold.stream == stream.name),
            signature=self.config.signature,
            read=compared is not None,
            contents={(one.name, one.platform): one.after for one in compared or ()},
            observed=self.ledger.observed(),
            source=self.config.stream(stream.source) if stream.source else None,
            web=self._web,
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
        tables = self.config.tables.union(f"gate.{rule.type}" for rule in rules)
        for name in self.plugins.answering("relman_gates", tables):
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
        sboms: Sequence[given_sboms.GivenSbom] = (),
    ) -> Plan:
        """The release that ``stream`` would make now. Raises `PartlyDone` while another is half carried out."""
        planning.refuse_half_done(stream, self.ledger.records(stream.name), self.instruments.plan_of)
        comparer = self.instruments.notes_comparer
        ahead = None if sboms else self.ahead(lambda: comparer)
        release = self.resolve(stream, since=since, ahead=ahead)
        given = self.stand_in(sboms, release)
        compared = self.inspect(pairs_of_release(release))
        changelog = self.compose(compared, release, note=note)
        gates = self.gate(release, compared)
        by_hand, unused = gating.granted(overrides, gates, self.clock())
        renderer = self.instruments.renderer(changelog, release.id, overrides=by_hand)
        made = planning.make_plan(
            replace(release, assumed=release.assumed + unused),
            changelog,
            gates,
            self.actions(release, changelog, renderer, self.config),
            renderer.notes("markdown"),
            config=self.config,
            changed=release.changed,
            now=self.clock(),
            overrides=by_hand,
            given=given,
        )
        return self.stating(made, stream)

    def stating(self, plan: Plan, stream: Stream) -> Plan:
        """``plan`` with the statements that are to be attached to what enters ``stream``, where any are."""
        wanted = self.config.attach and stream.source is not None
        return statement.with_statements(plan, self.config.signing) if wanted else plan

    def actions(
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
            registry=self.instruments.reader,
        )
        asked = self.plugins.ask(hookspecs.relman_actions, self.config.tables, context=context)
        return tuple(measuring.noting(action) for answer in asked for action in answer.values)

    def _address(self, changelog: Changelog, source: str) -> str:
        values = {name: getattr(changelog, name) for name in announcing.IN_ADDRESSES}
        return self.instruments.templates.address(source)(values)

    def rehearse(self) -> tuple[Fault, ...]:
        """What is wrong with the posts of channels, each rendered for a release that never was."""

        def post(release: Release, made: Changelog, config: Config) -> object:
            return self.actions(release, made, self.instruments.renderer(made, release.id), config)

        return rehearsing.rehearse(self.config, post)

    def abilities(self, plan: Plan, known: Sequence[Receipt] = ()) -> tuple[probing.Ability, ...]:
        """How what is left of ``plan`` would be done from this machine, and what keeps it from that."""
        hands = self.hands
        probes = probing.Probes(hands.executors, hands.eyes, self.registry.require_push, self.instruments.signer)
        return probing.probe(plan, known, probes)

    # ------------------------------------------------------------------------------------------------- act

    def apply(self, plan: Plan, report: Callable[[Action, Receipt], None]) -> tuple[Record, acting.Outcome | None]:
        """Carry out ``plan``: promote, publish, announce, finish. Without an outcome there was nothing left to do."""
        from relman.documents.changelog import changelog_bytes
        from relman.documents.plan import plan_bytes, plan_digest

        before = self.instruments.record(plan.id)
        if before and before.state is RecordState.FINISHED:
            return before, None
        planning.check_fresh(plan, self.config, self.instruments.reader, before.receipts if before else ())
        pinning.require_whole(plan, self.config)
        if plan.rollback and not (before and acting.begun(before.receipts)):
            going_back.check_target(plan, self.ledger.records(plan.stream))
        self.hands.check_channels(plan, before)
        probing.require_able(self.abilities(plan, before.receipts if before else ()))
        gates = self._check_gates_again(plan, before)
        wholeness.check_whole(plan, self.instruments.told, before.receipts if before else ())
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
            return self._act(plan, session, self.tools(plan, session, report))
        except RelmanError as error:
            if not acting.begun(session.record.receipts):
                raise
            finish = f"finish it: `relman resume {plan.id}`"
            hint = f"{error.hint}; then {finish}" if error.hint else finish
            raise PartlyDone(f"`{plan.version}` is partly done: {error.message}", hint=hint) from error

    def tools(self, plan: Plan, session: Session, report: Callable[[Action, Receipt], None]) -> trying.Tools:
        """What the actions of ``plan`` are carried out with."""
        return trying.Tools(
            executors=self.hands.executors,
            reader=self.hands.eyes,
            writer=self.hands.hands,
            clock=self.clock,
            report=report,
            filled=lambda action, record: statement.filled(plan, action, record, self.instruments.signer),
        )

    def _act(self, plan: Plan, session: Session, tools: trying.Tools) -> tuple[Record, acting.Outcome]:
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
        release = pinning.with_moves(self.instruments.resolver.pinned(plan), plan)
        compared = None
        if not plan.rollback:
            # An SBOM that stood for an image need not be on this machine.
            given = {(variant.name, platform) for variant in plan.variants for platform in variant.sboms}
            compared = self.instruments.notes_comparer.compare(pairs_of_release(release), optional=given)
        gates = self.gate(release, compared, rollback=plan.rollback is not None)
        if shut := gating.closed(gates, plan.overrides, self.clock()):
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
        from relman.hands import Hands

        executors = partial(self.plugins.ask, hookspecs.relman_executors)
        eyes = Telling(self.instruments.reader, self.instruments.told)
        writer = Informed(self.registry, self.instruments.told)
        return Hands(self.config, writer, eyes, self.http, self.clock, executors)

    @property
    def _web(self) -> hookspecs.Web:
        from relman.web import ReadingWeb

        return ReadingWeb(self.http)

    @cached_property
    def _remembered(self) -> dict[object, object]:
        """What gates found out in this run."""
        return {}

    def _sources(self) -> tuple[ContentsSource, ...]:
        settings = SettingsOf(self.config, self.slots)
        context = hookspecs.ContentsContext(self.config.packages.ecosystems, settings)
        return self._asked(hookspecs.relman_contents_sources, context)

    def _asked(self, hook: Callable[..., Iterable[T]], context: object) -> tuple[T, ...]:
        return tuple(value for answer in self.plugins.ask(hook, context=context) for value in answer.values)
