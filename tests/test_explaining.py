"""`relman tags`: every real tag is read, or says why not; spellings of one build are one row."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.cli import relman as command_line
from relman.config import Config
from relman.errors import RelmanError, UsageError
from relman.model.oci import Digest
from relman.model.streams import Stream, TagPattern, Variant
from relman.walk.explaining import ExplainedTag, Kind, explain
from tests.test_profiles import load
from tests.walking import World

DATA = Path(__file__).parent / "data" / "tags"
SAMPLE = DATA / "ghcr-tag-sample.bluefin.2026-09-22.txt"


def config(folder: Path, name: str) -> Config:
    own = '[project]\nname = "x"\n[registry]\nprefix = "ghcr.io/x"\n[[variants]]\nname = "x"\n'
    return load(folder, f'profile = "{name}"\n' + (own if name == "plain" else ""))


def explained(folder: Path, name: str, *tags: str, **options: object) -> dict[str, ExplainedTag]:
    found = config(folder, name)
    streams = tuple(found.streams.values())
    return {each.tag: each for each in explain(tags, streams, found.variants, **options)}  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------ real spellings, one by one

READ = [
    ("bluefin", "stable-20250928", "stable", "2025-09-28", 0, None),
    ("bluefin", "stable-20250714.2", "stable", "2025-07-14", 2, None),
    ("bluefin", "stable-44.20260623", "stable", "2026-06-23", 0, 44),
    ("bluefin", "stable-daily-20241112.1", "stable-daily", "2024-11-12", 1, None),
    ("bluefin", "stable-daily-44.20260623", "stable-daily", "2026-06-23", 0, 44),
    ("bluefin", "44.20260623", "stable-daily", "2026-06-23", 0, 44),
    ("bluefin", "gts-20250629.2", "gts", "2025-06-29", 2, None),
    ("bluefin", "gts-44.20260623", "gts", "2026-06-23", 0, 44),
    ("bluefin", "latest-41.20241113.1", "latest", "2024-11-13", 1, 41),
    ("bluefin", "latest-20260502", "latest", "2026-05-02", 0, None),
    ("bluefin", "44-44.20260623", "latest", "2026-06-23", 0, 44),
    ("bluefin", "44-20260623", "latest", "2026-06-23", 0, None),
    ("bluefin-lts", "lts.20250808", "lts", "2025-08-08", 0, None),
    ("bluefin-lts", "lts-20250602", "lts", "2025-06-02", 0, None),
    ("bluefin-lts", "latest.20241227", "lts", "2024-12-27", 0, None),
    ("bluefin-lts", "10-20260606", "lts", "2026-06-06", 0, None),
    ("bluefin-lts", "lts-hwe-20260502", "lts-hwe", "2026-05-02", 0, None),
    ("bluefin-lts", "lts-hwe-testing-20260331", "lts-hwe-testing", "2026-03-31", 0, None),
    ("bluefin-lts", "10-hwe-testing-20260621", "lts-hwe-testing", "2026-06-21", 0, None),
    ("bluefin-lts", "lts-hwe-testing-50.20260624", "lts-hwe-testing-50", "2026-06-24", 0, None),
    ("bluefin-lts", "lts-testing-50-20260502", "lts-testing-50", "2026-05-02", 0, None),
    ("bluefin-lts", "stream10-testing.20260621", "lts-testing", "2026-06-21", 0, None),
    ("aurora", "stable-20260526", "stable", "2026-05-26", 0, None),
    ("aurora", "stable-20260819.1", "stable", "2026-08-19", 1, None),
    ("aurora", "latest-44.20260819.1", "latest", "2026-08-19", 1, 44),
    ("bazzite", "44.20260713", "stable", "2026-07-13", 0, 44),
    ("bazzite", "44.20260501.1", "stable", "2026-05-01", 1, 44),
    ("bazzite", "41.20241029.1", "stable", "2024-10-29", 1, 41),
    ("bazzite", "stable-44.20260713", "stable", "2026-07-13", 0, 44),
    ("bazzite", "testing-44.20260709.1", "testing", "2026-07-09", 1, 44),
    ("bazzite", "testing-41.20241025.2", "testing", "2024-10-25", 2, 41),
    ("bazzite", "unstable-44.20260819.1", "unstable", "2026-08-19", 1, 44),
    ("ucore", "stable-20260720", "stable", "2026-07-20", 0, None),
    ("ucore", "lts-20260720", "lts", "2026-07-20", 0, None),
    ("ucore", "testing-20260821", "testing", "2026-08-21", 0, None),
    ("ucore", "stable-nvidia-20260720", "stable", "2026-07-20", 0, None),
    ("ucore", "stable-nvidia-lts-20260720", "stable", "2026-07-20", 0, None),
    ("plain", "20260713", "latest", "2026-07-13", 0, None),
    ("plain", "20260713.1", "latest", "2026-07-13", 1, None),
    ("plain", "20260713-44", "latest", "2026-07-13", 0, 44),
    ("plain", "latest.20260114", "latest", "2026-01-14", 0, None),
    ("plain", "latest-20260620", "latest", "2026-06-20", 0, None),
]


@pytest.mark.parametrize(("name", "tag", "stream", "day", "point", "major"), READ)
def test_a_spelling_of_the_field_is_read(
    name: str, tag: str, stream: str, day: str, point: int, major: int | None, tmp_path: Path
) -> None:
    found = explained(tmp_path, name, tag)[tag]

    assert [reading.stream for reading in found.readings] == [stream]
    assert found.version
    assert (found.version.date.isoformat(), found.version.point, found.version.major) == (day, point, major)


MOVING = [
    ("bluefin", {"stable": "stable", "stable-daily": "stable-daily", "gts": "gts", "latest": "latest", "44": "latest"}),
    ("bluefin", {"beta": "beta", "testing": "testing"}),
    ("bluefin-lts", {"lts": "lts", "stream10": "lts", "10": "lts", "lts-testing": "lts-testing"}),
    ("bluefin-lts", {"10-testing-50": "lts-testing-50", "lts-hwe": "lts-hwe"}),
    ("bazzite", {"stable": "stable", "latest": "stable", "stable-44": "stable", "testing": "testing"}),
    ("bazzite", {"testing-44": "testing", "unstable": "unstable"}),
    ("ucore", {"stable": "stable", "stable-nvidia": "stable", "lts-nvidia-lts": "lts"}),
]


@pytest.mark.parametrize(("name", "tags"), MOVING)
def test_a_tag_that_moves_is_of_its_stream(name: str, tags: Mapping[str, str], tmp_path: Path) -> None:
    found = explained(tmp_path, name, *tags)

    assert {tag: each.kind for tag, each in found.items()} == dict.fromkeys(tags, Kind.MOVING)
    assert {tag: each.first.stream for tag, each in found.items() if each.first} == tags


HEX = "9f0201d21641133b15c5e58e6cf85008259e8ffce1c7169a063f7474f2f56c41"
UNREAD = [
    ("bluefin", f"sha256-{HEX}.sig", "it holds a signature, of sha256:9f0201d21641"),
    ("bluefin", f"sha256-{HEX}.att", "it holds attestations, of sha256:9f0201d21641"),
    ("bluefin", f"sha256-{HEX}.sbom", "it holds an SBOM, of sha256:9f0201d21641"),
    ("bluefin", f"sha256-{HEX}", "it holds what refers to it, of sha256:9f0201d21641"),
    ("bluefin", f"sha256-{HEX}.other", "it holds what `.other` says, of sha256:9f0201d21641"),
    (
        "plain",
        "sha256-20260623",
        "its name is that of a tag which holds signatures or referrers, and it is never a build",
    ),
    ("bluefin", "pr-4700-stable-44.20260623", "it is a build of pull request 4700"),
    ("bluefin", "0a1b2c3-stable-44.20260623", "it names the commit `0a1b2c3`"),
    ("ucore", "stable-20260720-0a1b2c3", "it names the commit `0a1b2c3`"),
    (
        "bluefin",
        "742b3b77b924aeff47610b6c985dd1805dd5e927",
        "it names the commit `742b3b77b924aeff47610b6c985dd1805dd5e927`",
    ),
    ("bluefin", "stable-20260231", "`20260231` is no day of the calendar"),
    ("bluefin", "stable-2026062", "no stream has this tag, and it names no day"),
    ("bluefin", "next-44.20260623.1", "no pattern reads `next-{major}.{date}[.{point}]`"),
    ("bluefin", "10-20260606", "no pattern reads `10-{date}`"),
    ("bluefin", "stable-20260623.1.2", "no pattern reads `stable-{date}.1.2`"),
    ("bluefin-lts", "lts-amd64", "it is amd64 alone, of `lts` (stream `lts`)"),
    ("bluefin-lts", "lts.20260714-arm64", "it is arm64 alone, of `lts.20260714` (stream `lts`)"),
    ("bluefin", "lts-testing-amd64", "it is amd64 alone, of `lts-testing`"),
    ("bazzite", "v3.7.0", "it is a version number without a day"),
    ("plain", "v2026.06", "it is a version number without a day"),
    ("bluefin", "lts", "no stream has this tag, and it names no day"),
]


@pytest.mark.parametrize(("name", "tag", "reason"), UNREAD)
def test_a_tag_that_nothing_reads_says_why(name: str, tag: str, reason: str, tmp_path: Path) -> None:
    found = explained(tmp_path, name, tag)[tag]

    assert (found.kind, found.readings, found.reason) == (Kind.UNREAD, (), reason)


def test_a_tag_of_another_stream_or_of_a_neighbour_says_whose_it_is(tmp_path: Path) -> None:
    ucore = config(tmp_path, "ucore")
    one, *beside = (variant for variant in ucore.variants if variant.repository == "ucore")
    tags = ("stable-20260720", "testing-20260720", "stable-nvidia-20260720", "stable-nvidia-lts", "testing-nvidia")
    streams = tuple(ucore.streams.values())
    found = explain(tags, streams, [one], only=ucore.streams["stable"], neighbours=beside)

    assert {each.tag: each.reason for each in found} == {
        "stable-20260720": None,
        "testing-20260720": "the stream `testing` reads it",
        "stable-nvidia-20260720": "it is of the variant `ucore-nvidia` (stream `stable`)",
        "stable-nvidia-lts": "it is of the variant `ucore-nvidia-lts` (stream `stable`)",
        "testing-nvidia": "it is of the variant `ucore-nvidia` (stream `testing`)",
    }


# ------------------------------------------------------------------------------------------- all of the real tags


def listed(file: str) -> list[str]:
    return [line.split("\t")[0] for line in (DATA / file).read_text(encoding="utf-8").splitlines() if line[:1] != "#"]


def summary(found: Mapping[str, ExplainedTag]) -> Counter[str]:
    return Counter(each.first.stream if each.first else each.reason or "" for each in found.values())


def test_every_release_tag_of_bluefin_is_read_but_the_version_numbers_of_its_first_year(tmp_path: Path) -> None:
    assert summary(explained(tmp_path, "bluefin", *listed("ublue-os+bluefin.tsv"))) == {
        "stable": 112,
        "gts": 80,
        "stable-daily": 1,
        "latest": 1,
        "it is a version number without a day": 25,
    }


def test_every_release_tag_of_bazzite_is_read_but_the_version_numbers_of_its_first_year(tmp_path: Path) -> None:
    assert summary(explained(tmp_path, "bazzite", *listed("ublue-os+bazzite.tsv"))) == {
        "testing": 840,
        "stable": 122,
        "unstable": 152,
        "it is a version number without a day": 22,
    }


def test_every_tag_of_the_registrys_sample_is_bluefins_or_its_lts_or_says_why(tmp_path: Path) -> None:
    tags = listed(SAMPLE.name)
    fedora, lts = (explained(tmp_path, name, *tags) for name in ("bluefin", "bluefin-lts"))

    read = {tag: {e[tag].first.stream for e in (fedora, lts) if e[tag].first} for tag in tags}  # type: ignore[union-attr]
    assert {tag: streams for tag, streams in read.items() if len(streams) > 1} == {}
    assert {tag: lts[tag].reason for tag, streams in read.items() if not streams} == {
        "lts-amd64": "it is amd64 alone, of `lts` (stream `lts`)",
        "lts-testing-amd64": "it is amd64 alone, of `lts-testing` (stream `lts-testing`)",
        "10-testing-amd64": "it is amd64 alone, of `10-testing` (stream `lts-testing`)",
        "lts-hwe-testing-50-amd64": "it is amd64 alone, of `lts-hwe-testing-50` (stream `lts-hwe-testing-50`)",
        f"sha256-{HEX}.sig": "it holds a signature, of sha256:9f0201d21641",
        "sha256-053bda05572dc8f45f3612a4dbd2a243e9f7deb33dd5666195016df08be9d12c": (
            "it holds what refers to it, of sha256:053bda05572d"
        ),
    }


def test_every_tag_of_nineteen_streams_is_read_by_the_stream_of_that_name(tmp_path: Path) -> None:
    rows = [line.split("\t") for line in (DATA / "streams.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    wrong = []
    for _, package, stream, tag in rows:
        name = "plain" if package.startswith("dakota") else "bluefin-lts" if stream.startswith("lts") else "bluefin"
        found = explained(tmp_path, name, tag)[tag]
        if [reading.stream for reading in found.readings] != [stream]:
            wrong.append((package, tag, found))

    assert len(rows) == 97
    assert wrong == []


# ---------------------------------------------------------------------------------------------------- one build

STABLE = Stream(
    "stable",
    (TagPattern("stable"), TagPattern("v{major}")),
    (TagPattern("stable-{date}[.{point}]"), TagPattern("{major}.{date}[.{point}]")),
)
GTS = Stream("gts", (TagPattern("gts"),), (TagPattern("gts-{date}[.{point}]"),))
OS = Variant("os", "os")
A, B = Digest.of(b"a"), Digest.of(b"b")


def rows(*tags: str, digests: Mapping[str, Digest | None] | None = None) -> list[tuple[str, int | None, str | None]]:
    return [(e.tag, e.order, e.alias_of) for e in explain(tags, (STABLE, GTS), (OS,), digests=digests)]


def test_without_digests_spellings_of_one_day_and_point_are_one_build() -> None:
    assert rows("44.20260623", "stable-20260623", "stable-20260623.1", "gts-20260623", "stable", "gts-20260622") == [
        ("stable-20260623.1", 1, None),
        ("stable-20260623", 2, None),
        ("44.20260623", 2, "stable-20260623"),
        ("gts-20260623", 1, None),
        ("gts-20260622", 2, None),
        ("stable", None, None),
    ]


def test_with_digests_one_digest_is_one_build_whatever_its_streams_and_a_moved_spelling_is_none() -> None:
    held = {"stable-20260623": A, "gts-20260623": A, "stable": A, "gts": A, "44.20260623": B, "v44": B, "stable-1": A}

    assert rows(*held, digests=held) == [
        ("stable-20260623", 1, None),
        ("44.20260623", 1, None),
        ("gts-20260623", 1, "stable-20260623"),
        ("stable", None, "stable-20260623"),
        ("v44", None, "44.20260623"),
        ("gts", None, "stable-20260623"),
        ("stable-1", None, None),
    ]


@given(st.lists(st.text("stablegv-.0123456789af", max_size=20) | st.sampled_from(["stable", "stable-20260623", "v44"])))
def test_every_tag_is_answered_once_and_is_read_or_says_why(tags: list[str]) -> None:
    found = explain(tags, (STABLE, GTS), (OS,))

    assert sorted(each.tag for each in found) == sorted(set(tags))
    for each in found:
        assert (each.reason is None) == bool(each.readings) == (each.kind is not Kind.UNREAD)


# ------------------------------------------------------------------------------------------------- the command


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.chdir(folder)
    command_line.main(["tags", *arguments], standalone_mode=False)


def test_a_list_from_a_file_is_explained_without_a_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config(tmp_path, "bluefin")
    (tmp_path / "tags.txt").write_text("# dated\n\n44.20260623\tcommit\nstable-daily-20260623\nstable\nlts\n")

    run(tmp_path, monkeypatch, "--from-file", "tags.txt")

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "tags.txt",
        "",
        "1 build",
        "build stream variant date point major order read by also",
        "stable-daily-20260623 stable-daily bluefin +3 2026-06-23 44 1 "
        "stable-daily{suffix}-{date}[.{point}] 44.20260623",
        "",
        "1 tag that moves",
        "tag stream variant",
        "stable stable bluefin +3",
        "",
        "1 tag that nothing reads",
        "lts no stream has this tag, and it names no day",
    ]


def test_a_name_that_is_no_variants_is_an_error_that_names_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(tmp_path, "bluefin-lts")

    with pytest.raises(UsageError, match="`blufin` does not begin with a registry") as raised:
        run(tmp_path, monkeypatch, "blufin")

    assert (raised.value.hint or "").startswith("or name a variant: `bluefin`")


def test_the_same_from_stdin_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config(tmp_path, "ucore")
    monkeypatch.setattr("sys.stdin", io.StringIO("stable-nvidia-20260720\nstable-20260720\n"))

    run(tmp_path, monkeypatch, "ucore-nvidia", "--from-file", "-", "--format", "json")

    nothing: dict[str, object] = dict.fromkeys(("stream", "variant", "date", "point", "major", "pattern", "order"))
    assert json.loads(capsys.readouterr().out) == {
        "schema": "relman.tags/1",
        "repository": "ghcr.io/ublue-os/ucore",
        "tags": [
            {
                "tag": "stable-nvidia-20260720",
                "kind": "dated",
                "stream": "stable",
                "variant": "ucore-nvidia",
                "date": "2026-07-20",
                "point": 0,
                "major": None,
                "streams": ["stable"],
                "variants": ["ucore-nvidia"],
                "pattern": "stable{suffix}-{date}[.{point}]",
                "order": 1,
                "digest": None,
                "alias_of": None,
                "reason": None,
            },
            {
                "tag": "stable-20260720",
                "kind": "unread",
                **nothing,
                "streams": [],
                "variants": [],
                "digest": None,
                "alias_of": None,
                "reason": "it is of the variant `ucore` (stream `stable`)",
            },
        ],
    }


def test_digests_join_the_spellings_of_a_build_over_its_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from relman.registry import Registries

    load(tmp_path, 'profile = "bluefin"\n[registry]\nprefix = "oci:images"\n')
    world = World(tmp_path, Registries(tmp_path), "oci:images")
    world.push("bluefin", "stable-20260623", "gts-44.20260623", "stable", "gts", day=dt.date(2026, 6, 23), n="new")
    world.push("bluefin", "stable-20260616", "latest", day=dt.date(2026, 6, 16), n="old")

    run(tmp_path, monkeypatch, "bluefin", "--digests")

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[2:] == [
        "2 builds",
        "build stream variant date point major order read by also",
        "stable-20260623 stable, gts bluefin 2026-06-23 44 1 stable{suffix}-{date}[.{point}] gts-44.20260623",
        "stable-20260616 stable bluefin 2026-06-16 2 stable{suffix}-{date}[.{point}]",
        "",
        "3 tags that move",
        "tag stream variant",
        "stable stable bluefin is stable-20260623",
        "gts gts bluefin is stable-20260623",
        "latest latest bluefin is stable-20260616",
        *lines[12:],
    ]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((), UsageError, "which image?"),
        (("os", "--from-file", "x", "--digests"), UsageError, "`--digests` asks the registry"),
        (("--from-file", "nothing.txt"), RelmanError, "cannot read the tags in `nothing.txt`"),
        (("--from-file", "tags.txt", "--stream", "x"), UsageError, "there is no stream `x`"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    arguments: tuple[str, ...],
    kind: type[RelmanError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config(tmp_path, "bluefin")
    (tmp_path / "tags.txt").write_text("stable\n")

    with pytest.raises(kind, match=message.replace("?", r"\?")):
        run(tmp_path, monkeypatch, *arguments)
