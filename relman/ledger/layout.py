"""Which file of a ledger's folder is what (docs/contract: Records)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from relman.errors import Malformed
from relman.ledger.disk import guarded, make_folder, read_file, touching, write_file
from relman.model.oci import Digest

CONTENTS = "contents"
OBSERVED = "observed.jsonl"
HOLDS = "holds.json"
_RESERVED = frozenset({CONTENTS, OBSERVED, HOLDS})


class Layout(msgspec.Struct, frozen=True):
    """Paths below ``root``. Names come from configuration and plans, so each is checked before it becomes a path.

    ``patience`` is for how many seconds whoever writes waits for another who does.
    """

    root: Path
    patience: float = 10.0

    def stream(self, stream: str) -> Path:
        """A stream's folder."""
        if stream in _RESERVED:
            raise Malformed(f"`{stream}` cannot be a stream's name: the ledger keeps something else there")
        return self.root / safe_name(stream, "the name of a stream")

    def record(self, stream: str, name: str) -> Path:
        """The folder of the record with this name (``<version>-<id>``)."""
        return self.stream(stream) / safe_name(name, "the name of a record")

    def journal(self, stream: str, name: str) -> Path:
        """The journal of that record, on this machine."""
        safe_name(stream, "the name of a stream")
        return self.machine / stream / (safe_name(name, "the name of a record") + ".jsonl")

    def contents(self, digest: Digest) -> Path:
        """A kept list of contents."""
        return self.root / CONTENTS / f"{digest.algorithm}-{digest.hex}.json.zst"

    @property
    def observed(self) -> Path:
        """What tags were seen to hold."""
        return self.root / OBSERVED

    @property
    def holds(self) -> Path:
        """What nothing may enter."""
        return self.root / HOLDS

    @property
    def machine(self) -> Path:
        """What is this machine's alone, and is ignored by git."""
        return self.root / ".journal"

    @property
    def lock(self) -> Path:
        """The file that whoever writes holds for a moment."""
        return self.machine / "lock"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one who writes; see `guarded`. What every write needs is made where it is missing."""
        make_folder(self.machine)
        with guarded(self.lock, self.patience):
            ignore = self.machine / ".gitignore"
            if read_file(ignore, limit=1024) is None:
                write_file(ignore, b"*\n")
            yield

    def streams(self) -> tuple[Path, ...]:
        """The folders of all streams; none where there is no ledger yet."""
        return tuple(path for path in _folders(self.root) if path.name not in _RESERVED)

    def records(self, stream: Path) -> tuple[Path, ...]:
        """The folders below a stream's."""
        return _folders(stream)


def _folders(path: Path) -> tuple[Path, ...]:
    """The folders in ``path`` whose names are in the open, sorted; none where ``path`` is not there."""
    with touching(path):
        try:
            return tuple(sorted(p for p in path.iterdir() if not p.name.startswith(".") and p.is_dir()))
        except FileNotFoundError:
            return ()


def safe_name(name: str, what: str) -> str:
    """``name``, which can only be a file's in the folder it is meant for. Raises `Malformed`."""
    if not name or name.startswith(".") or not name.isprintable() or any(sign in "/\\" for sign in name):
        raise Malformed(f"{name[:80]!r} cannot be {what} in a ledger: it would not be the name of one plain file")
    if len(name.encode()) > 200:
        raise Malformed(f"`{name[:80]}…` cannot be {what} in a ledger: it is longer than 200 bytes")
    return name
