"""Where a project's configuration is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "relman.toml"


def find(start: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration for ``start``: `RELMAN_CONFIG`, else relman.toml there or in a folder above, else `None`."""
    if named := environ.get("RELMAN_CONFIG"):
        return Path(named)
    return next((folder / FILE_NAME for folder in (start, *start.parents) if (folder / FILE_NAME).is_file()), None)
