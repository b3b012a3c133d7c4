"""Programs that a gate asks: started with the digest, bounded, and asked once in a run for the same digest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from relman.model.oci import Platform
from relman.model.release import Candidate
from relman.plugin import GatesContext, ProgramEnded, run_program_to_end
from relman_plugins.gates.asking.placeholders import environment_of, filled, values_of


def ask_program(
    context: GatesContext,
    candidate: Candidate,
    platform: Platform | None,
    argv: Sequence[str],
    *,
    timeout: timedelta,
    keep: int,
) -> tuple[tuple[str, ...], ProgramEnded]:
    """What ``argv`` was with its placeholders filled in, and how it ended, in the folder of the configuration.

    A program that ended by itself is not run again for the same digest in this run; one that was out of time is.
    """
    values = values_of(context.release, candidate, platform)
    command = tuple(filled(word, values) for word in argv)
    key = (ask_program, command, candidate.image.digest, platform)
    known = context.remembered.get(key)
    if isinstance(known, ProgramEnded):
        return command, known
    ended = run_program_to_end(
        command,
        timeout=timeout.total_seconds(),
        keep=keep,
        environment=environment_of(values),
        cwd=context.folder,
    )
    if ended.code is not None:
        context.remembered[key] = ended
    return command, ended
