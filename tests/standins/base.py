"""What stand-ins for services share: each answers as its service does, and checks every request by its description.

    with GitHub() as github:
        github.faults.append(once("POST .*/releases$", lose))
        ...
        assert [item["tag_name"] for item in github.releases] == ["v1"]

A request that does not conform is noted in `violations`, and fails the test when the stand-in is left. A test that
sends one on purpose empties the list before. The same goes for what the stand-in itself answers.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlsplit

from tests.openapi.checking import Description, check_request, check_response, describe
from tests.servers import Asked, Fault, Reply, Scripted

WRITES = frozenset({"PUT", "POST", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Call:
    """A request of a described operation: what its path says, its query, and its body where that is JSON."""

    asked: Asked
    values: dict[str, str]
    query: dict[str, str]
    body: Any

    def __getitem__(self, name: str) -> str:
        return self.values[name]


Handler = TypeVar("Handler", bound=Callable[..., Reply])


def on(*routes: str) -> Callable[[Handler], Handler]:
    """The method answers these operations, each ``METHOD /path/as/described``."""

    def named(handler: Handler) -> Handler:
        handler.routes = routes  # type: ignore[attr-defined]
        return handler

    return named


def answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """JSON."""
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Reply(status, named, json.dumps(document).encode())


class Standin(Scripted):
    """A service's API below ``base`` on a free port of loopback; subclasses say of what, and answer."""

    name: ClassVar[str]
    base: ClassVar[str] = ""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.faults: list[Fault] = []
        self.violations: list[str] = []
        self.lock = threading.RLock()
        self._by_route = {
            route: handler
            for handler in (
                getattr(self, name) for name in dir(type(self)) if not isinstance(getattr(type(self), name), property)
            )
            for route in getattr(handler, "routes", ())
        }
        super().__init__(self.checked, tls=tls)

    @property
    def description(self) -> Description:
        """The description that requests are checked by."""
        return describe(self.name)

    @property
    def writes(self) -> list[str]:
        """Every write that was asked for, in order: ``METHOD path``."""
        return [asked.line for asked in self.asked if asked.method in WRITES]

    def __exit__(self, *args: object) -> None:
        super().__exit__(*args)
        assert not self.violations, "\n".join(self.violations)

    def base_of(self, asked: Asked) -> str | None:
        """The part of a path that stands before what is described; `None` where the path is none of the API."""
        return self.base if asked.path.startswith(f"{self.base}/") else None

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """The place for what is asked of every request, such as who it is."""
        return handler(call)

    def unknown(self, asked: Asked) -> Reply:
        """The answer to what is not described."""
        return answer({"message": "Not Found"}, 404)

    def checked(self, asked: Asked) -> Reply:
        """Answer a request, or do what a fault does instead."""
        path = asked.path
        wrong: tuple[str, ...] = ()
        base = self.base_of(asked)
        if base is not None:
            path = path[len(base) :]
            wrong = check_request(self.description, asked.method, path, asked.headers, asked.body)
            self.violations += wrong
        forward = partial(self._answered, asked, path if base is not None else None)
        for fault in self.faults:
            if (reply := fault(asked, forward)) is not None:
                return reply
        return (self.refusal(wrong) if wrong else None) or forward()

    def refusal(self, wrong: tuple[str, ...]) -> Reply | None:
        """The answer to what does not conform, where the service looks closely; `None` where it does not."""
        return None

    def _answered(self, asked: Asked, path: str | None) -> Reply:
        operation = self.description.operation(asked.method, path) if path is not None else None
        handler = self._by_route.get(f"{asked.method} {operation.path}") if operation is not None else None
        if path is None or operation is None or handler is None:
            return self.unknown(asked)
        call = Call(asked, operation.values, dict(parse_qsl(urlsplit(path).query)), _json(asked))
        with self.lock:
            reply = self.serve(call, handler)
        wrong = check_response(self.description, asked.method, path, reply.status, reply.headers, reply.body)
        self.violations += [f"the stand-in itself: {fault}" for fault in wrong]
        return reply


def _json(asked: Asked) -> Any:
    try:
        return json.loads(asked.body) if asked.body else {}
    except ValueError:
        return {}
