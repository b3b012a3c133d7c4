"""`holds.json` on disk: replaced whole, under the ledger's lock."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from relman.documents.holds import HOLDS_LIMIT, holds_bytes, holds_from_bytes
from relman.errors import Malformed
from relman.ledger.disk import read_file, write_file
from relman.model.holds import Hold


class HoldsFile:
    """The holds in ``path``, which need not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Hold, ...]:
        """Every hold. Raises `Malformed` where the file cannot be read."""
        content = read_file(self._path, limit=HOLDS_LIMIT)
        try:
            return () if content is None else holds_from_bytes(content, what=f"`{self._path}`")
        except Malformed as error:
            hint = error.hint or "mend it, or restore it from the history of the ledger: until then nothing is released"
            raise Malformed(error.message, hint=hint) from error

    def write(self, holds: Iterable[Hold]) -> None:
        """Replace the file. The caller holds the lock."""
        write_file(self._path, holds_bytes(holds))
