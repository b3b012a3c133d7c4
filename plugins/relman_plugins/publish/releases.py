"""Releases as GitHub has them, and Forgejo and Gitea after it: a draft, its files, then published.

Nobody sees a draft. So a release is made as one, its files are uploaded and compared, and the last write publishes it:
whatever breaks before that, nobody sees half a release. Every step begins by reading, so that a second try, on another
machine and days later, goes on where the first one ended. Ours is what carries our marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

import msgspec

from relman.plugin import (
    AnswerLost,
    ChannelWriter,
    Malformed,
    NotFound,
    RelmanError,
)

from .api import Api, Overtaken
from .assets import Asset
from .planning import Wanted, same_text, withdrawn_text, withdrawn_title

ROUNDS = 5
"""How often a release is looked at anew within one try: after a lost answer, and where another run was faster."""


class Held(msgspec.Struct, frozen=True):
    """A file as the forge has it; ``sha256`` is `None` where the forge does not tell."""

    id: int
    name: str
    size: int
    whole: bool
    sha256: str | None

    @classmethod
    def read(cls, document: object) -> Self:
        """As answered. Raises `Malformed`."""
        if isinstance(document, Mapping):
            id, name, size = document.get("id"), document.get("name"), document.get("size")
            digest = document.get("digest")
            if isinstance(id, int) and isinstance(name, str) and isinstance(size, int):
                found = re.fullmatch(r"sha256:([0-9a-f]{64})", digest) if isinstance(digest, str) else None
                return cls(id, name, size, document.get("state", "uploaded") == "uploaded", found and found[1])
        raise Malformed("a file of a release is not described as one")

    def holds(self, asset: Asset) -> bool:
        """Whether it is ``asset``, by its digest, or by its size where the forge has no digest."""
        same = self.sha256 == asset.sha256 if self.sha256 else self.size == asset.size
        return self.name == asset.name and self.whole and same


class Found(msgspec.Struct, frozen=True):
    """A release as the forge has it. ``upload`` is where files are sent, where the forge says so."""

    id: int
    tag: str
    title: str
    text: str
    draft: bool
    prerelease: bool
    immutable: bool
    target: str
    upload: str | None
    discussion: str | None

    @classmethod
    def read(cls, document: object) -> Self:
        """As answered. Raises `Malformed`."""
        if isinstance(document, Mapping):
            id, tag = document.get("id"), document.get("tag_name")
            if isinstance(id, int) and not isinstance(id, bool) and id > 0 and isinstance(tag, str):
                return cls(
                    id,
                    tag,
                    _word(document, "name") or "",
                    _word(document, "body") or "",
                    document.get("draft") is True,
                    document.get("prerelease") is True,
                    document.get("immutable") is True,
                    _word(document, "target_commitish") or "",
                    _word(document, "upload_url"),
                    _word(document, "discussion_url"),
                )
        raise Malformed("a release is not described as one")


def _word(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value if isinstance(value, str) else None


class Forge(Protocol):
    """What differs between forges of this kind. ``exclusive``: a draft, too, keeps others from its tag."""

    @property
    def api(self) -> Api:
        """The API."""

    @property
    def path(self) -> str:
        """Where releases are, below it."""

    @property
    def exclusive(self) -> bool:
        """See above."""

    def candidates(self, tag: str) -> Iterator[Found]:
        """What may be ours or in our way: the published release of ``tag`` first, then all drafts."""

    def files(self, release: Found) -> tuple[Held, ...]:
        """Every file of a release."""

    def upload(self, release: Found, asset: Asset, content: bytes) -> Held:
        """Send a file."""

    def remove(self, release: Found, held: Held) -> None:
        """Delete a file."""

    def flags(self, wanted: Wanted) -> dict[str, object]:
        """What is said beside text and title when a release is published."""

    def page(self, tag: str) -> str:
        """Where people find the release of ``tag``."""


class Publishing(msgspec.Struct):
    """One try to bring a release about. ``lost`` is set once it is not known whether a draft was made."""

    forge: Forge
    wanted: Wanted
    writer: ChannelWriter
    lost: AnswerLost | None = None

    def converge(self) -> Found:
        """The release with all its files, published unless it is to stay a draft."""
        trouble: RelmanError | None = None
        for _ in range(ROUNDS):
            try:
                return self._carry_out()
            except (AnswerLost, Overtaken) as error:
                if error is self.lost:  # a draft that was made and is not shown yet: another one would be a second one
                    raise
                trouble = error
        assert trouble is not None
        raise trouble

    def _carry_out(self) -> Found:
        release = self._only(ours(self.forge, self.wanted))
        if release is None:
            made = self._create()
            # Another run may have made one at the same moment. Both look again, and both keep the same one.
            listed = ours(self.forge, self.wanted)
            release = self._only(listed if made is None or made.id in {one.id for one in listed} else (*listed, made))
            assert release is not None
        if release.draft:
            release = self._drafted(release)
        self._attach(release)
        if release.draft and not self.wanted.draft:
            release = self._publish(release)
        return release

    def _only(self, found: tuple[Found, ...]) -> Found | None:
        """The one that stays: what is published, else the eldest draft. Drafts beside it are ours, and go."""
        if not found:
            return None
        kept, *others = sorted(found, key=lambda one: (one.draft, one.id))
        for other in others:
            if other.draft:
                self._gone(f"{self.forge.path}/{other.id}")
        return kept

    def _gone(self, path: str) -> None:
        try:
            self.forge.api.write("DELETE", path, again=True)
        except NotFound:
            return

    def _create(self) -> Found | None:
        """The draft, or `None` where its answer was lost and it is there all the same."""
        wanted = self.wanted
        document: dict[str, object] = {
            "tag_name": wanted.tag,
            "name": wanted.title,
            "body": wanted.text,
            "draft": True,
            "prerelease": wanted.prerelease,
        }
        if wanted.target:
            document["target_commitish"] = wanted.target
        try:
            return Found.read(self.forge.api.write("POST", self.forge.path, document))
        except (AnswerLost, Malformed) as error:
            self.lost = error if isinstance(error, AnswerLost) else AnswerLost(error.message)
            if not ours(self.forge, wanted):
                raise self.lost from error
        self.lost = None
        return None

    def _drafted(self, release: Found) -> Found:
        """The draft as it is planned, whatever it said before."""
        wanted = self.wanted
        same = (
            release.tag == wanted.tag
            and release.title == wanted.title
            and same_text(release.text, wanted.text)
            and (not wanted.target or release.target == wanted.target)
        )
        if same:
            return release
        document: dict[str, object] = {"tag_name": wanted.tag, "name": wanted.title, "body": wanted.text}
        if wanted.target:
            document["target_commitish"] = wanted.target
        return self._patched(release, document)

    def _patched(self, release: Found, document: Mapping[str, object]) -> Found:
        try:
            answer = self.forge.api.write("PATCH", f"{self.forge.path}/{release.id}", document, again=True)
        except NotFound as error:
            raise Overtaken(f"the release `{release.tag}` went away meanwhile") from error
        try:
            return Found.read(answer)
        except Malformed as error:
            raise AnswerLost(f"{self.forge.api.name} did not answer with the release that it changed") from error

    def _attach(self, release: Found) -> None:
        """Every file that is missing, or is not whole, or is another one; then all of them compared."""
        held = self.forge.files(release)
        absent = missing(held, self.wanted.assets)
        if not absent and not _beside(held, self.wanted.assets):
            return
        if release.immutable:
            names = ", ".join(f"`{asset.name}`" for asset in absent)
            if not absent:
                return
            raise RelmanError(
                f"the release `{release.tag}` is immutable, and lacks {names}",
                hint="it was published before its files were there; nothing can be added any more",
            )
        for one in _beside(held, self.wanted.assets):
            self._removed(release, one)
        for asset in absent:
            try:
                self.forge.upload(release, asset, asset.content(self.writer))
            except NotFound as error:
                raise Overtaken(f"the release `{release.tag}` went away meanwhile") from error
        if left := missing(self.forge.files(release), self.wanted.assets):
            names = ", ".join(f"`{asset.name}`" for asset in left)
            raise Overtaken(f"{self.forge.api.name} does not show {names} of `{release.tag}` as uploaded")

    def _removed(self, release: Found, held: Held) -> None:
        try:
            self.forge.remove(release, held)
        except NotFound:
            return

    def _publish(self, release: Found) -> Found:
        flags = {"tag_name": self.wanted.tag, "draft": False, **self.forge.flags(self.wanted)}
        published = self._patched(release, flags)
        if published.draft:
            raise Overtaken(f"{self.forge.api.name} left `{release.tag}` a draft")
        return published

    # ----------------------------------------------------------------------------------------------- changes

    def edited(self, release: Found) -> tuple[Found, str | None]:
        """The release as it is planned now; and what could not be changed, for people."""
        wanted = self.wanted
        changed = release
        if release.title != wanted.title or not same_text(release.text, wanted.text):
            changed = self._patched(release, {"name": wanted.title, "body": wanted.text})
        stale = missing(self.forge.files(changed), wanted.assets)
        if release.immutable:
            names = ", ".join(f"`{asset.name}`" for asset in stale)
            return changed, f"immutable: the text is changed, {names} cannot be" if stale else None
        self._attach(changed)
        return changed, None

    def withdrawn(self, release: Found, day: str) -> tuple[Found | None, str]:
        """The release marked as withdrawn; a draft, which nobody saw, is deleted: `None`."""
        if release.draft:
            self._gone(f"{self.forge.path}/{release.id}")
            return None, "the draft was deleted"
        document: dict[str, object] = {
            "name": withdrawn_title(release.title),
            "body": withdrawn_text(release.text, day),
        }
        if not release.immutable:
            document["prerelease"] = True
            if "make_latest" in self.forge.flags(self.wanted):
                document["make_latest"] = "false"
        return self._patched(release, document), "marked as withdrawn, not deleted"


def ours(forge: Forge, wanted: Wanted) -> tuple[Found, ...]:
    """Every release that carries our marker. Raises `RelmanError` where another one has the tag already."""
    found = []
    for one in forge.candidates(wanted.tag):
        if wanted.marker in one.text:
            found.append(one)
        elif one.tag == wanted.tag and (forge.exclusive or not one.draft):
            raise foreign(forge, one)
    return tuple(found)


def foreign(forge: Forge, release: Found) -> RelmanError:
    """What is said of a release in the way that relman did not make for this one."""
    kind = "draft" if release.draft else "release"
    return RelmanError(
        f"{forge.api.name} has a {kind} `{release.tag}` already ({release.id}, `{release.title[:100]}`), "
        "which is not of this release",
        hint=f"look at {forge.page(release.tag)}; delete it or rename its tag, or give channel `{forge.api.channel}` "
        "another `tag`",
    )


def missing(held: tuple[Held, ...], assets: tuple[Asset, ...]) -> tuple[Asset, ...]:
    """Those of ``assets`` that are not there as they should be."""
    return tuple(asset for asset in assets if not any(one.holds(asset) for one in held))


def _beside(held: tuple[Held, ...], assets: tuple[Asset, ...]) -> tuple[Held, ...]:
    """What has a name of ours and is not what it should be, or is there twice: remains of uploads that broke."""
    found: list[Held] = []
    for asset in assets:
        named = [one for one in held if one.name == asset.name]
        kept = next((one for one in named if one.holds(asset)), None)
        found += [one for one in named if one is not kept]
    return tuple(found)
