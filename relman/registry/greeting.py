"""A registry greeted before it is asked for anything: how it wants to be asked, heard while relman gets ready.

A registry says only when it refuses which tokens it wants (`GET /v2/`, OCI Distribution 1.1, end-1; skopeo and docker
begin so, too). To connect, to be refused and to come back takes as long as reading the configuration does.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future

from relman.errors import RelmanError
from relman.http import Answer, Client
from relman.registry.session import address_of

log = logging.getLogger(__name__)

_MOST = 24
"""Connections that are opened at most: as many as are used at once."""


class Greeting:
    """`GET /v2/` to ``host``, under way from now on, and ``connections`` opened to it for what follows."""

    def __init__(self, client: Client, host: str, insecure: frozenset[str], connections: int) -> None:
        self.host = host
        self._address = address_of(host, insecure)
        self._client = client
        self._answer: Future[Answer | None] = Future()
        threading.Thread(target=self._greet, daemon=True).start()
        client.open_ahead(self._address, min(connections, _MOST))

    def answer(self) -> Answer | None:
        """What the registry said, once it has; `None` where that could not be had, which whoever asks next will say."""
        return self._answer.result()

    def _greet(self) -> None:
        answer = None
        try:
            answer = self._client.request("GET", f"{self._address}/v2/", once=True)
        except RelmanError as error:
            log.debug("greeted `%s` in vain: %s", self.host, error.message)
        finally:
            self._answer.set_result(answer)
