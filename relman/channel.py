"""What an executor of publish and announce is handed: HTTP and files, bound to one channel of the configuration."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from pydantic import BaseModel

from relman.config import ChannelTable
from relman.config.channels import read_table
from relman.deadline import Deadline
from relman.errors import AnswerLost, NotFound, RelmanError
from relman.hookspecs import ANSWER_LIMIT, HttpResponse
from relman.http import Client
from relman.mail import MailServer, hand_in
from relman.model.oci import Reference
from relman.settings import ChannelSettings
from relman.web import response, revealed

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class ReadingChannel(msgspec.Struct, frozen=True):
    """Reads on behalf of one `[[publish]]` or `[[announce]]` table (`hookspecs.ChannelReader`).

    All that it asks takes the table's `timeout` at most: looking and acting each have one of their own.
    """

    table: ChannelTable
    folder: Path
    http: Client
    now: datetime
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: os.environ)
    _ends: list[Deadline] = msgspec.field(default_factory=list)

    def settings(self, model: type[M], /) -> M:
        """The channel's table as it is configured now."""
        read = read_table(self.table.table, model, what=f"channel `{self.table.name}`", environ=self.environ)
        if isinstance(read, ChannelSettings) and not self._ends:
            self._ends.append(Deadline(read.timeout.total_seconds()))
        return read

    def reveal(self, secret: object, /) -> str:
        """The value of a `Secret`, hidden in every output from now on."""
        return revealed(secret, f"channel `{self.table.name}`", self.environ)

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, limit: int = ANSWER_LIMIT) -> HttpResponse:
        """GET, retried where that may help."""
        deadline = self._deadline
        answer = self.http.request(
            "GET", url, headers=headers, limit=limit, cut=True, timeout=deadline.seconds, deadline=deadline
        )
        return response(answer)

    def read_file(self, path: str) -> bytes | None:
        """A file, from the configuration's folder; `None` where there is none."""
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RelmanError(f"cannot read `{path}`: {error.strerror}") from error

    @property
    def _deadline(self) -> Deadline:
        """The `timeout` of the table: all requests together take no longer."""
        if not self._ends:
            common = {key: value for key, value in self.table.table.items() if key in {"type", "timeout"}}
            self._ends.append(Deadline(ChannelSettings.model_validate(common).timeout.total_seconds()))
        return self._ends[0]


class Channel(ReadingChannel, frozen=True):
    """Writes, too (`hookspecs.ChannelWriter`). ``blob`` reads what the project's own repositories hold."""

    blob: Callable[[Reference, int], bytes] | None = None

    def send(self, method: str, url: str, *, content: bytes, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """One request that may change something; sent again only where it was surely not carried out."""
        deadline = self._deadline
        return response(
            self.http.send(method, url, content=content, headers=headers, timeout=deadline.seconds, deadline=deadline)
        )

    def mail(self, server: MailServer, sender: str, recipients: Sequence[str], message: bytes, /) -> Mapping[str, str]:
        """Hand a mail in, within the channel's time limit."""
        with self._deadline.running():
            return hand_in(server, sender, recipients, message, seconds=self._deadline.left)

    def outside(self, write: Callable[[], T], /) -> T:
        """Run what writes by itself, for as long as the channel may take."""
        pool = ThreadPoolExecutor(1)
        try:
            with self._deadline.running():
                return pool.submit(write).result(self._deadline.left)
        except TimeoutError as error:
            raise AnswerLost(f"channel `{self.table.name}` {self._deadline.reason}") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def released(self, reference: Reference, *, size: int) -> bytes:
        """A blob of the release by its digest, from a repository of the project's images."""
        if self.blob is None:
            raise NotFound(f"`{reference}` cannot be read: there is no registry at hand")
        return self.blob(reference, size)

    def write_file(self, path: str, content: bytes) -> None:
        """Replace a file, from the configuration's folder: whole, or not at all."""
        target = self.folder / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(target)
            finally:
                Path(temporary).unlink(missing_ok=True)
        except OSError as error:
            raise RelmanError(f"cannot write `{path}`: {error.strerror}") from error

    def change_file(self, path: str, change: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file by what ``change`` makes of it, with no other run in between: its folder is locked."""
        folder = (self.folder / path).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise RelmanError(f"cannot write `{path}`: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            after = change(self.read_file(path))
            if after is not None:
                self.write_file(path, after)
        finally:
            os.close(descriptor)
