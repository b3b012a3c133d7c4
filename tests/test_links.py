"""Links from a changed package to where it is made and discussed."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relman.errors import ConfigError
from relman.model.changelog import Row
from relman.model.diff import ChangeKind
from relman.model.links import LinkRule
from relman.render import NotesRenderer
from relman.render.links import Links, default_rules
from tests.changelogs import changelog, group, row
from tests.hostile_text import hostile
from tests.notes_reading import BUILT_IN, notes

DIST_GIT = "https://src.fedoraproject.org/rpms"


@pytest.mark.parametrize(
    ("made", "source", "build"),
    [
        (
            row("mesa-libGL", "25.0.4-1.fc42", "1:25.0.6-1.fc42", source="mesa", vendor="Fedora Project"),
            f"{DIST_GIT}/mesa",
            "https://bodhi.fedoraproject.org/updates/?builds=mesa-25.0.6-1.fc42",
        ),
        (row("gtkmm4.0", "1-1", "", vendor="Fedora Project"), f"{DIST_GIT}/gtkmm4.0", None),
        (row("libstdc++", "1-1", "1-2", vendor="RPM Fusion"), "https://github.com/rpmfusion/libstdc%2B%2B", None),
        (
            row("gnome-shell", "1", "2", vendor="Fedora Copr - user ublue-os"),
            "https://copr.fedorainfracloud.org/coprs/ublue-os/",
            None,
        ),
        (
            row("kernel", "1", "2", vendor="Fedora Copr - group @kernel-vanilla"),
            "https://copr.fedorainfracloud.org/coprs/g/kernel-vanilla/",
            None,
        ),
        (row("mesa", "1", "2", vendor="Terra"), "https://github.com/terrapkg/packages/issues?q=mesa", None),
        (row("nvidia-driver", "1", "2", vendor="negativo17.org"), "https://github.com/negativo17/nvidia-driver", None),
        (row("bash", "1", "2", vendor="CentOS"), "https://gitlab.com/redhat/centos-stream/rpms/bash", None),
        (row("bash", "1", "2-1", ecosystem="deb", source="bash"), "https://tracker.debian.org/pkg/bash", None),
        (
            row("libc6", "1", "1:2.39-0ubuntu8", ecosystem="deb", source="glibc"),
            "https://launchpad.net/ubuntu/+source/glibc",
            "https://launchpad.net/ubuntu/+source/glibc/1%3A2.39-0ubuntu8",
        ),
        (row("linux", "1", "2", ecosystem="alpm"), "https://archlinux.org/packages/?name=linux", None),
        (row("tailscale", "1", "2", vendor="Tailscale Inc"), None, None),
        (row("unknown", "1-1.fc42", "2-1.fc42"), None, None),
        (row("left-pad", "1", "2", ecosystem="npm"), None, None),
    ],
)
def test_each_vendor_has_its_own_pages_and_an_unknown_one_has_none(
    made: Row, source: str | None, build: str | None
) -> None:
    links = Links(BUILT_IN)

    assert (links.source(made), links.build(made)) == (source, build)


def test_own_rules_come_first_and_an_empty_one_takes_links_away() -> None:
    rules = (
        LinkRule(url="https://example.org/{{ ecosystem }}/{{ name }}?v={{ full_version }}", package="mesa*"),
        LinkRule(vendor="Fedora *", package="kernel"),
    )
    links = Links(BUILT_IN, rules)

    assert links.source(row("mesa", "", "1:2", vendor="Terra")) == "https://example.org/rpm/mesa?v=1%3A2"
    assert links.source(row("kernel", "1", "2", vendor="Fedora Project")) is None
    assert links.source(row("bash", "1", "2", vendor="Fedora Project")) == f"{DIST_GIT}/bash"


def test_a_template_that_cannot_be_filled_in_is_an_error_that_names_what_there_is() -> None:
    links = Links(BUILT_IN, (LinkRule(url="https://example.org/{{ sorce }}"),))

    with pytest.raises(ConfigError, match="`sorce` is not defined") as caught:
        links.source(row("a", "1", "2"))

    assert caught.value.hint == "did you mean `source`?"


_VENDORS = st.sampled_from([rule.vendor for rule in default_rules()])


@given(hostile.filter(bool), hostile, _VENDORS, hostile)
def test_a_name_changes_neither_host_nor_query_nor_the_text_around_it(
    name: str, version: str, vendor: str, tail: str
) -> None:
    made = row(name, "", (version or "1",), vendor=vendor.replace("*", tail), ecosystem="rpm")
    links = Links(BUILT_IN)

    for link in (links.source(made), links.build(made)):
        if link is not None:
            parts = urlsplit(link)
            assert parts.netloc in {urlsplit(rule.url).netloc for rule in default_rules()} | {"bodhi.fedoraproject.org"}
            assert not set(link) & set(" \t\n|()[]<>\"'`\\*")
            assert parts.fragment == ""
            assert parts.query.count("&") == 0


def test_one_link_a_row_and_none_for_what_was_only_built_again() -> None:
    rows = [
        row("bash", "1-1", "2-1", vendor="Fedora Project"),
        row(("mesa-a", "mesa-b"), "1-1", "2-1", source="mesa", vendor="Fedora Project"),
        row("zsh", "1-1.fc41", "1-1.fc42", kind=ChangeKind.REBUILT, vendor="Fedora Project"),
    ]

    text = notes(changelog(groups=(group("All images", rows),)))

    assert f"| 🔄 | [bash]({DIST_GIT}/bash) | 1-1 | 2-1 |\n" in text
    assert f"| 🔄 | [**mesa**]({DIST_GIT}/mesa) (2 packages) | 1-1 | 2-1 |\n" in text
    assert text.count("fedoraproject.org") == 2


def test_what_is_pointed_out_also_links_to_its_build() -> None:
    back = row("pipewire", "2-1", "1-1", kind=ChangeKind.DOWNGRADED, vendor="Fedora Project")

    text = notes(changelog(groups=(group("All images", [back]),)))

    bodhi = "https://bodhi.fedoraproject.org/updates/?builds=pipewire-1-1"
    assert f"- ⏪ **[pipewire]({DIST_GIT}/pipewire)**: 2-1 ➡️ [1-1]({bodhi})\n" in text


def test_text_and_classic_notes_have_no_links_of_packages() -> None:
    made = changelog(groups=(group("All images", [row("bash", "1-1", "2-1", vendor="Fedora Project")]),))

    for format in ("text", "classic"):
        assert "fedoraproject" not in notes(made, format)


def test_the_projects_own_rules_reach_the_notes() -> None:
    made = changelog(groups=(group("All images", [row("bash", "1-1", "2-1")]),))

    text = NotesRenderer(BUILT_IN, made, links=(LinkRule(url="https://example.org/{{ source }}"),)).notes()

    assert "| [bash](https://example.org/bash) |" in text
