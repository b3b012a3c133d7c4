"""The documents `relman.diff/1` and `relman.diffs/1`."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from pydantic import TypeAdapter, ValidationError

from relman.documents.diff import DiffDocument, DiffsDocument, diff_document, diffs_document, entry_time
from relman.model.changelog import Fix
from relman.model.contents import ChangelogEntry
from relman.model.details import ChangedFile, DiffDetails, SourceEntries
from relman.model.diff import Change, ChangeKind, Diff, Part, Side
from relman.model.oci import LINUX_AMD64, Digest

BEFORE = Side("ghcr.io/acme/os:1", Digest("sha256:" + "a" * 64), LINUX_AMD64, "stable-20250525", "b" * 40, 1826, "sbom")
AFTER = Side("sbom:new.json", None, None, None, None, 1828, "sbom")
KERNEL = Change(
    ChangeKind.UPGRADED,
    Part.VERSION,
    "rpm",
    "kernel-core",
    "x86_64",
    ("6.14.3-300.fc42", "6.14.4-300.fc42"),
    ("6.14.4-300.fc42", "6.14.5-300.fc42"),
    "kernel",
)
DIFF = Diff(None, LINUX_AMD64, BEFORE, AFTER, (KERNEL,), ("b99058cd-1",), (), False, ("a note",))

EXPECTED_BEFORE = {
    "reference": "ghcr.io/acme/os:1",
    "digest": "sha256:" + "a" * 64,
    "platform": "linux/amd64",
    "version": "stable-20250525",
    "revision": "b" * 40,
    "packages": 1826,
    "source": "sbom",
}
EXPECTED = {
    "schema": "relman.diff/1",
    "exact": False,
    "notes": ["a note"],
    "before": EXPECTED_BEFORE,
    "after": {
        "reference": "sbom:new.json",
        "digest": None,
        "platform": None,
        "version": None,
        "revision": None,
        "packages": 1828,
        "source": "sbom",
    },
    "summary": {
        "added": 0,
        "removed": 0,
        "upgraded": 1,
        "downgraded": 0,
        "rebuilt": 0,
        "renamed": 0,
        "changed": 0,
    },
    "changes": [
        {
            "kind": "upgraded",
            "part": "version",
            "ecosystem": "rpm",
            "name": "kernel-core",
            "arch": "x86_64",
            "before": ["6.14.3-300.fc42", "6.14.4-300.fc42"],
            "after": ["6.14.4-300.fc42", "6.14.5-300.fc42"],
            "source": "kernel",
        }
    ],
    "keys": {"added": ["b99058cd-1"], "removed": []},
}


def test_a_diff_is_written_as_the_contract_shows_it_key_order_included() -> None:
    assert json.dumps(diff_document(DIFF)) == json.dumps(EXPECTED)


def test_the_diffs_of_a_stream_name_their_variants() -> None:
    document = diffs_document(map(diff_document, [replace(DIFF, variant="base"), DIFF]))

    assert json.dumps(document) == json.dumps(
        {
            "schema": "relman.diffs/1",
            "diffs": [
                {"schema": "relman.diff/1", "variant": "base", **{k: EXPECTED[k] for k in EXPECTED if k != "schema"}},
                EXPECTED,
            ],
        }
    )


def test_what_else_changed_is_written_only_where_it_did() -> None:
    renamed = replace(
        KERNEL, kind=ChangeKind.RENAMED, arch_before="noarch", vendor_before="Fedora", name_before="linux"
    )

    (row,) = diff_document(replace(DIFF, changes=(renamed,)))["changes"]

    assert list(row.items())[-4:] == [
        ("source", "kernel"),
        ("arch_before", "noarch"),
        ("vendor_before", "Fedora"),
        ("name_before", "linux"),
    ]


TOLD = DiffDetails(
    changelogs=(SourceEntries("openssl", ("openssl", "openssl-libs"), (ChangelogEntry(1767268800, "A - 1", "- x"),)),),
    security=(Fix("CVE-2025-1234", ("openssl",), "x"),),
    files=(ChangedFile("/etc/a", True), ChangedFile("/b", False)),
    changelog_notes=("a note on changelogs",),
    file_notes=("a note on files",),
)


def test_what_was_asked_for_comes_last_as_the_contract_shows_it() -> None:
    document = diff_document(DIFF, TOLD, ["changelogs", "security", "files"])

    assert json.dumps(document) == json.dumps(
        {
            **EXPECTED,
            "notes": ["a note", "a note on changelogs", "a note on files"],
            "changelogs": [
                {
                    "source": "openssl",
                    "packages": ["openssl", "openssl-libs"],
                    "entries": [{"time": "2026-01-01T12:00:00Z", "author": "A - 1", "text": "- x"}],
                }
            ],
            "security": [{"id": "CVE-2025-1234", "packages": ["openssl"], "text": "x"}],
            "files": [{"path": "/etc/a", "config": True}, {"path": "/b", "config": False}],
        }
    )
    assert TypeAdapter(DiffDocument).validate_python(document) == document


def test_only_what_was_asked_for_is_there_and_null_is_not_known() -> None:
    one = diff_document(DIFF, TOLD, ["files"])
    two = diff_document(DIFF, None, ["security"])
    three = diff_document(DIFF, DiffDetails(changelogs=(), security=(), files=()), ["changelogs", "security", "files"])

    assert [key for key in one if key not in EXPECTED] == ["files"]
    assert one["notes"] == ["a note", "a note on files"]
    assert {key: value for key, value in two.items() if key not in EXPECTED} == {"security": None}
    assert (three["changelogs"], three["security"], three["files"]) == ([], [], [])


@pytest.mark.parametrize(("seconds", "year"), [(-5, "1970"), (0, "1970"), (2**63, "9999"), (-(2**63), "1970")])
def test_a_time_that_no_calendar_has_is_the_nearest(seconds: int, year: str) -> None:
    assert entry_time(ChangelogEntry(seconds, "A", "")).startswith(year)


def test_sources_that_did_not_serve_are_named_where_there_are_some() -> None:
    document = diff_document(replace(DIFF, before=replace(BEFORE, passed_over=("contents: the image has none",))))

    assert document["before"] == {**EXPECTED_BEFORE, "passed_over": ["contents: the image has none"]}
    assert "passed_over" not in document["after"]


@pytest.mark.parametrize("kind", list(ChangeKind))
def test_every_document_fits_its_schema(kind: ChangeKind) -> None:
    change = replace(
        KERNEL,
        kind=kind,
        part=None,
        before=() if kind is ChangeKind.ADDED else ("1-1",),
        after=() if kind is ChangeKind.REMOVED else ("1-1",),
        arch=None,
        source=None,
        vendor_before="Fedora",
    )
    diff = replace(DIFF, changes=(change,), variant="base", platform=None)

    text = json.dumps(diffs_document([diff_document(diff)]))

    assert TypeAdapter(DiffsDocument).validate_json(text) == json.loads(text)


def test_the_schema_tells_a_wrong_document() -> None:
    text = json.dumps({**diff_document(DIFF), "changes": [{"kind": "exploded"}]})

    with pytest.raises(ValidationError, match="exploded"):
        TypeAdapter(DiffDocument).validate_json(text)


def test_the_json_schema_names_every_key_of_the_document() -> None:
    schema = TypeAdapter(DiffDocument).json_schema()

    assert sorted(schema["properties"]) == sorted([*EXPECTED, "variant", "changelogs", "security", "files"])
    assert sorted(schema["required"]) == sorted(EXPECTED)
    assert schema["$defs"]["ChangeKind"]["enum"] == [kind.value for kind in ChangeKind]
