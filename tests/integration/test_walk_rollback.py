"""Going back, holding and yanking, by the program itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.driver import NOW, VARIANTS, Project, Workshop

FIRST, SECOND = "stable-20260624", "stable-20260625"
DAY = 24 * 3600


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path, "")  # layouts alone


def at(days: float) -> str:
    return f"{NOW.timestamp() + days * DAY:.0f}"


def released(project: Project) -> Project:
    """Two releases: the builds 1 and 2."""
    project.relman("release", "stable", "--yes")
    for variant in VARIANTS:
        project.retag(variant, "testing", 2)
    project.relman("release", "stable", "--yes", SOURCE_DATE_EPOCH=at(1))
    return project


def test_a_bad_release_is_taken_back_by_one_command_and_stays_back(workshop: Workshop) -> None:
    project = released(workshop.layouts())
    before = project.builds("testing", FIRST, SECOND)

    nobody = project.relman("rollback", "stable", code=2)
    back = project.relman(
        "rollback", "stable", "--reason", "no sound", "--yes", GITHUB_ACTOR="ada", SOURCE_DATE_EPOCH=at(2)
    )
    again = project.relman("rollback", "stable", "--yes", SOURCE_DATE_EPOCH=at(2))
    held = project.relman("release", "stable", "--yes", code=6, SOURCE_DATE_EPOCH=at(2))

    assert "give `--yes`" in nobody.stderr
    assert f"`stable` is back at {FIRST}, and held there: `relman unhold stable` lifts that" in back.stderr
    assert project.builds("stable", "testing", FIRST, SECOND) == {"stable": {1}, **before}
    assert "nothing to do: `stable` was rolled back already; `--to V` goes further" in again.stderr
    assert f"ada holds stable since 2026-06-26 12:00: rolled back from {SECOND} to {FIRST}: no sound" in held.stderr

    status = project.relman("status", "stable", SOURCE_DATE_EPOCH=at(2))
    assert (
        f"  held       by ada since 2026-06-26 12:00: rolled back from {SECOND} to {FIRST}: no sound" in status.stdout
    )
    found = project.relman("records", "--format", "json").json["records"]
    assert [(r["version"], r["state"], "rollback" in r) for r in found] == [
        (FIRST, "finished", True),
        (SECOND, "rolled-back", False),
        (FIRST, "finished", False),
    ]
    assert found[0]["rollback"] == {"of": found[1]["id"], "to": found[2]["id"], "reason": "no sound", "by": "ada"}
    assert f"rolled back to {FIRST}: no sound" in project.relman("records", "show", SECOND).stdout
    notes = project.relman("changelog", "--stream", "stable", "--to", SECOND).stdout
    assert notes.startswith(
        f"> [!CAUTION]\n> **This release was rolled back** on 2026-06-26: rolled back to {FIRST}: no sound\n\n"
    )

    lifted = project.relman("unhold", "stable", "--yes")
    project.relman("release", "stable", "--yes", SOURCE_DATE_EPOCH=at(3))
    assert lifted.stdout.startswith("lifted: stable (ada, 2026-06-26 12:00): rolled back from")
    assert project.builds("stable") == {"stable": {2}}


def test_a_yanked_release_is_named_everywhere_and_a_saved_plan_leads_back(workshop: Workshop) -> None:
    project = released(workshop.layouts())

    yanked = project.relman("yank", "stable", SECOND, "--reason", "eats *files*", "--yes", GITHUB_ACTOR="ada")
    twice = project.relman("yank", "stable", SECOND, "--reason", "another", "--yes")

    assert yanked.stdout.startswith(f"{SECOND} is yanked (ada, ")
    assert "it is what `stable` holds now (`base`, `dx`): `relman rollback stable` goes back" in yanked.stderr
    assert twice.stdout.startswith(f"{SECOND} was yanked before (ada, ")
    assert (
        f"  yanked     {SECOND} is what the stream holds: `relman rollback stable`" in project.relman("status").stdout
    )
    ask = ("changelog", "--stream", "stable", "--to", SECOND, "--format")
    assert project.relman(*ask, "markdown").stdout.splitlines()[1].endswith(r": eats \*files\*")
    assert project.relman(*ask, "text").stdout.startswith("THIS RELEASE WAS YANKED on 2026-06-24: eats *files*\n")
    assert project.relman(*ask, "json").json["withdrawn"] == {
        "state": "yanked",
        "at": "2026-06-24T12:00:00Z",
        "by": "ada",
        "reason": "eats *files*",
    }
    assert "<strong>This release was yanked</strong> on 2026-06-24: eats *files*" in project.relman(*ask, "html").stdout

    project.relman("rollback", "stable", "-o", "back.json", SOURCE_DATE_EPOCH=at(2))
    shown = project.relman("show", "back.json")
    assert project.builds("stable") == {"stable": {2}}
    project.relman("apply", "back.json", SOURCE_DATE_EPOCH=at(2))

    assert f"rolls back {SECOND}" in shown.stdout
    assert project.builds("stable", SECOND) == {"stable": {1}, SECOND: {2}}
    states = [(r["version"], r["state"]) for r in project.relman("records", "--format", "json").json["records"]]
    assert states == [(FIRST, "finished"), (SECOND, "yanked"), (FIRST, "finished")]


def test_a_hold_keeps_a_stream_as_it_is_until_it_is_lifted_or_overridden(workshop: Workshop) -> None:
    project = workshop.layouts()

    project.relman("hold", "stable", code=2)
    project.relman("hold", "stable", "--variant", "kde", "--reason", "x", "--yes", code=2)
    held = project.relman("hold", "stable", "--variant", "dx", "--reason", "no sound", "--yes", GITHUB_ACTOR="ada")
    refused = project.relman("release", "stable", "--yes", code=6)

    assert held.stdout == "held: stable, variant dx (ada, 2026-06-24 12:00): no sound\n"
    assert "gate `hold` is failed for `dx`" in refused.stderr
    (hold,) = json.loads((project.folder / "releases" / "holds.json").read_text())["holds"]
    assert hold == {
        "stream": "stable",
        "variant": "dx",
        "reason": "no sound",
        "by": "ada",
        "since": "2026-06-24T12:00:00Z",
    }
    assert project.relman("status", "stable", "--format", "json").json["streams"][0]["holds"] == [hold]

    excuse = ("--override", "hold", "--reason", "sound works again", "--until", "2026-06-26")
    project.relman("release", "stable", "--yes", *excuse)
    assert project.builds("stable") == {"stable": {1}}
    assert project.relman("unhold", "stable", "--yes", "--format", "json").json["holds"] == [hold]
    assert "nobody holds `stable`" in project.relman("unhold", "stable", "--yes").stderr
