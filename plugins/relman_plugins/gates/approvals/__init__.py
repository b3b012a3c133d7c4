"""The gate `approvals`: so many different people agree to this release, and none of them alone asks for it.

    { type = "approvals", count = 2, from = ["ada", "grace", "lin"], allowed_signers = "approvers" }

They sign the release's id with their SSH keys, or approve the pull request whose text has its marker. The id stands for
the exact images: of another build, or after another release, it is another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from msgspec.structs import replace
from pydantic import Field, model_validator

from relman.model.gates import GateResult
from relman.model.release import release_marker
from relman.plugin import GatesContext, Slot, hookimpl
from relman_plugins.gates.approvals.people import Claim, Rules, judge, known
from relman_plugins.gates.approvals.reviews import claims_from
from relman_plugins.gates.approvals.signatures import NAMESPACE, claims_of, signers_of
from relman_plugins.gates.asking.forge import ForgeTable, forge_of
from relman_plugins.gates.verdict import Verdict, closing, plain


class ApprovalsSettings(ForgeTable):
    """`{ type = "approvals", … }`. ``people`` are more names of one person; ``robots`` ask, and are nobody."""

    count: int = Field(default=1, ge=1, le=50)
    wanted: tuple[str, ...] = Field(default=(), alias="from")
    path: str = "approvals"
    allowed_signers: str | None = None
    revoked: str | None = None
    reviews: bool = False
    unbound: bool = False
    people: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    robots: tuple[str, ...] = ("github-actions[bot]",)

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.allowed_signers is None and not self.reviews:
            raise ValueError("say where people approve: `allowed_signers`, `reviews = true`, or both")
        if self.reviews and not self.wanted:
            raise ValueError("anybody can review on a forge: say whose approval counts with `from`")
        people = len({name.casefold() for name in self.wanted})
        if self.wanted and people < self.count:
            raise ValueError(f"`count` is {self.count}, and `from` has only {people}")
        return self


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "approvals", ApprovalsSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where enough people approve. It is asked once for the release, and holds for each of its images."""
    for rule, settings in context.asked("approvals", ApprovalsSettings):
        verdict = closing(_ask, context, settings)
        for candidate in context.release.candidates:
            yield verdict.of(candidate, rule.name)


def _ask(context: GatesContext, settings: ApprovalsSettings) -> Verdict:
    release, asks = context.release.id, context.by()
    claims: list[Claim] = []
    signers: tuple[tuple[tuple[str, ...], str], ...] = ()
    if settings.allowed_signers is not None:
        allowed = signers_of(context.folder, settings.allowed_signers, settings.revoked)
        signers = allowed.known
        claims += claims_of(context.folder, settings.path, release, allowed, context.now)
    if settings.reviews:
        may = {name.casefold() for name in (*settings.wanted, *settings.robots, *settings.people)}
        forge = forge_of(context, settings)
        claims += claims_from(forge, release, lambda author: author.casefold() in may, unbound=settings.unbound)
    people = known(claims, signers, settings.people, settings.wanted)
    rules = Rules(settings.count, settings.wanted, settings.robots)
    verdict = judge(claims, people, asks, rules, how(settings, release))
    told = {**verdict.evidence, "unbound": True} if settings.unbound else verdict.evidence
    return replace(verdict, evidence=told)


def how(settings: ApprovalsSettings, release: str) -> str:
    """How to approve, to be copied."""
    ways = []
    if settings.allowed_signers is not None:
        folder = f"{plain(settings.path)}/{release}"
        ways.append(
            f"a signature: `mkdir -p {folder} && echo {release} | ssh-keygen -Y sign -n {NAMESPACE} -f KEY "
            f"> {folder}/NAME.sig`"
        )
    if settings.reviews:
        named = "" if settings.unbound else f", from a branch named `…{release}` or with {release} in the review"
        ways.append(f"an approving review of the pull request whose text has `{release_marker(release)}`{named}")
    whom = f" by {', '.join(plain(name, 60) for name in settings.wanted[:8])}" if settings.wanted else ""
    return " or ".join(ways) + whom
