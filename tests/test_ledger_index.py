"""The page that people see of a ledger in a branch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from relman.documents.reading import PLAN_LIMIT
from relman.ledger.index import SHOWN, index, notes_of
from relman.model.record import RecordState
from tests.test_ledger import NOON, composed

HEAD = """\
# Releases of {project}

[relman](https://github.com/relman/relman) writes this branch: what was released, when, and what came of it. Nothing
here is meant to be edited by hand. Each folder has `record.json` (the record), `plan.json` (what was meant),
`changelog.json` (the data of the notes) and, in most cases, `notes.md`.

"""
TABLE = "| Version | State | Begun (UTC) | Finished (UTC) | |\n| --- | --- | --- | --- | --- |\n"


def test_releases_are_listed_by_stream_with_their_notes_and_records() -> None:
    finished = composed(state=RecordState.FINISHED, finished=NOON + timedelta(minutes=7))
    open_one = composed("f" * 16, "stable-20250609", days=1)
    testing = composed("e" * 16, "44.20250610", stream="testing", days=2)

    page = index([testing, open_one, finished], {finished.name}).decode()

    assert page == (
        HEAD.format(project="Bluefin")
        + f"## stable\n\n{TABLE}"
        + "| [stable-20250609](stable/stable-20250609-ffffffffffffffff) | intended | 2025-06-09 12:00 |  "
        + "| [record](stable/stable-20250609-ffffffffffffffff/record.json) |\n"
        + "| [stable-20250608](stable/stable-20250608-0123456789abcdef/notes.md) | finished | 2025-06-08 12:00 "
        + "| 2025-06-08 12:07 | [record](stable/stable-20250608-0123456789abcdef/record.json) |\n"
        + f"\n## testing\n\n{TABLE}"
        + "| [44.20250610](testing/44.20250610-eeeeeeeeeeeeeeee) | intended | 2025-06-10 12:00 |  "
        + "| [record](testing/44.20250610-eeeeeeeeeeeeeeee/record.json) |\n"
    )


def test_without_records_there_is_only_what_the_branch_is() -> None:
    assert index([], set()).decode() == HEAD.format(project="this project").removesuffix("\n")


def test_names_of_strangers_stay_names() -> None:
    page = index([replace(composed(version="a](b)|<i>"), project="A *B*\n# C", stream="x y")], set()).decode()

    assert page.startswith("# Releases of A \\*B\\* \\# C\n")
    assert "| [a\\]\\(b\\)\\|\\<i\\>](x%20y/a%5D%28b%29%7C%3Ci%3E-0123456789abcdef) |" in page


def test_a_long_history_is_cut_and_says_so() -> None:
    records = [composed(f"{number:016x}", f"v{number}", days=-number) for number in range(SHOWN + 3)]

    page = index(records, set()).decode()

    assert (page.count("/record.json) |"), "3 older ones are in [stable](stable)." in page) == (SHOWN, True)


def test_a_plan_that_cannot_be_read_has_no_notes(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    assert notes_of(plan) is None
    plan.write_text("{}")
    assert notes_of(plan) is None
    with plan.open("wb") as file:
        file.truncate(PLAN_LIMIT + 1)
    assert notes_of(plan) is None
