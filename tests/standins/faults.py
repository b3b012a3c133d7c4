"""What can go wrong with one request, for ``once`` and ``nth_write``; more are in tests/integration/front.py.

There are `answer` (any status), `lose` (the effect happens, its answer is lost), `Victim.kill` and `Gate.hold`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from tests.integration.front import Act, answer, lose
from tests.servers import Reply

Forward = Callable[[], Reply]

__all__ = ["answer", "before", "busy", "cut", "lose", "refused_with_200", "slow"]


def before(_forward: Forward) -> Reply:
    """The connection is reset, and nothing came of the request."""
    return Reply(reset=True)


def busy(seconds: int, document: object = None) -> Act:
    """429, with Retry-After, and the body that the service sends with it."""
    headers = {"Retry-After": str(seconds), "Content-Type": "application/json"}
    return lambda _forward: Reply(429, headers, json.dumps(document or {"message": "too many"}).encode())


def refused_with_200(error: str, **more: object) -> Act:
    """200, and ``"ok": false`` in its body: nothing came of the request."""
    body = json.dumps({"ok": False, "error": error, **more}).encode()
    return lambda _forward: Reply(200, {"Content-Type": "application/json"}, body)


def slow(seconds: float) -> Act:
    """The effect happens, and its answer comes byte by byte, each so much later than the one before."""
    return lambda forward: replace(forward(), drip=seconds)


def cut(size: int) -> Act:
    """The effect happens, and its answer ends after so many bytes of the body."""
    return lambda forward: replace(forward(), cut=size)
