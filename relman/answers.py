"""The heads of answers, read strictly: what http.client shrugs at may leave half of an answer looking whole.

It takes a head that was cut off for a whole one, drops what follows a line that is no header, reads to the end of the
connection where a length cannot be read, and takes "103 Early Hints" for the answer, whose own bytes then come next.
"""

from __future__ import annotations

import http.client
import io
import re
from typing import Any, cast

_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r?\n")
_FOLDED = re.compile(rb"[ \t][^\r\n\0]*\r?\n")
_END = (b"\r\n", b"\n")
_LENGTH = re.compile(r"[0-9]{1,18}")
_INTERIM = 20
"""How many answers that announce another one are read before that one."""


class _Lines:
    """What an answer's head is read from; ``last`` is the line that was read last."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._place = 0  # in its head; there may be several, of which the last one counts
        self.last = b""
        self.is_ascii = True

    def readline(self, limit: int = -1) -> bytes:
        line = self.last = self._file.readline(limit)
        self.is_ascii = self.is_ascii and line.isascii()
        if line.endswith(b"\n"):  # of one that is too long, http.client says so, and of one that was cut, `Head`
            self._check(line)
        return line

    def _check(self, line: bytes) -> None:
        if line in _END:
            self._place = 0
            return
        if self._place and not _HEADER.fullmatch(line) and not (self._place > 1 and _FOLDED.fullmatch(line)):
            raise http.client.HTTPException("a line of its head is no header")
        self._place += 1

    def close(self) -> None:
        self._file.close()


class Head(http.client.HTTPResponse):
    """An answer of which all is there that is needed to tell where it ends."""

    def begin(self) -> None:
        """Read it; called once, by http.client."""
        for _ in range(_INTERIM):
            self._begin()
            if not 100 <= self.status < 200:
                return
            if self.status == http.client.SWITCHING_PROTOCOLS:
                break
            self.headers = self.msg = cast(Any, None)  # that was not all: the answer itself is still to come
        self.close()
        raise http.client.HTTPException(f"answered {self.status}, and nothing that could be an answer")

    def _begin(self) -> None:
        file: Any = self.fp
        lines: Any = _Lines(file)
        self.fp = lines
        try:
            super().begin()
        finally:
            self.fp = file if self.fp is lines else cast(Any, None)
        try:
            if lines.last not in _END:
                raise http.client.HTTPException("its head was cut off")
            if not lines.is_ascii:
                self._read_as_utf8()
            self._measure()
        except http.client.HTTPException:
            self.close()
            raise

    def _measure(self) -> None:
        """Be sure of where the body ends."""
        coding = self.headers.get_all("transfer-encoding", [])
        if coding and [one.lower() for one in coding] != ["chunked"]:
            raise http.client.HTTPException("its transfer encoding is none that was asked for")
        stated = self.headers.get_all("content-length", [])
        sizes = {size.strip() for value in stated for size in value.split(",")}
        if sizes and (len(sizes) > 1 or not _LENGTH.fullmatch(min(sizes))):
            raise http.client.HTTPException("how long it is cannot be told from its Content-Length")
        if sizes and not self.chunked and self.length != 0:  # said twice, which http.client cannot read
            self.length = int(min(sizes))
            self.will_close = cast(Any, self)._check_close()

    def _read_as_utf8(self) -> None:
        """Values that are UTF-8, as in a Location with letters, are no Latin-1."""
        for name, value in self.headers.items():
            try:
                meant = value.encode("latin-1").decode()
            except ValueError:
                continue
            if meant != value and len(self.headers.get_all(name, [])) == 1:
                self.headers.replace_header(name, meant)
