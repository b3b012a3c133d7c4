"""Runs other programs: a list of arguments, a time limit, stderr kept for the error. The only place that does."""

from __future__ import annotations

import logging
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from relman.errors import Passing, RelmanError, Unequipped
from relman.redaction import redact

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds that a program has to clean up after SIGTERM, before SIGKILL."""
_LINGER = 1.0
_LOOK = 0.05
_PIECE = 65536


class Completed(msgspec.Struct, frozen=True):
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


class Ended(msgspec.Struct, frozen=True):
    """A program that ended, however it did: ``code`` is minus the signal's number, and `None` where time was over.

    ``stdout`` is the beginning of what it printed, as it came, and ``cut`` says that there was more. ``said`` is the
    end of what it printed to either, redacted.
    """

    code: int | None
    stdout: bytes
    cut: bool
    said: str


def run_to_end(
    argv: Sequence[str],
    *,
    timeout: float,
    keep: int,
    said: int = 4096,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run a program that is not ours: it ends within ``timeout`` seconds, and leaves nothing running.

    It gets a process group of its own, which is ended with it: by SIGTERM, and after `GRACE` by SIGKILL. ``keep`` bytes
    of its standard output are kept, and ``said`` characters of all its output; the rest is read and dropped.
    ``environment`` is added to the caller's. Raises `Unequipped` where it cannot be started.
    """
    log.debug("$ %s", shlex.join(argv))
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except OSError as error:
        raise Unequipped(redact(f"`{argv[0]}` cannot be started: {error.strerror or error}")) from error
    # A secret that is cut in two is not known any more: what is redacted is longer than what is told.
    output = _Output(process, keep, 2 * said + _PIECE)
    try:
        in_time = output.gather(time.monotonic() + timeout)
        if not in_time:
            _signal(process, signal.SIGTERM)
            output.gather(time.monotonic() + GRACE)
    finally:  # also when we are interrupted ourselves
        _signal(process, signal.SIGKILL)
        code = process.wait()
    output.gather(time.monotonic() + _LINGER)
    output.close()
    return Ended(code if in_time else None, bytes(output.first), output.cut, output.told(said))


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To all of its group. The program was not waited for yet, so that its number is still its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Output(msgspec.Struct):
    process: subprocess.Popen[bytes]
    keep: int
    tail: int
    first: bytearray = msgspec.field(default_factory=bytearray)
    last: bytearray = msgspec.field(default_factory=bytearray)
    dropped: bool = False
    cut: bool = False

    def gather(self, end: float) -> bool:
        """Read until the program has ended, or, where it has, until nobody can print any more; `False`: out of time."""
        with selectors.DefaultSelector() as ready:
            for pipe in self._open():
                ready.register(pipe, selectors.EVENT_READ)
            while True:
                waited = self.process.returncode is not None
                if (waited and not ready.get_map()) or (not waited and _has_ended(self.process)):
                    return True
                left = end - time.monotonic()
                if left <= 0:
                    return False
                for key, _ in ready.select(min(left, _LOOK)):
                    if not self._take(key.fileobj):  # type: ignore[arg-type]  # what was registered
                        ready.unregister(key.fileobj)

    def _open(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self.process.stdout, self.process.stderr) if pipe and not pipe.closed]

    def _take(self, pipe: IO[bytes]) -> bool:
        piece = os.read(pipe.fileno(), _PIECE)
        if not piece:
            pipe.close()
            return False
        if pipe is self.process.stdout:
            room = self.keep - len(self.first)
            self.first += piece[:room]
            self.cut = self.cut or len(piece) > room
        self.last += piece
        if len(self.last) > self.tail:
            self.dropped = True
            del self.last[: -self.tail]
        return True

    def told(self, limit: int) -> str:
        text = redact(self.last.decode(errors="replace")).strip()
        return "…" + text[-limit:] if self.dropped or len(text) > limit else text

    def close(self) -> None:
        for pipe in self._open():
            pipe.close()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has, without taking note of it: until that is done, nothing else can have its number."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError as error:  # whoever started us has SIGCHLD ignored, and `wait` would say that all is well
        raise RelmanError(
            "how a program ended cannot be known here", hint="run relman from where SIGCHLD is not ignored"
        ) from error
