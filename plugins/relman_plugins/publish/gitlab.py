"""Releases on GitLab (docs.gitlab.com/api/releases): files are generic packages, which the release links to.

There are no drafts. Packages are uploaded first, where only who looks for them sees them; the release comes into being
with all its links by one request, and its tag can have no second one. A package's version has the hash of its file, so
what lies there is never overwritten, and is found again however often the answer is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from relman.model.plan import Action
from relman.model.record import Receipt, ReceiptState, Unknown
from relman.plugin import (
    ActionsContext,
    AnswerLost,
    ChannelReader,
    ChannelWriter,
    Malformed,
    NotFound,
    NotShown,
    RelmanError,
    Slot,
    hookimpl,
)

from .api import Api, Overtaken
from .assets import Asset
from .gitlab_project import Found, GitLab, GitLabSettings
from .planning import Wanted, described, plan_release, same_text, withdrawn_text, withdrawn_title
from .releases import ROUNDS

LIMIT = 1_000_000
"""Of a description (`MAX_TEXT_SIZE_LIMIT` in GitLab's source), taken for bytes in UTF-8 to be on the safe side."""
JOB_TOKEN = "CI_JOB_TOKEN"  # noqa: S105 - the name of a variable, by which GitLab tells jobs their token


@hookimpl
def relman_settings() -> tuple[Slot, ...]:
    """`[[publish]] type = "gitlab"`."""
    return (Slot("publish", "gitlab", GitLabSettings),)


def in_bytes(text: str) -> int:
    """How long a text is for GitLab."""
    return len(text.encode())


@hookimpl
def relman_actions(context: ActionsContext) -> Iterator[Action]:
    """A release for each table."""
    for settings in context.settings(GitLabSettings):
        yield plan_release(context, settings, limit=LIMIT, measure=in_bytes, unit="bytes", flags={})


@hookimpl
def relman_executors() -> tuple[GitLabExecutor]:
    """The one that publishes."""
    return (GitLabExecutor(),)


class Publishing(msgspec.Struct):
    """One try to bring a release about."""

    forge: GitLab
    wanted: Wanted
    writer: ChannelWriter

    def converge(self) -> None:
        """The release with all its files. Each round begins by reading: its tag can have no second release."""
        trouble: RelmanError | None = None
        for _ in range(ROUNDS):
            try:
                return self._carry_out()
            except (AnswerLost, Overtaken) as error:
                trouble = error
        assert trouble is not None
        raise trouble

    def _carry_out(self) -> None:
        release = self.forge.release(self.wanted)
        for asset in self.wanted.assets:
            if not self.forge.uploaded(self.wanted, asset):
                self.forge.upload(self.wanted, asset, asset.content(self.writer))
                if not self.forge.uploaded(self.wanted, asset):
                    raise Overtaken(f"GitLab does not show `{asset.name}` as uploaded")
        if release is None:
            self.forge.create(self.wanted)
            release = self.forge.release(self.wanted)
            if release is None:
                raise NotShown(f"GitLab does not show the release `{self.wanted.tag}` that was made")
        self._relink(release)

    def _relink(self, release: Found) -> None:
        """Links that are missing, or lead elsewhere."""
        for asset in unlinked(self.forge, self.wanted, release):
            document = self.forge.link(self.wanted, asset)
            path = f"{self.forge.path(self.wanted.tag)}/assets/links"
            named = next((link for link in release.links if link.name == asset.name), None)
            if named:
                self.forge.api.write("PUT", f"{path}/{named.id}", document, again=True)
            else:
                self.forge.api.write("POST", path, document)

    def say(self, title: str, text: str) -> None:
        """Change title and text."""
        document = {"name": title, "description": text}
        self.forge.api.write("PUT", self.forge.path(self.wanted.tag), document, again=True)


def unlinked(forge: GitLab, wanted: Wanted, release: Found) -> tuple[Asset, ...]:
    """The files that the release does not link to."""
    there = {(link.name, link.url) for link in release.links}
    return tuple(asset for asset in wanted.assets if (asset.name, forge.url(wanted, asset)) not in there)


class GitLabExecutor:
    """Publishes on GitLab. A release's tag is its id there."""

    kind = "gitlab"
    scope: Literal["channel"] = "channel"

    def describe(self, action: Action) -> str:
        """`publish stable-20260706 on GitLab (7,616 characters, 3 files of 12,345 bytes)`."""
        return described(action, "GitLab")

    def probe(self, action: Action, reader: ChannelReader) -> Receipt | Unknown | None:
        """Adopted where our release is there with all its links; `None` for less, which `apply` completes."""
        forge, wanted = _forge(reader), Wanted.of(action)
        release = forge.release(wanted)
        if release is None or unlinked(forge, wanted, release):
            return None
        return _receipt(action, forge, wanted, ReceiptState.ADOPTED)

    def apply(self, action: Action, writer: ChannelWriter) -> Receipt:
        """Packages, then the release with its links."""
        forge, wanted = _forge(writer), Wanted.of(action)
        Publishing(forge, wanted, writer).converge()
        return _receipt(action, forge, wanted, ReceiptState.DONE)

    def verify(self, action: Action, receipt: Receipt, reader: ChannelReader) -> None:
        """GitLab shows our text under our title, and has our files."""
        forge, wanted = _forge(reader), Wanted.of(action)
        release = forge.release(wanted)
        if release is None:
            raise NotShown(f"GitLab has no release `{wanted.tag}`")
        if release.title != wanted.title or not same_text(release.text, wanted.text):
            what = "title" if release.title != wanted.title else "text"
            raise Malformed(f"the {what} of `{wanted.tag}` on GitLab is not what was published")
        left = unlinked(forge, wanted, release) or tuple(a for a in wanted.assets if not forge.uploaded(wanted, a))
        if left:
            names = ", ".join(f"`{asset.name}`" for asset in left)
            raise NotShown(f"`{wanted.tag}` on GitLab has no {names}, or another file of that name")

    def edit(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Text, title and files as they are planned now."""
        forge, wanted = _forge(writer), Wanted.of(action)
        publishing = Publishing(forge, wanted, writer)
        release = self._there(forge, wanted)
        if release.title != wanted.title or not same_text(release.text, wanted.text):
            publishing.say(wanted.title, wanted.text)
        publishing.converge()
        return _receipt(action, forge, wanted, ReceiptState.DONE)

    def undo(self, action: Action, receipt: Receipt, writer: ChannelWriter) -> Receipt | None:
        """Mark it as withdrawn: readers may have come by it."""
        forge, wanted = _forge(writer), Wanted.of(action)
        release = self._there(forge, wanted)
        text = withdrawn_text(release.text, f"{writer.now:%Y-%m-%d}")
        Publishing(forge, wanted, writer).say(withdrawn_title(release.title), text)
        return _receipt(action, forge, wanted, ReceiptState.DONE, "marked as withdrawn, not deleted")

    def _there(self, forge: GitLab, wanted: Wanted) -> Found:
        release = forge.release(wanted)
        if release is None:
            raise NotFound(f"GitLab has no release `{wanted.tag}` any more: there is nothing to change")
        return release


def _forge(reader: ChannelReader) -> GitLab:
    settings = reader.settings(GitLabSettings)
    token = reader.reveal(settings.token)
    header = "JOB-TOKEN" if settings.token.env == JOB_TOKEN else "PRIVATE-TOKEN"
    permission = " (scope `api`, and the role Developer or more)"
    api = Api(reader, settings.api, "GitLab", settings.name or settings.type, {header: token}, token, permission)
    return GitLab(api, settings)


def _receipt(action: Action, forge: GitLab, wanted: Wanted, state: ReceiptState, detail: str | None = None) -> Receipt:
    sha256 = hashlib.sha256(action.text("text").encode()).hexdigest()
    return Receipt.of(action, state, remote_id=wanted.tag, url=forge.page(wanted.tag), sha256=sha256, detail=detail)
