"""`relman.record/1` and `relman.contents/1`. All values are composed."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from relman.documents.contents import contents_bytes, contents_from_bytes
from relman.documents.holds import holds_bytes, holds_from_bytes
from relman.documents.reading import read_json
from relman.documents.receipts import receipt_document
from relman.documents.record import (
    record_bytes,
    record_document,
    record_from_bytes,
    record_from_document,
)
from relman.documents.values import parse_rfc3339, plain, rfc3339
from relman.errors import Malformed
from relman.model.contents import Capability, Contents, Package, PackageSet
from relman.model.gates import Override
from relman.model.holds import Hold
from relman.model.oci import Digest, Platform
from relman.model.plan import GateResult, State
from relman.model.record import Lease, Receipt, ReceiptState, Record, RecordedVariant, RecordState, Withdrawal
from relman.model.rollback import Rollback

A = Digest.of(b"a")
B = Digest.of(b"b")
NOON = datetime(2025, 6, 8, 12, tzinfo=UTC)

RECORD = Record(
    id="0123456789abcdef",
    project="Bluefin",
    stream="stable",
    version="stable-20250608",
    previous=None,
    state=RecordState.FINISHED,
    created=NOON,
    finished=NOON + timedelta(seconds=90),
    plan=A,
    variants=(
        RecordedVariant("bluefin", "ghcr.io/ublue-os/bluefin", A, B, (Platform("linux", "amd64"),), "c0ffee", B),
    ),
    gates=(GateResult("soak", "bluefin", A, State.PASSED, "3 days", {"days": 3}),),
    receipts=(Receipt("k", "discourse:forum", ReceiptState.DONE, NOON, "17", "https://forum/t/17", "aa" * 32),),
)

moments = st.datetimes(timezones=st.just(UTC))
texts = st.text(max_size=12)
names = st.text(min_size=1, max_size=12)
digests = st.binary(max_size=4).flatmap(lambda b: st.sampled_from([Digest.of(b), Digest.of(b, "sha512")]))
platforms = st.sampled_from([Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("linux", "arm", "v7")])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, json_values, max_size=3)
gates = st.builds(
    GateResult,
    names,
    names,
    digests,
    st.sampled_from(State),
    texts,
    objects,
    st.none() | platforms,
    st.none() | moments,
    needs=st.none() | texts,
    may_override=st.none() | st.lists(texts, max_size=2).map(tuple),
)
overrides = st.builds(Override, names, names, names, digests, texts, texts, moments)
receipts = st.builds(
    Receipt,
    names,
    names,
    st.sampled_from(ReceiptState),
    moments,
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
)
variants = st.builds(
    RecordedVariant,
    names,
    texts,
    st.none() | digests,
    st.none() | digests,
    st.lists(platforms, max_size=2).map(tuple),
    st.none() | texts,
    st.none() | digests,
)
leases = st.builds(Lease, names, st.integers(1, 2**22), st.none() | texts, moments)
records = st.builds(
    Record,
    id=names,
    project=texts,
    stream=names,
    version=names,
    previous=st.none() | texts,
    state=st.sampled_from(RecordState),
    created=moments,
    finished=st.none() | moments,
    plan=digests,
    variants=st.lists(variants, max_size=2).map(tuple),
    gates=st.lists(gates, max_size=2).map(tuple),
    overrides=st.lists(overrides, max_size=2).map(tuple),
    receipts=st.lists(receipts, max_size=2).map(tuple),
    lease=st.none() | leases,
    rollback=st.none() | st.builds(Rollback, names, names, st.none() | texts, texts),
    withdrawn=st.none() | st.builds(Withdrawal, texts, texts, moments),
)


holds = st.builds(
    Hold, names, st.none() | names, st.text(min_size=1, max_size=12).filter(lambda text: text.strip()), texts, moments
)


@given(st.lists(holds, max_size=4).map(tuple))
def test_holds_come_back_from_their_file_as_they_were(held: tuple[Hold, ...]) -> None:
    assert holds_from_bytes(holds_bytes(held), what="it") == held


def test_the_keys_of_a_rollback_and_of_a_withdrawal_stand_only_where_there_is_one() -> None:
    record = replace(
        RECORD,
        state=RecordState.YANKED,
        rollback=Rollback("a" * 16, "b" * 16, None, "ada"),
        withdrawn=Withdrawal("eats files", "grace", NOON),
    )

    document = record_document(record)

    assert {key: value for key, value in document.items() if key not in record_document(RECORD)} == {
        "rollback": {"of": "a" * 16, "to": "b" * 16, "reason": None, "by": "ada"},
        "withdrawn": {"reason": "eats files", "by": "grace", "at": "2025-06-08T12:00:00Z"},
    }


def test_the_keys_of_a_record_stand_in_the_order_of_the_contract() -> None:
    document = json.loads(record_bytes(RECORD))

    assert list(document.items()) == [
        ("schema", "relman.record/1"),
        ("id", "0123456789abcdef"),
        ("project", "Bluefin"),
        ("stream", "stable"),
        ("version", "stable-20250608"),
        ("previous", None),
        ("state", "finished"),
        ("created", "2025-06-08T12:00:00Z"),
        ("finished", "2025-06-08T12:01:30Z"),
        ("plan", A),
        ("variants", document["variants"]),
        ("gates", document["gates"]),
        ("overrides", []),
        ("receipts", document["receipts"]),
    ]
    assert [list(document[key][0].items()) for key in ("variants", "gates", "receipts")] == [
        [
            ("name", "bluefin"),
            ("reference", "ghcr.io/ublue-os/bluefin"),
            ("digest", A),
            ("previous_digest", B),
            ("platforms", ["linux/amd64"]),
            ("revision", "c0ffee"),
            ("contents", B),
        ],
        [
            ("gate", "soak"),
            ("variant", "bluefin"),
            ("digest", A),
            ("state", "passed"),
            ("reason", "3 days"),
            ("evidence", {"days": 3}),
        ],
        [
            ("key", "k"),
            ("action", "discourse:forum"),
            ("state", "done"),
            ("at", "2025-06-08T12:00:00Z"),
            ("remote_id", "17"),
            ("url", "https://forum/t/17"),
            ("sha256", "aa" * 32),
        ],
    ]


def test_a_lease_stands_behind_the_keys_of_the_contract() -> None:
    document = record_document(replace(RECORD, lease=Lease("builder", 42, None, NOON)))

    assert list(document)[-2:] == ["receipts", "lease"]
    assert document["lease"] == {"host": "builder", "process": 42, "started": None, "until": "2025-06-08T12:00:00Z"}


@given(records)
def test_a_record_is_read_back_as_it_was_written(record: Record) -> None:
    content = record_bytes(record)

    assert record_from_bytes(content) == record
    assert record_bytes(record_from_bytes(content)) == content
    assert record_from_document(record_document(record)) == record


def test_keys_that_a_later_relman_added_are_let_be() -> None:
    document = {**record_document(RECORD), "mood": "good"}

    assert record_from_document(document) == RECORD


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("relman.record/2", "the record is a `relman.record/2`, and relman {} reads `relman.record/1`"),
        ("relman.plan/1", "the record is a `relman.plan/1`, not a `relman.record/1`"),
        ("somebody.else/1", 'the record is not a document of relman: it has no `"schema": "relman.record/1"`'),
        (7, 'the record is not a document of relman: it has no `"schema": "relman.record/1"`'),
    ],
)
def test_another_schema_is_refused_and_named(schema: object, message: str) -> None:
    from relman import __version__

    with pytest.raises(Malformed) as caught:
        record_from_document({**record_document(RECORD), "schema": schema})

    assert caught.value.message == message.format(__version__)


def test_a_newer_schema_says_which_relman_may_read_it() -> None:
    with pytest.raises(Malformed) as caught:
        record_from_document({**record_document(RECORD), "schema": "relman.record/2"})

    assert caught.value.hint == "use a relman that is newer than 0.1.0, such as the one that wrote it"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("id",), None, "`id` has a bad value: input should be a valid string"),
        (("id",), "", "`id` has a bad value: string should have at least 1 character"),
        (("created",), "yesterday", "`created` has a bad value: `yesterday` is not a time (`2025-06-08T12:00:00Z`)"),
        (("created",), "2025-06-08", "`created` has a bad value: `2025-06-08` is not a time (`2025-06-08T12:00:00Z`)"),
        (("plan",), "abc", "`plan` has a bad value: `abc` is not a digest (`sha256:` and 64 hex digits)"),
        (("variants", 0, "platforms", 0), "linux", "`variants[0].platforms[0]` has a bad value: `linux` is not a"),
        (("receipts", 0, "state"), "dunno", "`receipts[0].state` has a bad value: it is one of `done`, `adopted`"),
        (("receipts", 0, "key"), 7, "`receipts[0].key` has a bad value: input should be a valid string"),
        (("gates",), {}, "`gates` has a bad value: input should be a valid list"),
    ],
)
def test_a_bad_value_is_refused_and_its_key_named(path: tuple[str | int, ...], value: object, message: str) -> None:
    document = json.loads(record_bytes(RECORD))
    inner = document
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value

    with pytest.raises(Malformed) as caught:
        record_from_document(document, what="`x/record.json`")

    assert caught.value.message.startswith(f"`x/record.json` is not a `relman.record/1`: {message}")


def test_every_key_of_the_contract_is_needed() -> None:
    for key in list(record_document(RECORD))[1:]:
        document = dict(record_document(RECORD))
        del document[key]
        with pytest.raises(Malformed, match=f"`{key}` is missing"):
            record_from_document(document)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"schema": "relman.record/1", "schema": "relman.record/1"}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        record_bytes(RECORD)[:-10],
        record_bytes(RECORD) + b"}",
    ],
)
def test_a_file_that_is_no_record_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        record_from_bytes(content)


def test_a_document_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(Malformed, match="`f` is larger than 1 KiB"):
        read_json(b" " * 1025, what="`f`", limit=1024)


def test_an_error_does_not_hand_a_strangers_escape_codes_to_the_terminal() -> None:
    document = {**record_document(RECORD), "plan": "\x1b[2J\u202e"}

    with pytest.raises(Malformed) as caught:
        record_from_document(document)

    assert "`\\x1b[2J\\u202e` is not a digest" in caught.value.message


def test_what_a_service_answered_cannot_make_a_record_unreadable() -> None:
    hostile = Receipt("k", "a", ReceiptState.DONE, NOON, "\ud800", "u" * 10_000_000, None, "d" * 5000)

    written = receipt_document(hostile)

    assert written["remote_id"] == "?"
    assert written["url"] == "u" * 4095 + "…"
    assert record_from_bytes(record_bytes(replace(RECORD, receipts=(hostile,)))).receipts[0].detail == "d" * 4095 + "…"


def test_evidence_that_json_cannot_hold_is_refused_when_it_is_written() -> None:
    for value in (object(), math.nan, {1: 2}, "\udfff", b"bytes"):
        gate = GateResult("g", "v", A, State.PASSED, "", {"value": value})
        with pytest.raises(Malformed, match="cannot be written"):
            record_bytes(replace(RECORD, gates=(gate,)))


def test_evidence_that_nests_without_end_is_refused() -> None:
    value: list[object] = []
    value.append(value)

    with pytest.raises(ValueError, match="deeper than 64"):
        plain(value)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-06-08T12:00:00Z", NOON),
        ("2025-06-08t12:00:00z", NOON),
        ("2025-06-08T14:30:00+02:30", NOON),
        ("2025-06-08T12:00:00.250Z", NOON + timedelta(milliseconds=250)),
        ("2025-06-08T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
    ],
)
def test_every_spelling_of_rfc_3339_is_read(text: str, moment: datetime) -> None:
    assert parse_rfc3339(text) == moment


@pytest.mark.parametrize(
    "text", ["2025-02-30T12:00:00Z", "2025-06-08T12:00:00", "20250608T120000Z", "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        parse_rfc3339(text)


def test_a_time_is_written_in_utc_and_never_without_a_zone() -> None:
    assert rfc3339(datetime(2025, 6, 8, 14, tzinfo=timezone(timedelta(hours=2)))) == "2025-06-08T12:00:00Z"
    with pytest.raises(ValueError, match="no time zone"):
        rfc3339(datetime(2025, 6, 8, 14))  # noqa: DTZ001  the very thing that is refused


AMD64 = Platform("linux", "amd64")
packages = st.builds(
    Package, st.sampled_from(["rpm", "deb"]), names, st.none() | names, names, st.none() | names, st.none() | names
)
contents = st.builds(
    Contents,
    st.lists(packages, max_size=8).map(PackageSet),
    names,
    st.frozensets(st.sampled_from(Capability)),
    st.lists(texts, max_size=2).map(tuple),
    objects,
)


@given(st.dictionaries(platforms, contents, max_size=3))
def test_contents_are_read_back_as_they_were_written(lists: dict[Platform, Contents]) -> None:
    content = contents_bytes(lists)

    assert contents_from_bytes(content) == lists
    assert contents_bytes(dict(reversed(lists.items()))) == content


def test_what_did_not_serve_when_a_list_was_read_is_not_kept_with_it() -> None:
    one = Contents(PackageSet([Package("deb", "bash", None, "5.2")]), "sbom", frozenset(), extras={"modules": {}})
    other = replace(one, extras={"modules": {}, "passed_over": ("contents: there is none",)})

    assert contents_bytes({AMD64: other}) == contents_bytes({AMD64: one})
    assert contents_from_bytes(contents_bytes({AMD64: other})) == {AMD64: one}


def test_contents_are_compact_rows_by_ecosystem() -> None:
    kernels = [Package("rpm", "kernel", "x86_64", v, "kernel", "Fedora Project") for v in ("6.14.4-300", "6.14.4-300")]
    lists = {
        AMD64: Contents(
            PackageSet([*kernels, Package("deb", "bash", None, "5.2")]), "sbom", frozenset({Capability.ARCH}), ("k1",)
        )
    }

    assert contents_bytes(lists) == (
        b'{"schema":"relman.contents/1","platforms":{"linux/amd64":{"source":"sbom","capabilities":["arch"],'
        b'"keys":["k1"],"extras":{},"packages":{"deb":[["bash",null,"5.2",null,null]],'
        b'"rpm":[["kernel","x86_64","6.14.4-300","kernel","Fedora Project"]]}}}}\n'
    )


@pytest.mark.parametrize("row", [["bash"], ["bash", None, None, None, None], [None, "x", "1", None, None], "bash"])
def test_a_row_that_is_no_package_is_malformed(row: object) -> None:
    platform = {"source": "sbom", "capabilities": [], "keys": [], "extras": {}, "packages": {"rpm": [row]}}
    document = {"schema": "relman.contents/1", "platforms": {"linux/amd64": platform}}

    with pytest.raises(Malformed):
        contents_from_bytes(json.dumps(document).encode())
