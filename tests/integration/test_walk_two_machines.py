"""Two machines with a clone each and one branch of records: exactly one carries a release out."""

from __future__ import annotations

import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

from tests.git_remotes import clone, git, log
from tests.integration.driver import Project, Workshop
from tests.servers import Asked, Reply, Scripted

HOOK = """
[[announce]]
type = "webhook"
name = "hook"
url = "{url}/hook"
required = true
"""


def second(project: Project, folder: Path) -> Project:
    """The same project on another machine: a folder of its own before the same registry."""
    folder.mkdir()
    (folder / "images").symlink_to(project.folder / "images")
    for name in ("relman.toml", "plan.json"):
        shutil.copy(project.folder / name, folder)
    return replace(project, folder=folder)


def test_of_two_machines_that_apply_at_once_one_wins_and_the_other_exits_with_8(tmp_path: Path) -> None:
    done = threading.Event()

    def received(_asked: Asked) -> Reply:
        done.wait(60)
        return Reply(204)

    with Scripted(received) as hook:
        one = Workshop(tmp_path / "workshop", "").layouts(HOOK.format(url=hook.url))
        bare = tmp_path / "source.git"
        git(tmp_path, "clone", "--quiet", "--bare", str(one.history.folder), str(bare))
        one.configure('path = "releases"', 'branch = "relman/records"')
        one.configure(json.dumps(str(one.history.folder)), '"source"')
        one_source = clone(bare, one.folder / "source")
        one.plan()
        other = second(one, tmp_path / "other")
        clone(bare, other.folder / "source")
        git(other.folder / "source", "checkout", "--quiet", "--detach")

        runs = [project.start("apply", "plan.json", GIT_CONFIG_GLOBAL=os.devnull) for project in (one, other)]
        try:
            while all(run.poll() is None for run in runs):
                threading.Event().wait(0.05)
        finally:
            done.set()
        said = [run.communicate(timeout=60)[1] for run in runs]

        assert sorted(run.returncode for run in runs) == [0, 8], said
        winner, loser = sorted(runs, key=lambda run: run.returncode)
        assert f"is held by process {winner.pid} on " in said[runs.index(loser)]
        assert len(hook.asked) == 1
        assert log(bare) == [f"release: stable-20260624 {what}" for what in ("begun", "tags moved", "finished")]
        for project in (one, other):
            again = project.relman("apply", "plan.json", GIT_CONFIG_GLOBAL=os.devnull)
            assert "nothing to do: `stable-20260624` is finished" in again.stderr
        assert one.builds("stable", "stable-20260624") == {"stable": {1}, "stable-20260624": {1}}
        assert git(one_source, "status", "--porcelain") == ""
        page = git(bare, "show", "relman/records:README.md")
        (folder,) = git(bare, "ls-tree", "--name-only", "relman/records", "stable/").split()
        assert f"| [stable-20260624]({folder}/notes.md) | finished | 2026-06-24 12:00 |" in page
        assert git(bare, "show", f"relman/records:{folder}/notes.md").startswith("# ")
