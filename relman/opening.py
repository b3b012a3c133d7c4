"""Connections that are opened before there is anything to ask over them, or even the code to ask with."""

from __future__ import annotations

import errno
import select
import socket
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from urllib.parse import urlsplit

_SECONDS = 10.0

Opening = Future[socket.socket | None]
"""A connection that is under way; `None` where there is none to be had, which whoever asks next will meet and say."""


def opening(url: str, count: int) -> tuple[Opening, ...]:
    """So many TCP connections to where ``url`` leads, under way from now on, all in one thread of their own."""
    begun = tuple(Opening() for _ in range(count))
    try:
        if begun:
            threading.Thread(target=_open, args=(url, begun), daemon=True).start()
    except RuntimeError:  # no more threads
        _hand_over(begun, [])
    return begun


def _open(url: str, begun: tuple[Opening, ...]) -> None:
    made: list[socket.socket] = []
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        for family, kind, protocol, _, place in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM):
            made = _connected([socket.socket(family, kind, protocol) for _ in begun], place)
            if made:
                break
    except (OSError, ValueError):  # whoever asks next will meet the same, and say so
        pass
    finally:
        _hand_over(begun, made)


def _hand_over(begun: tuple[Opening, ...], made: list[socket.socket]) -> None:
    for number, one in enumerate(begun):
        one.set_result(made[number] if number < len(made) else None)


def _connected(sockets: Iterable[socket.socket], place: object) -> list[socket.socket]:
    """Those that could be connected in time; the others are closed."""
    waiting, poll, end = {}, select.poll(), time.monotonic() + _SECONDS
    for one in sockets:
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if one.connect_ex(place) not in (0, errno.EINPROGRESS):  # type: ignore[arg-type]  # of whatever family
            one.close()  # no way there, which is all that will be said of it
            continue
        poll.register(one, select.POLLOUT)
        waiting[one.fileno()] = one
    made = []
    while waiting and (ready := poll.poll(max(0, end - time.monotonic()) * 1000)):
        for number, _ in ready:
            one = waiting.pop(number)
            poll.unregister(one)
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                one.close()
            else:
                one.settimeout(_SECONDS)
                made.append(one)
    for one in waiting.values():
        one.close()
    return made
