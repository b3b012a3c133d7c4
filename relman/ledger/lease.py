"""Who holds a release, and whether they still live (proc(5): `/proc/PID/stat`)."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from relman.model.record import Lease

LEASE = timedelta(minutes=10)
"""How long a release stays with whoever last wrote about it."""


def process_started(process: int) -> str | None:
    """What tells this process from others with the same number: its start, and the namespace of its number.

    Machines in CI are often copies of one, of the same name and with the same first namespace: so the start of the
    system is part of what names it (random(4), `boot_id`).

    `None` where the system has no `/proc`, or where there is no such process.
    """
    fields = _stat(process)
    if fields is None:
        return None
    try:
        namespace = Path(f"/proc/{process}/ns/pid").readlink().name.strip("pid:[]")
        namespace += "." + Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    except OSError:
        namespace = ""
    return f"{fields[19]}@{namespace}"


def take(host: str, process: int, now: datetime) -> Lease:
    """A new lease for ``process`` on this machine."""
    return Lease(host, process, process_started(process), now + LEASE)


def is_held(lease: Lease, *, host: str, now: datetime) -> bool:
    """Whether somebody has to be waited for: the lease runs, and its process is not known to be dead."""
    return now < lease.until and not (lease.host == host and _is_dead(lease))


def _is_dead(lease: Lease) -> bool:
    if lease.started and _namespace(lease.started) not in ("", _namespace(process_started(os.getpid()) or "")):
        return False  # another container or machine of the same name: its numbers mean nothing here
    try:
        os.kill(lease.process, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass  # it lives, and is somebody else's
    fields = _stat(lease.process)
    if fields is None:
        return False
    started = process_started(lease.process)
    reused = bool(lease.started and started) and _start(lease.started) != _start(started)
    return reused or fields[0] in ("Z", "X", "x")


def _stat(process: int) -> list[str] | None:
    """The fields after the program's name, which may hold spaces and brackets: state first, start the twentieth."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return fields if len(fields) > 19 else None


def _start(started: str | None) -> str:
    return (started or "").partition("@")[0]


def _namespace(started: str) -> str:
    return started.partition("@")[2]
