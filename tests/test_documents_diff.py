"""The documents `relman.diff/1` and `relman.diffs/1`."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from relman.documents.diff import DiffDocument, DiffsDocument, diff_document, diffs_document
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

EXPECTED = {
    "schema": "relman.diff/1",
    "exact": False,
    "notes": ["a note"],
    "before": {
        "reference": "ghcr.io/acme/os:1",
        "digest": "sha256:" + "a" * 64,
        "platform": "linux/amd64",
        "version": "stable-20250525",
        "revision": "b" * 40,
        "packages": 1826,
        "source": "sbom",
    },
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
    document = diffs_document([replace(DIFF, variant="base"), DIFF])

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

    text = json.dumps(diffs_document([diff]))

    assert TypeAdapter(DiffsDocument).validate_json(text) == json.loads(text)


def test_the_schema_tells_a_wrong_document() -> None:
    text = json.dumps({**diff_document(DIFF), "changes": [{"kind": "exploded"}]})

    with pytest.raises(ValidationError, match="exploded"):
        TypeAdapter(DiffDocument).validate_json(text)


def test_the_json_schema_names_every_key_of_the_document() -> None:
    schema = TypeAdapter(DiffDocument).json_schema()

    assert sorted(schema["properties"]) == sorted([*EXPECTED, "variant"])
    assert sorted(schema["required"]) == sorted(EXPECTED)
    assert schema["$defs"]["ChangeKind"]["enum"] == [kind.value for kind in ChangeKind]
