"""What one run looks with: registry, tags, contents, templates, earlier plans; each made when it is first used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from relman.cache import ContentsCache
from relman.compact.lists import SOURCE as OWN_LISTS
from relman.config import Config
from relman.documents.contents import contents_bytes, contents_from_bytes
from relman.errors import RelmanError
from relman.hookspecs import ContentsSource
from relman.ledger.protocol import Ledger
from relman.model.changelog import Changelog
from relman.model.contents import Capability, Contents
from relman.model.gates import Override
from relman.model.oci import Digest, Image, Platform, Reference
from relman.model.plan import Plan, PlannedVariant
from relman.model.record import Record, RecordedEvidence
from relman.model.release import Release
from relman.model.rollback import Rollback
from relman.registry.evidence import evidence_of
from relman.registry.look import look_at
from relman.registry.protocol import RegistryReader
from relman.registry.readonly import ReadOnly
from relman.registry.remembering import Past, Remembering
from relman.walk.comparing import Comparer
from relman.walk.inspect import Inspector
from relman.walk.parallel import in_parallel
from relman.walk.resolve import Resolver
from relman.walk.tags import TagBook

if TYPE_CHECKING:  # half of what a command imports is for texts, which `relman diff` has none of
    from relman.render import Banner, NotesRenderer, Templates
    from relman.render.measuring import Measuring
    from relman.signing.keys import Signer


class Instruments(msgspec.Struct, frozen=True, dict=True):
    """What one run looks with. Nothing here writes.

    ``ask_sources`` gives the sources of contents of all plugins; it is called once, and only where contents are read.
    """

    config: Config
    registry: RegistryReader
    ledger: Ledger
    clock: Callable[[], datetime]
    cache: ContentsCache | None
    ask_sources: Callable[[], tuple[ContentsSource, ...]]

    # ---------------------------------------------------------------------------------------- the registry

    @cached_property
    def reader(self) -> RegistryReader:
        """The registry, to look at."""
        return ReadOnly(self.registry)

    @cached_property
    def told(self) -> Remembering:
        """What the registry said in this run, of what can never change."""
        return Remembering(self.reader, self.cache)

    @cached_property
    def resolver(self) -> Resolver:
        """Finds candidates and what they follow."""
        records = self.ledger.records()
        reader = self.told
        past = Past(reader, self.cache) if self.cache else reader
        return Resolver(self.config, reader, past, self.reader, TagBook(reader), look_at, records, self.clock())

    def look(self, reference: Reference) -> Image:
        """An image as the registry has it."""
        return look_at(self.told, reference)

    # -------------------------------------------------------------------------------------------- contents

    def comparer_of(self, wants: frozenset[Capability], *, richest: bool) -> Comparer:
        """Reads and compares, with the sources of all plugins, in the configured order or (``richest``) those first
        that know what is wanted.
        """
        inspector = Inspector(
            self.sources, self.config.packages, self.reader, cache=self.cache, wants=wants, richest=richest
        )
        return Comparer(inspector, self.config.packages, self._kept)

    @cached_property
    def comparer(self) -> Comparer:
        """Reads and compares lists of packages, and nothing beside them."""
        return self.comparer_of(frozenset(), richest=False)

    @cached_property
    def notes_comparer(self) -> Comparer:
        """Reads what notes are made from: security fixes, too, where the source at hand knows them."""
        return self.comparer_of(frozenset({Capability.CHANGELOG}), richest=self.config.notes.security)

    @cached_property
    def firsthand(self) -> Inspector:
        """Reads what relman's own lists are made from: every source but those lists, package databases first."""
        rich = {source.name for source in self.sources if Capability.OBSOLETES in source.capabilities}
        others = [name for name in self.config.packages.sources if name != OWN_LISTS]
        names = sorted(others, key=lambda name: name not in rich)
        packages = replace(self.config.packages, sources=tuple(names))
        return Inspector(self.sources, packages, self.reader, cache=self.cache)

    @cached_property
    def sources(self) -> tuple[ContentsSource, ...]:
        """Where contents are read from, in no order."""
        return self.ask_sources()

    def _kept(self, digest: Digest) -> Mapping[Platform, Contents] | None:
        content = self.ledger.contents(digest)
        return contents_from_bytes(content) if content else None

    def contents_to_keep(self, plan: Plan) -> Mapping[str, bytes]:
        """Each variant's contents, to be kept with the record. One that can no longer be read is left out."""
        kept: dict[str, bytes] = {}
        for variant in plan.variants:
            try:
                image = look_at(self.reader, variant.reference)
                lists = {
                    part.platform: self.notes_comparer.inspector.contents(image.reference, part)
                    for part in image.platforms
                    if part.platform in variant.platforms
                }
            except RelmanError:
                continue
            kept[variant.name] = contents_bytes(lists)
        return kept

    def evidence_to_keep(self, plan: Plan) -> Mapping[str, tuple[RecordedEvidence, ...]]:
        """What is attached to each variant's image now. Where that cannot be read, nothing is kept of it."""

        def one(variant: PlannedVariant) -> tuple[RecordedEvidence, ...] | None:
            try:
                found = evidence_of(self.reader, variant.reference)
            except RelmanError:
                return None
            return tuple(
                RecordedEvidence(
                    piece.subject,
                    piece.descriptor.digest,
                    piece.descriptor.artifact_type or piece.descriptor.media_type,
                    piece.tag,
                )
                for piece in found
            )

        found = in_parallel(one, plan.variants, workers=4)
        return {v.name: kept for v, kept in zip(plan.variants, found, strict=True) if kept is not None}

    # ------------------------------------------------------------------------------------------ signatures

    def signer(self) -> Signer | None:
        """Who signs statements, as `[record]` has it; `None` where nobody does. Raises `Unequipped`."""
        return self._signer if self.config.signing else None

    @cached_property
    def _signer(self) -> Signer:
        from relman.signing.signers import signer_of

        assert self.config.signing
        return signer_of(self.config.signing, os.environ)

    # ----------------------------------------------------------------------------------------------- texts

    @cached_property
    def templates(self) -> Templates:
        """The project's templates before the built-in ones."""
        from relman.render import Templates

        return Templates((self.config.notes.templates,) if self.config.notes.templates else ())

    def renderer(
        self,
        changelog: Changelog,
        id: str | None = None,
        *,
        overrides: Sequence[Override] = (),
        withdrawn: Banner | None = None,
    ) -> NotesRenderer:
        """Renders texts of one changelog; ``overrides`` are what let its release through closed gates.

        ``withdrawn`` says that it no longer stands: that is the first thing that readers see.
        """
        from relman.render import NotesRenderer

        extra = {"authors": self.config.notes.authors, "id": id, "overrides": tuple(overrides)}
        return NotesRenderer(self.templates, changelog, extra, self.config.links, withdrawn)

    def measuring(self, renderer: NotesRenderer) -> Measuring:
        """``renderer``, noting what the texts of channels measure."""
        from relman.render.measuring import Measuring

        return Measuring(renderer)

    def rollback_renderer(
        self, changelog: Changelog, release: Release, rollback: Rollback, stays: Sequence[str]
    ) -> tuple[NotesRenderer, Changelog]:
        """Renders what is told of a rollback, and the changelog as it is told; ``stays`` are tags that do not move."""
        from relman.render.rollback import RollbackRenderer, Withdrawn, told

        images = tuple(
            {"name": one.variant.name, "repository": str(one.place.repository), "digest": str(one.image.digest)}
            for one in release.candidates
        )
        withdrawn = Withdrawn(
            release.previous or "", release.version, rollback.reason, rollback.by, images, tuple(stays)
        )
        said = told(changelog, withdrawn)
        extra = {"authors": self.config.notes.authors, "id": release.id}
        return RollbackRenderer(self.templates, said, withdrawn, extra, self.config.links), said

    # --------------------------------------------------------------------------------------------- records

    def record(self, id: str) -> Record | None:
        """The release of this id, or `None` where it was never begun."""
        return next((record for record in self.ledger.records() if record.id == id), None)

    def plan_of(self, record: Record) -> Plan | None:
        """The plan that a release carried out, or `None` where there is none on record."""
        from relman.documents.plan import plan_from_bytes

        content = self.ledger.plan_of(record)
        return plan_from_bytes(content) if content else None
