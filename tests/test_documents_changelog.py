"""The changelog as JSON: the contract's shape, and nothing lost on the way there and back."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relman.documents.changelog import changelog_bytes, changelog_document, changelog_from_document
from relman.errors import Malformed
from relman.model.changelog import (
    Accounting,
    Changelog,
    Commit,
    Fix,
    Group,
    Major,
    PackageName,
    Row,
    Section,
    VariantSummary,
)
from relman.model.diff import ChangeKind, Part
from relman.model.oci import Digest, Platform

AMD64 = Platform("linux", "amd64")
BLUEFIN = Changelog(
    project="Bluefin",
    stream="stable",
    version="stable-20250608",
    previous="stable-20250525",
    title="stable-20250608: Stable",
    variants=(VariantSummary("bluefin", AMD64, Digest.of(b"new"), Digest.of(b"old"), "a" * 40, True, 1828),),
    majors=(Major("Kernel", "kernel", ("6.14.3-300.fc42",), ("6.14.5-300.fc42",), ("bluefin",)),),
    groups=(
        Group(
            "All images",
            ("bluefin",),
            (AMD64,),
            (
                Row(
                    ChangeKind.UPGRADED,
                    Part.VERSION,
                    "rpm",
                    "mesa",
                    (PackageName("mesa-dri-drivers", "x86_64"),),
                    ("25.0.4-1.fc42",),
                    ("25.0.6-1.fc42",),
                ),
            ),
        ),
    ),
    commits=(Commit("b" * 40, "fix: a | b", "Ann", type="fix", variants=("bluefin",)),),
    security=(Fix("CVE-2025-1234", ("openssl",), "words"),),
    sections=(Section("highlights", 10, "Highlights", "text"),),
    keys_added=(),
    keys_removed=(),
    accounting=Accounting(1, 1, 0, 1, 1, 0),
)
SHAPE: dict[str, Any] = {
    "schema": "relman.changelog/1",
    "project": "Bluefin",
    "stream": "stable",
    "version": "stable-20250608",
    "previous": "stable-20250525",
    "title": "stable-20250608: Stable",
    "variants": [
        {
            "name": "bluefin",
            "platform": "linux/amd64",
            "digest": str(Digest.of(b"new")),
            "previous_digest": str(Digest.of(b"old")),
            "revision": "a" * 40,
            "exact": True,
            "packages": 1828,
        }
    ],
    "majors": [
        {
            "label": "Kernel",
            "package": "kernel",
            "before": ["6.14.3-300.fc42"],
            "after": ["6.14.5-300.fc42"],
            "variants": ["bluefin"],
        }
    ],
    "groups": [
        {
            "title": "All images",
            "variants": ["bluefin"],
            "platforms": ["linux/amd64"],
            "changes": [
                {
                    "kind": "upgraded",
                    "part": "version",
                    "ecosystem": "rpm",
                    "source": "mesa",
                    "packages": [{"name": "mesa-dri-drivers", "arch": "x86_64"}],
                    "before": ["25.0.4-1.fc42"],
                    "after": ["25.0.6-1.fc42"],
                }
            ],
        }
    ],
    "commits": [
        {
            "sha": "b" * 40,
            "subject": "fix: a | b",
            "author": "Ann",
            "type": "fix",
            "scope": None,
            "breaking": False,
            "listed": True,
            "reason": None,
            "reverted_by": None,
            "variants": ["bluefin"],
        }
    ],
    "security": [{"id": "CVE-2025-1234", "packages": ["openssl"], "text": "words"}],
    "sections": [{"id": "highlights", "rank": 10, "title": "Highlights", "markdown": "text"}],
    "keys": {"added": [], "removed": []},
    "accounting": {
        "commits": {"in_range": 1, "listed": 1, "excluded": 0},
        "packages": {"changed": 1, "shown": 1, "ignored": 0},
    },
    "notes": [],
    "repository_url": None,
    "major": None,
}


def test_the_document_is_the_contract_s_key_by_key_in_its_order() -> None:
    assert json.dumps(changelog_document(BLUEFIN)) == json.dumps(SHAPE)
    assert json.loads(changelog_bytes(BLUEFIN)) == SHAPE


def test_a_document_with_the_contract_s_keys_alone_is_read() -> None:
    bare = {key: value for key, value in SHAPE.items() if key not in ("notes", "repository_url", "major")}
    assert changelog_from_document(bare) == BLUEFIN


def test_keys_that_a_later_relman_adds_are_let_be() -> None:
    later = copy.deepcopy(SHAPE) | {"mood": "good"}
    assert changelog_from_document(later) == BLUEFIN


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("variants", 0, "digest"), "sha256:short", "digest"),
        (("variants", 0, "platform"), "amd64", "platform"),
        (("variants", 0, "packages"), "1828", "packages"),
        (("variants", 0, "exact"), 1, "exact"),
        (("groups", 0, "changes", 0, "kind"), "improved", "kind"),
        (("groups", 0, "changes", 0, "packages"), [], "row without packages"),
        (("groups", 0, "title"), None, "title"),
        (("commits", 0, "listed"), False, "listed or left out"),
        (("accounting", "packages", "shown"), 0, "a row was lost"),
        (("sections", 0, "markdown"), " ", "empty"),
        (("schema",), "relman.changelog/2", "relman.changelog/2"),
        (("keys",), [], "keys"),
    ],
)
def test_a_document_that_does_not_hold_together_is_refused(path: tuple[Any, ...], value: object, said: str) -> None:
    document: Any = copy.deepcopy(SHAPE)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(Malformed, match=said):
        changelog_from_document(document)


@pytest.mark.parametrize("document", [None, [], "text", {}, 7])
def test_what_is_no_changelog_at_all_is_refused(document: object) -> None:
    with pytest.raises(Malformed):
        changelog_from_document(document)


_text = st.text(max_size=8)
_name = st.text(min_size=1, max_size=6)
_texts = st.lists(_text, max_size=2).map(tuple)
_platforms = st.sampled_from([AMD64, Platform("linux", "arm64"), Platform("linux", "arm", "v7")])
_digests = st.binary(max_size=2).map(Digest.of)
_rows = st.builds(
    Row,
    kind=st.sampled_from(ChangeKind),
    part=st.none() | st.sampled_from(Part),
    ecosystem=_text,
    source=st.none() | _text,
    packages=st.lists(st.builds(PackageName, _name, st.none() | _text), min_size=1, max_size=2).map(tuple),
    before=_texts,
    after=_texts,
    arch_before=st.none() | _text,
    vendor_before=st.none() | _text,
    vendor=st.none() | _text,
    name_before=st.none() | _text,
)
_commits = st.builds(
    lambda reason, **fields: Commit(listed=reason is None, reason=reason, **fields),
    reason=st.none() | _text,
    sha=_name,
    subject=_text,
    author=_text,
    type=st.none() | _text,
    scope=st.none() | _text,
    breaking=st.booleans(),
    reverted_by=st.none() | _text,
    variants=_texts,
    co_authors=_texts,
    bot=st.booleans(),
    pull_request=st.none() | st.integers(1, 10**9),
    closes=st.lists(st.integers(1, 10**9), max_size=2).map(tuple),
    newcomers=st.none() | _texts,
)
_groups = st.builds(
    Group, _text, _texts, st.lists(_platforms, max_size=2).map(tuple), st.lists(_rows, max_size=2).map(tuple)
)
_changelogs = st.builds(
    Changelog,
    project=_text,
    stream=st.none() | _text,
    version=st.none() | _text,
    previous=st.none() | _text,
    title=_text,
    variants=st.lists(
        st.builds(
            VariantSummary,
            _name,
            _platforms,
            _digests,
            st.none() | _digests,
            st.none() | _text,
            st.booleans(),
            st.integers(0, 9),
            st.none() | st.integers(0, 9),
        ),
        max_size=2,
    ).map(tuple),
    majors=st.lists(
        st.builds(Major, _text, _text, _texts, _texts, _texts, st.frozensets(_text, max_size=3)), max_size=2
    ).map(tuple),
    groups=st.lists(_groups, max_size=2).map(tuple),
    commits=st.lists(_commits, max_size=2).map(tuple),
    security=st.none() | st.lists(st.builds(Fix, _text, _texts, _text), max_size=2).map(tuple),
    sections=st.lists(st.builds(Section, _name, st.integers(-9, 99), _text, _text.map("x{}".format)), max_size=2).map(
        tuple
    ),
    keys_added=_texts,
    keys_removed=_texts,
    accounting=st.tuples(*[st.integers(0, 9)] * 4).map(
        lambda n: Accounting(n[0] + n[1], n[0], n[1], n[2] + n[3], n[2], n[3])
    ),
    notes=_texts,
    repository_url=st.none() | _text,
    major=st.none() | st.integers(0, 99),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(_changelogs)
def test_a_changelog_survives_being_written_and_read(changelog: Changelog) -> None:
    written = json.dumps(changelog_document(changelog))
    assert changelog_from_document(json.loads(written)) == changelog
    assert json.dumps(changelog_document(changelog_from_document(json.loads(written)))) == written
