"""A stream that builds write directly: notes from dated tags alone, then releases with records."""

from __future__ import annotations

import json

import pytest

from tests.integration.driver import VARIANTS, Project, Workshop
from tests.servers import Reply, Scripted

REF_NAME = "org.opencontainers.image.ref.name"
DATED = ("testing-44.20260609", "testing-44.20260616", "testing-44.20260623")


@pytest.fixture(scope="module")
def workshop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("in-place"), docker_registry)


def build(project: Project, number: int) -> None:
    """What the project's builds do: push straight to the stream's tag and to a dated one; later builds are not yet."""
    for variant in VARIANTS:
        file = project.folder / "images" / variant / "index.json"
        index = json.loads(file.read_bytes())
        later = [entry for entry in index["manifests"] if entry.get("annotations", {}).get(REF_NAME) in DATED[number:]]
        file.write_text(json.dumps({**index, "manifests": [e for e in index["manifests"] if e not in later]}))
        project.retag(variant, "testing", number)
        project.retag(variant, DATED[number], number)


def test_the_notes_follow_the_newest_dated_tag_with_another_digest_and_say_so(workshop: Workshop) -> None:
    project = workshop.layouts()
    build(project, 2)

    ran = project.relman("changelog", "--stream", "testing", "--format", "json")

    notes = ran.json
    assert (notes["version"], notes["previous"]) == (DATED[2], DATED[1])
    assert [commit["sha"] for commit in notes["commits"]] == [c.sha for c in project.history.commits(1, 2)]
    assert any("record of `testing`" in note and "dated tag" in note for note in notes["notes"])
    assert not (project.folder / "releases").exists()


def test_the_predecessor_is_taken_from_the_record_once_there_is_one(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        project = workshop.layouts(f'[[announce]]\ntype = "webhook"\nurl = "{hook.url}"\nrequired = true\n')
        build(project, 0)
        project.relman("release", "testing", "--yes")
        build(project, 2)
        project.relman("release", "testing", "--yes")
        project.relman("release", "testing", "--yes")

        assert len(hook.asked) == 2
    second, first = project.relman("records", "--format", "json").json["records"]
    assert (first["version"], second["version"]) == (DATED[0], DATED[2])
    assert second["previous"] == first["id"]
    assert [variant["previous_digest"] for variant in second["variants"]] == [
        project.digests[variant, 0] for variant in VARIANTS
    ]
    assert [receipt["action"] for receipt in second["receipts"]] == ["webhook:webhook"]
    assert project.builds("testing") == {"testing": {2}}


def test_a_release_in_place_writes_no_tag(workshop: Workshop) -> None:
    project = workshop.layouts('[[announce]]\ntype = "file"\npath = "news/{{ version }}.md"\n')
    build(project, 1)
    before = {variant: (project.folder / f"images/{variant}/index.json").read_bytes() for variant in VARIANTS}

    project.relman("release", "testing", "--yes")

    assert {v: (project.folder / f"images/{v}/index.json").read_bytes() for v in VARIANTS} == before
    assert (project.folder / f"news/{DATED[1]}.md").exists()


def test_the_notes_of_a_published_version_are_made_from_its_dated_tag(workshop: Workshop) -> None:
    project = workshop.layouts()
    build(project, 2)
    arguments = ("changelog", "--stream", "testing", "--to", DATED[1], "--format", "json")

    notes = project.relman(*arguments).json

    assert (notes["version"], notes["previous"]) == (DATED[1], DATED[0])
    assert [v["digest"] for v in notes["variants"]] == [project.digests[variant, 1] for variant in VARIANTS]
    again = project.relman(*arguments, "--from", DATED[0]).json
    assert again["groups"] == notes["groups"]


def test_from_overrides_the_record(workshop: Workshop) -> None:
    project = workshop.layouts()
    build(project, 1)
    project.relman("release", "testing", "--yes")
    build(project, 2)

    notes = project.relman("changelog", "--stream", "testing", "--from", DATED[0], "--format", "json").json

    assert notes["previous"] == DATED[0]
    assert [v["previous_digest"] for v in notes["variants"]] == [project.digests[v, 0] for v in VARIANTS]


def test_from_that_is_not_there_is_an_error(workshop: Workshop) -> None:
    ran = workshop.layouts().relman("changelog", "--stream", "testing", "--from", "testing-44.20200101", code=1)

    assert "testing-44.20200101" in ran.stderr


def test_a_stream_without_a_predecessor_says_that_it_is_the_first(workshop: Workshop) -> None:
    project = workshop.layouts()
    build(project, 0)
    project.configure("testing-{major}.{date}[.{point}]", "first-{date}")
    for variant in VARIANTS:
        project.retag(variant, "first-20260609", 0)

    notes = project.relman("changelog", "--stream", "testing", "--format", "json").json

    assert (notes["version"], notes["previous"], notes["groups"]) == ("first-20260609", None, [])
    assert any("first release" in note for note in notes["notes"])


def test_a_candidate_without_a_dated_tag_is_an_error_that_names_the_patterns(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure("testing-{major}.{date}[.{point}]", "other-{date}")

    ran = project.relman("changelog", "--stream", "testing", code=1)

    assert "other-{date}" in ran.stderr


def test_where_variants_are_of_different_builds_they_are_named(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.retag("dx", "testing", 2)

    notes = project.relman("changelog", "--stream", "testing", "--format", "json").json

    assert notes["version"] == DATED[1]
    assert any("`dx`" in note and DATED[2] in note for note in notes["notes"])


def test_points_are_ordered_by_number(workshop: Workshop) -> None:
    project = workshop.layouts()
    for variant in VARIANTS:
        project.retag(variant, "testing-44.20260620.9", 0)
        project.retag(variant, "testing-44.20260620.10", 2)

    notes = project.relman("changelog", "--stream", "testing", "--format", "json").json

    # 44.20260623 holds build 2 as well; both are newer than the candidate, and the newest with another digest counts
    assert notes["previous"] in ("testing-44.20260623",)
    tags = project.relman("tags", "base", "--stream", "testing", "--format", "json").json["tags"]
    dated = [tag["tag"] for tag in tags if tag["kind"] == "dated"]
    assert dated.index("testing-44.20260620.9") < dated.index("testing-44.20260620.10")
