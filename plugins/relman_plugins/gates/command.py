"""The gate `command`: a program of the project's own that says whether an image may enter the stream.

    { type = "command", name = "smoke", argv = ["./smoke", "{reference}"], timeout = "20m" }

It is no shell: each word is one argument, also with its placeholders filled in. With `{platform}` it runs for each
platform. Exit code 0 opens; with ``report`` only where the program also printed JSON that names the digest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from pydantic import Field, field_validator

from relman.model.gates import GateResult, State
from relman.model.oci import Digest, Platform
from relman.model.release import Candidate
from relman.plugin import Duration, GatesContext, ProgramEnded, Slot, Table, hookimpl
from relman_plugins.gates.asking.answers import json_of, object_of, text_of
from relman_plugins.gates.asking.placeholders import Template, per_platform
from relman_plugins.gates.asking.programs import ask_program
from relman_plugins.gates.verdict import Verdict, closing, lines, plain, skipped

KEEP = 256 * 1024
"""Bytes of a report at most."""
TOLD = 2000
"""Characters of a program's output that are kept as evidence: its last ones."""


class CommandSettings(Table):
    """`{ type = "command", … }`. ``pending`` are the exit codes that mean: not yet."""

    argv: tuple[Template, ...] = Field(min_length=1)
    timeout: Duration = timedelta(minutes=20)
    pending: tuple[int, ...] = ()
    report: bool = False

    @field_validator("argv")
    @classmethod
    def _program(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "{" in value[0]:
            raise ValueError("the program itself takes no placeholders")
        return value

    @field_validator("pending")
    @classmethod
    def _codes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 < code < 256 for code in value):
            raise ValueError("exit codes that mean `pending` are from 1 to 255: 0 is success")
        return value


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """A gate's table."""
    return (Slot("gate", "command", CommandSettings),)


@hookimpl
def relman_gates(context: GatesContext) -> Iterator[GateResult]:
    """Passed where the program says so, about this digest. `relman status` does not run it."""
    for rule, settings in context.asked("command", CommandSettings):
        for candidate in context.release.candidates:
            each = per_platform(*settings.argv)
            platforms: tuple[Platform | None, ...] = candidate.platforms if each else (None,)
            for platform in platforms:
                if not context.read:
                    verdict = skipped("it runs")
                else:
                    verdict = closing(_ask, context, candidate, platform, settings)
                yield verdict.of(candidate, rule.name, platform)


def _ask(context: GatesContext, candidate: Candidate, platform: Platform | None, settings: CommandSettings) -> Verdict:
    command, ended = ask_program(context, candidate, platform, settings.argv, timeout=settings.timeout, keep=KEEP)
    return judge(ended, digests_of(candidate, platform), settings, command)


def digests_of(candidate: Candidate, platform: Platform | None) -> tuple[Digest, ...]:
    """What a report may name: the image's digest, and its manifest's where it is about a platform or has but one."""
    parts = candidate.image.platforms
    on = [part.manifest.digest for part in parts if len(parts) == 1 or part.platform == platform]
    return tuple(dict.fromkeys((candidate.image.digest, *on)))


def judge(
    ended: ProgramEnded, digests: tuple[Digest, ...], settings: CommandSettings, command: tuple[str, ...] = ()
) -> Verdict:
    """Passed where it exited with 0 and, with ``report``, its report says so of one of ``digests``."""
    evidence: dict[str, object] = {
        "command": [plain(word, 300) for word in command],
        "exit": ended.code,
        "output": lines(ended.said, TOLD),
    }

    def verdict(state: State, reason: str, code: str = "", needs: str | None = None) -> Verdict:
        return Verdict(state, reason, code, needs, evidence=evidence)

    last = plain(next(reversed(ended.said.splitlines()), "")) if ended.said else ""
    said = f": {last}" if last else ""
    if ended.code is None:
        limit = f"{settings.timeout.total_seconds():g} s"
        return verdict(State.ERROR, f"it did not end within {limit}{said}", "timeout", "a longer `timeout`")
    if ended.code < 0:
        return verdict(State.ERROR, f"it was ended by signal {-ended.code}{said}", "killed")
    if ended.code in settings.pending:
        return verdict(State.PENDING, f"it says `not yet` (exit code {ended.code}){said}", "pending")
    if ended.code != 0:
        return verdict(State.FAILED, f"it exited with {ended.code}{said}", "failed")
    if not settings.report:
        return verdict(State.PASSED, "it exited with 0")
    return closing(_reported, ended, digests, evidence)


def _reported(ended: ProgramEnded, digests: tuple[Digest, ...], evidence: dict[str, object]) -> Verdict:
    size = KEEP if ended.cut else KEEP + 1
    report = object_of(json_of(ended.stdout, "the report of the program", limit=size), "the report of the program")
    reason, about, state = plain(report.get("reason") or ""), text_of(report.get("digest")), report.get("state")
    if about not in digests:
        which = f"about `{plain(about, 80)}`" if about else "about no digest"
        reason = f"its report is {which}, and this is `{digests[0]}`"
        return Verdict(State.ERROR, reason, "other-digest", evidence=evidence)
    states = {str(one): one for one in (State.PASSED, State.FAILED, State.PENDING, State.ERROR, State.SKIPPED)}
    found = states.get(state) if isinstance(state, str) else None
    if found is None:
        return Verdict(
            State.ERROR, f"its report has no state but `{plain(state, 40)}`", "unreadable", evidence=evidence
        )
    needs = plain(report["needs"]) if isinstance(report.get("needs"), str) else None
    told = {**evidence, "report": {"state": found.value, "digest": about, "reason": reason}}
    return Verdict(found, reason or f"its report says `{found}`", needs=needs, evidence=told)
