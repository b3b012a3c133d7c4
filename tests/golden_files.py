"""Rendered text, compared with files under `golden/`. `RELMAN_UPDATE_GOLDEN=1 pytest` rewrites them."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Fail where ``text`` is not what the file of that name holds, or write it there when asked to."""
    path = GOLDEN / name
    if os.environ.get("RELMAN_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    expected = path.read_bytes().decode() if path.exists() else ""
    assert text == expected, f"{path} differs: `RELMAN_UPDATE_GOLDEN=1 pytest` writes it anew, for `git diff` to judge"
