"""A project of GitLab, as far as releases go: its table, and what its API is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self
from urllib.parse import quote

import msgspec
from pydantic import AfterValidator, StringConstraints

from relman.plugin import AnswerLost, Malformed, RelmanError

from .api import Api
from .assets import Asset
from .planning import Wanted
from .table import Address, ForgeSettings, lacking, server

API = "/api/v4"
PACKAGE = "relman"


def _api(value: str) -> str:
    url = server(value)
    return url if url.endswith(API) else f"{url}{API}"


class GitLabSettings(ForgeSettings):
    """`type = "gitlab"`."""

    repository: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$")
    ]
    api: Annotated[str, AfterValidator(_api)] = "https://gitlab.com/api/v4"
    draft: Annotated[None, lacking("gitlab", "it has no drafts of releases")] = None
    prerelease: Annotated[None, lacking("gitlab", "it has no mark for pre-releases")] = None
    latest: Annotated[None, lacking("gitlab", "it takes the newest release")] = None
    discussion_category: Annotated[None, lacking("gitlab", "it opens no discussions")] = None

    folder: ClassVar[str] = "-/releases"
    downloads: ClassVar[str] = "{tag}/downloads"
    shown: ClassVar[str] = "{tag}"

    @property
    def address(self) -> Address:
        """One server."""
        return Address(self.api, self.api.removesuffix(API))


class Link(msgspec.Struct, frozen=True):
    """A file as a release links to it."""

    id: int
    name: str
    url: str


class Found(msgspec.Struct, frozen=True):
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


class GitLab(msgspec.Struct, frozen=True):
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
