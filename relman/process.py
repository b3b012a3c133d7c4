"""Runs other programs: a list of arguments, a time limit, stderr kept for the error. The only place that does."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relman.errors import Passing, RelmanError, Unequipped
from relman.redaction import redact

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that exited with 0: its standard output as bytes, its standard error as text."""

    stdout: bytes
    stderr: str


class ProcessFailed(RelmanError):
    """A program exited with another code than 0. ``stderr`` is what it said, redacted; ``stdout`` is as it came."""

    def __init__(self, argv: Sequence[str], code: int, stderr: str, stdout: bytes = b"") -> None:
        self.argv = tuple(argv)
        self.stdout = stdout
        self.code = code
        self.stderr = redact(stderr.strip())
        last = self.stderr.splitlines()[-1] if self.stderr else "no message"
        super().__init__(redact(f"`{shlex.join(argv)}` exited with {code}: {last}"))


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run ``argv`` for at most ``timeout`` seconds and return what it printed.

    ``environment`` is added to the caller's; ``cwd`` is the folder to run in, if it is not ours. Raises `Unequipped`
    when the program is not installed, `Passing` when it takes too long, `ProcessFailed` when it exits with another
    code than 0.
    """
    log.debug("$ %s", shlex.join(argv))
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise Unequipped(
            f"`{argv[0]}` is not installed", hint=f"install {argv[0]} with your system's packages"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Passing(redact(f"`{shlex.join(argv)}` took longer than {timeout:g} s")) from error
    stderr = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        raise ProcessFailed(argv, done.returncode, stderr, done.stdout)
    return Completed(done.stdout, stderr)
