"""Releases on GitLab (docs.gitlab.com/api/releases): files are generic packages, which the release links to.

There are no drafts. Packages are uploaded first, where only who looks for them sees them; the release comes into being
with all its links by one request, and its tag can have no second one. A package's version has the hash of its file, so
what lies there is never overwritten, and is found again however often the answer is lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, StringConstraints

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
from .planning import Wanted, described, plan_release, same_text, withdrawn_text, withdrawn_title
from .releases import ROUNDS
from .table import Address, ForgeSettings, server

LIMIT = 1_000_000
"""Of a description (`MAX_TEXT_SIZE_LIMIT` in GitLab's source), taken for bytes in UTF-8 to be on the safe side."""
API = "/api/v4"
PACKAGE = "relman"
JOB_TOKEN = "CI_JOB_TOKEN"  # noqa: S105 - the name of a variable, by which GitLab tells jobs their token


def _api(value: str) -> str:
    url = server(value)
    return url if url.endswith(API) else f"{url}{API}"


class GitLabSettings(ForgeSettings):
    """`type = "gitlab"`."""

    repository: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$")
    ]
    api: Annotated[str, AfterValidator(_api)] = "https://gitlab.com/api/v4"

    folder: ClassVar[str] = "-/releases"
    downloads: ClassVar[str] = "{tag}/downloads"
    shown: ClassVar[str] = "{tag}"

    @property
    def address(self) -> Address:
        """One server."""
        return Address(self.api, self.api.removesuffix(API))


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
        yield plan_release(context, settings, limit=LIMIT, measure=in_bytes, flags={})


@hookimpl
def relman_executors() -> tuple[GitLabExecutor]:
    """The one that publishes."""
    return (GitLabExecutor(),)


@dataclass(frozen=True, slots=True)
class Link:
    """A file as a release links to it."""

    id: int
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Found:
    """A release as GitLab has it."""

    title: str
    text: str
    links: tuple[Link, ...]

    @classmethod
    def read(cls, document: object, tag: str) -> Self:
        """As answered. Raises `Malformed`."""
        if isinstance(document, Mapping) and document.get("tag_name") == tag:
            title, text, assets = document.get("name"), document.get("description"), document.get("assets")
            links = assets.get("links") if isinstance(assets, Mapping) else None
            return cls(
                title if isinstance(title, str) else "",
                text if isinstance(text, str) else "",
                tuple(_link(one) for one in links) if isinstance(links, list) else (),
            )
        raise Malformed("a release of GitLab is not described as the one that was asked for")


def _link(document: object) -> Link:
    if isinstance(document, Mapping):
        id, name, url = (document.get(key) for key in ("id", "name", "url"))
        if isinstance(id, int) and isinstance(name, str) and isinstance(url, str):
            return Link(id, name, url)
    raise Malformed("a link of a release is not described as one")


@dataclass(frozen=True, slots=True)
class GitLab:
    """A project on a server."""

    api: Api
    settings: GitLabSettings

    @property
    def project(self) -> str:
        """The path of the project's API."""
        return f"/projects/{quote(self.settings.repository, safe='')}"

    def path(self, tag: str) -> str:
        """The path of a release."""
        return f"{self.project}/releases/{quote(tag, safe='')}"

    def release(self, wanted: Wanted) -> Found | None:
        """Ours, or `None`. Raises `RelmanError` where the tag has another one."""
        document = self.api.get(self.path(wanted.tag))
        if document is None:
            return None
        found = Found.read(document, wanted.tag)
        if wanted.marker not in found.text:
            raise RelmanError(
                f"GitLab has a release `{wanted.tag}` already (`{found.title[:100]}`), which is not of this release",
                hint=f"look at {self.page(wanted.tag)}; delete it, or give channel `{self.api.channel}` another `tag`",
            )
        return found

    def page(self, tag: str) -> str:
        """Where people find the release of ``tag``."""
        return f"{self.settings.home}/-/releases/{quote(tag, safe='')}"

    def create(self, wanted: Wanted) -> None:
        """The release with all its links. A tag that is not there yet is made at the target."""
        document: dict[str, object] = {
            "tag_name": wanted.tag,
            "name": wanted.title,
            "description": wanted.text,
            "assets": {"links": [self.link(wanted, asset) for asset in wanted.assets]},
        }
        if self.api.get(f"{self.project}/repository/tags/{quote(wanted.tag, safe='')}") is None:
            document["ref"] = wanted.target or self._default_branch()
        self.api.write("POST", f"{self.project}/releases", document)

    def _default_branch(self) -> str:
        project = self.api.get(self.project)
        if project is None:
            raise self.api.missing(self.settings.repository)
        branch = project.get("default_branch") if isinstance(project, Mapping) else None
        if not isinstance(branch, str):
            raise Malformed(f"`{self.settings.repository}` has no branch on which a tag could be made")
        return branch

    # ------------------------------------------------------------------------------------------------- files

    def version(self, wanted: Wanted, asset: Asset) -> str:
        """The package's: readable, and of this content alone."""
        tag = re.sub(r"[^A-Za-z0-9+_-]+", "-", wanted.tag, flags=re.ASCII).strip("-") or "release"
        return f"{tag[:100]}-{asset.sha256[:16]}"

    def url(self, wanted: Wanted, asset: Asset) -> str:
        """Where the package's file is."""
        version = quote(self.version(wanted, asset), safe="")
        return f"{self.settings.api}{self.project}/packages/generic/{PACKAGE}/{version}/{quote(asset.name, safe='')}"

    def link(self, wanted: Wanted, asset: Asset) -> dict[str, object]:
        """The release's link to a file; ``direct_asset_path`` makes an address that people can tell beforehand."""
        url = self.url(wanted, asset)
        return {"name": asset.name, "url": url, "direct_asset_path": f"/{asset.name}", "link_type": "other"}

    def uploaded(self, wanted: Wanted, asset: Asset) -> bool:
        """Whether the package has the file, by its hash."""
        version = self.version(wanted, asset)
        query = f"package_type=generic&package_name={PACKAGE}&package_version={quote(version, safe='')}"
        for package in self.api.pages(f"{self.project}/packages?{query}"):
            id = package.get("id")
            if (package.get("name"), package.get("version")) != (PACKAGE, version) or not isinstance(id, int):
                continue  # names are searched for by their beginning
            for file in self.api.pages(f"{self.project}/packages/{id}/package_files"):
                if (file.get("file_name"), file.get("file_sha256")) == (asset.name, asset.sha256):
                    return True
        return False

    def upload(self, wanted: Wanted, asset: Asset, content: bytes) -> None:
        """Send a file."""
        url = f"{self.url(wanted, asset)}?select=package_file"
        answer = self.api.send("PUT", url, content, {"Content-Type": "application/octet-stream"})
        if not isinstance(answer, Mapping):
            raise AnswerLost(f"GitLab did not answer with the file `{asset.name}`")


@dataclass(slots=True)
class Publishing:
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
