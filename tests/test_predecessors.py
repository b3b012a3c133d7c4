"""What relman's rule picks, beside what 58 published releases say that they followed (docs/predecessors.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from relman.config import Config
from relman.model.oci import parse_repository
from relman.model.release import Candidate
from relman.model.streams import Place, Stream
from relman.registry.look import look_at
from relman.testing import MemoryRegistry, put_image
from relman.walk.predecessors import Predecessors
from relman.walk.tags import TagBook
from tests.documents import ROOT, rows, sections
from tests.test_profiles import profile

DATA = Path(__file__).parent / "data" / "tags"
PAGE = ROOT / "docs" / "predecessors.md"
TAGS = {"bluefin": "ublue-os+bluefin.tsv", "bluefin-lts": None, "bazzite": "ublue-os+bazzite.tsv"}


def published() -> list[tuple[str, str, str, str]]:
    """Profile, stream, release, and what its notes say that it followed."""
    lines = (DATA / "published.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [(name, stream, release, previous) for name, stream, release, previous, _ in map(_fields, lines)]


def _fields(line: str) -> list[str]:
    return line.split("\t")


@cache
def picked() -> Mapping[str, str | None]:
    """For each published release, the version of the predecessor that relman's rule picks; `None` where it finds none.

    The registry holds an image for each release tag, and one for the release at hand where it has no release tag.
    """
    return {release: version for name in TAGS for release, version in _picked(name)}


def _picked(name: str) -> Iterator[tuple[str, str | None]]:
    with TemporaryDirectory() as folder:
        config = profile(name, Path(folder))
    repository = parse_repository(f"{config.prefix}/{config.variants[0].repository}")
    mine = [(stream, release) for project, stream, release, _ in published() if project == name]
    file = TAGS[name]
    listed = (DATA / file).read_text(encoding="utf-8").splitlines() if file else []
    registry = MemoryRegistry()
    for tag in dict.fromkeys([*(_fields(line)[0] for line in listed), *(release for _, release in mine)]):
        put_image(registry, repository, tags=[tag], labels={"tag": tag})
    book = TagBook(registry)
    for stream, release in mine:
        yield release, _predecessor(config, config.streams[stream], release, registry, book)


def _predecessor(config: Config, stream: Stream, release: str, registry: MemoryRegistry, book: TagBook) -> str | None:
    place = Place(config.variants[0], config.place(config.variants[0], stream).repository)
    version = stream.read(release, place.variant)
    assert version, release
    image = look_at(registry, place.repository.tag(release))
    candidate = Candidate(place, image, tuple(part.platform for part in image.platforms), version)
    found = Predecessors(config, registry, book, look_at, ()).of(candidate, stream, None, None, before=version)
    return found.version if found else None


def cells(heading: str) -> list[list[str]]:
    """The rows of a table of the page, without the marks of code."""
    return [[cell.replace("`", "") for cell in row] for row in rows(sections(PAGE)[heading])[1:]]


def test_the_page_has_every_published_release_and_what_relman_picks_for_it() -> None:
    expected = [[release, previous, picked()[release] or "–"] for _, _, release, previous in published()]

    assert cells("Every release") == expected


def test_every_difference_is_explained_and_nothing_else_is() -> None:
    differ = [
        [release, previous, picked()[release] or "–"]
        for _, _, release, previous in published()
        if picked()[release] != previous
    ]

    explained = cells("The differences")
    assert [row[:3] for row in explained] == differ
    assert all(len(row[3].split()) > 10 for row in explained)


def test_the_page_counts_right() -> None:
    total, same = len(published()), sum(picked()[release] == previous for _, _, release, previous in published())

    assert f"{total} published releases" in PAGE.read_text(encoding="utf-8")
    assert f"the same one for {same}" in PAGE.read_text(encoding="utf-8")
