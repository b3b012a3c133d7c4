"""The flow in use today, as the scripts of published images have it: one program after the other.

For each variant `skopeo inspect` of both builds, twice (once for the tags, once for the digests), `oras discover` and
`oras pull` of both lists, then `json.loads` and a diff by name. A program of its own, so that it is measured as relman
is: `python -m tests.bench.today HOST/PREFIX VARIANT…` prints seconds, programs and wrong rows as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.judge import wrong_of_today
from tests.bench.store import SBOM_TYPE, TAGS


class _Programs:
    """Runs them, and counts."""

    def __init__(self) -> None:
        self.count = 1  # the script itself

    def __call__(self, *argv: str) -> bytes:
        self.count += 1
        return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout


def main(prefix: str, *variants: str) -> int:
    """The whole flow, in a folder of its own."""
    programs, wrong, begin = _Programs(), 0, time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="relman-bench-today-") as folder:
        for variant in variants:
            repository = f"{prefix}/{variant}"
            digests = [_inspect(programs, f"{repository}:{tag}")["Digest"] for tag in (TAGS[0], "stable")]
            packages = []
            for number, digest in enumerate(digests):
                _inspect(programs, f"{repository}@{digest}")
                file = _pull(programs, repository, digest, Path(folder) / f"{variant}-{number}")
                packages.append(_packages(file))
                file.unlink()
            wrong += wrong_of_today(packages[0], packages[1])
    seconds = time.perf_counter() - begin
    sys.stdout.write(json.dumps({"seconds": seconds, "programs": programs.count, "wrong": wrong}))
    return 0


def _inspect(programs: _Programs, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(programs("skopeo", "inspect", "--tls-verify=false", f"docker://{reference}"))
    return found


def _pull(programs: _Programs, repository: str, digest: str, target: Path) -> Path:
    asked = ("oras", "discover", "--plain-http", "--format", "json", "--artifact-type", SBOM_TYPE)
    found = json.loads(programs(*asked, f"{repository}@{digest}"))
    entry = (found.get("referrers") or found["manifests"])[0]
    programs("oras", "pull", "--plain-http", "--no-tty", "-o", str(target), f"{repository}@{entry['digest']}")
    (file,) = [path for path in target.rglob("*") if path.is_file()]
    return file


def _packages(file: Path) -> dict[str, str]:
    document = json.loads(file.read_text())
    return {artifact["name"]: artifact["version"] for artifact in document["artifacts"] if artifact["type"] == "rpm"}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
