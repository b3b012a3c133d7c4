"""GitLab's REST API, as far as releases, their links and generic packages go. Checked by a description of our own.

GitLab publishes none in a package; tests/openapi/README.md says what ours was written from.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.servers import Asked, Reply
from tests.standins.base import Call, Standin, answer, on

TIME = "2026-06-24T00:00:00.000Z"
DESCRIPTION = 1_000_000
"""Characters of a description at most: `MAX_TEXT_SIZE_LIMIT` in lib/gitlab/database.rb."""


@dataclass
class Package:
    """A generic package; ``files`` are (id, name, content), the newest last."""

    id: int
    name: str
    version: str
    files: list[tuple[int, str, bytes]] = field(default_factory=list)


class GitLab(Standin):
    """One project, `acme/images/os`, whose default branch is `main`; ``duplicates`` as its setting says of packages."""

    name = "gitlab"
    base = "/api/v4"

    def __init__(
        self, *, token: str = "glpat-composed-token", duplicates: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.token = token
        self.duplicates = duplicates
        self.releases: list[dict[str, Any]] = []
        self.packages: list[Package] = []
        self.tags: dict[str, str] = {}
        """Each tag with what it was made at."""
        self._ids = iter(range(1, 10**9))
        super().__init__(tls=tls)

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse a token that is wrong, and other projects."""
        headers = call.asked.headers
        if self.token not in (headers.get("private-token"), headers.get("job-token")):
            return answer({"message": "401 Unauthorized"}, 401)
        if call["id"] != "acme/images/os":
            return answer({"message": "404 Project Not Found"}, 404)
        return handler(call)

    def unknown(self, asked: Asked) -> Reply:
        """The site, where people download; else 404."""
        path = unquote(urlsplit(asked.path).path)
        for release in self.releases:
            below = f"/acme/images/os/-/releases/{release['tag_name']}"
            if path == below:
                return Reply(200, {"Content-Type": "text/html"}, b"<html>")
            for link in release["links"]:
                if path == f"{below}/downloads{link['direct_asset_path']}":
                    return Reply(302, {"Location": link["url"]})
        return answer({"error": "404 Not Found"}, 404)

    @on("GET /projects/{id}")
    def _project(self, call: Call) -> Reply:
        return answer({"id": 1, "default_branch": "main"})

    @on("GET /projects/{id}/repository/tags/{tag_name}")
    def _tag(self, call: Call) -> Reply:
        tag = call["tag_name"]
        if tag not in self.tags:
            return answer({"message": "404 Tag Not Found"}, 404)
        return answer({"name": tag, "target": self.tags[tag]})

    # ------------------------------------------------------------------------------------------------ releases

    @on("POST /projects/{id}/releases")
    def _create(self, call: Call) -> Reply:
        said = call.body
        tag = said["tag_name"]
        if self._found(tag):
            return answer({"message": "Release already exists"}, 409)
        if tag not in self.tags and "ref" not in said:
            return answer({"message": "Ref is not specified"}, 422)
        if len(said.get("description", "")) > DESCRIPTION:
            return answer({"message": {"description": ["is too long (maximum is 1000000 characters)"]}}, 400)
        links = said.get("assets", {}).get("links", [])
        if any(len({link[key] for link in links}) < len(links) for key in ("name", "url")):
            return answer({"message": "Validation failed: Links have duplicate values"}, 400)
        self.tags.setdefault(tag, said.get("ref", ""))
        release = {
            "tag_name": tag, "name": said.get("name") or tag, "description": said.get("description", ""),
            "links": [{"id": next(self._ids), **link} for link in links],
        }  # fmt: skip
        self.releases.append(release)
        return answer(self._shown(release), 201)

    @on("GET /projects/{id}/releases/{tag_name}")
    def _get(self, call: Call) -> Reply:
        release = self._found(call["tag_name"])
        return answer(self._shown(release)) if release else self._missing()

    @on("PUT /projects/{id}/releases/{tag_name}")
    def _update(self, call: Call) -> Reply:
        release = self._found(call["tag_name"])
        if release is None:
            return self._missing()
        release.update(call.body)
        return answer(self._shown(release))

    @on("POST /projects/{id}/releases/{tag_name}/assets/links")
    def _link(self, call: Call) -> Reply:
        release = self._found(call["tag_name"])
        if release is None:
            return self._missing()
        if any(link[key] == call.body[key] for link in release["links"] for key in ("name", "url")):
            return answer({"message": {"name": ["has already been taken"]}}, 400)
        release["links"].append({"id": next(self._ids), **call.body})
        return answer(_link_shown(release["links"][-1]), 201)

    @on("PUT /projects/{id}/releases/{tag_name}/assets/links/{link_id}")
    def _relink(self, call: Call) -> Reply:
        release = self._found(call["tag_name"])
        found = [link for link in (release or {"links": []})["links"] if str(link["id"]) == call["link_id"]]
        if not found:
            return self._missing()
        found[0].update(call.body)
        return answer(_link_shown(found[0]))

    # ------------------------------------------------------------------------------------------------ packages

    @on("PUT /projects/{id}/packages/generic/{package_name}/{package_version}/{file_name}")
    def _upload(self, call: Call) -> Reply:
        name, version = call["package_name"], call["package_version"]
        package = next((one for one in self.packages if (one.name, one.version) == (name, version)), None)
        if package is None:
            package = Package(next(self._ids), name, version)
            self.packages.append(package)
        if not self.duplicates and any(file[1] == call["file_name"] for file in package.files):
            return answer({"message": "400 Bad request - Duplicate package is not allowed"}, 400)
        package.files.append((next(self._ids), call["file_name"], call.asked.body))
        return answer(_file_shown(package, package.files[-1]), 201)

    @on("GET /projects/{id}/packages")
    def _list(self, call: Call) -> Reply:
        name, version = call.query.get("package_name", ""), call.query.get("package_version", "")
        found = [one for one in self.packages if one.name.startswith(name) and one.version.startswith(version)]
        return answer(
            [{"id": one.id, "name": one.name, "version": one.version, "package_type": "generic"} for one in found]
        )

    @on("GET /projects/{id}/packages/{package_id}/package_files")
    def _files(self, call: Call) -> Reply:
        package = next((one for one in self.packages if str(one.id) == call["package_id"]), None)
        return answer([_file_shown(package, file) for file in package.files]) if package else self._missing()

    # --------------------------------------------------------------------------------------------------- parts

    def _found(self, tag: str) -> dict[str, Any] | None:
        return next((one for one in self.releases if one["tag_name"] == tag), None)

    def _missing(self) -> Reply:
        return answer({"message": "404 Not found"}, 404)

    def _shown(self, release: dict[str, Any]) -> dict[str, Any]:
        page = f"{self.url}/acme/images/os/-/releases/{quote(release['tag_name'], safe='')}"
        links = [_link_shown(link) for link in release["links"]]
        return {
            "tag_name": release["tag_name"], "name": release["name"], "description": release["description"],
            "created_at": TIME, "released_at": TIME, "upcoming_release": False, "_links": {"self": page},
            "assets": {"count": len(links), "sources": [], "links": links},
        }  # fmt: skip


def _link_shown(link: dict[str, Any]) -> dict[str, Any]:
    return {key: link[key] for key in ("id", "name", "url", "link_type")}


def _file_shown(package: Package, file: tuple[int, str, bytes]) -> dict[str, Any]:
    id, name, content = file
    return {
        "id": id, "package_id": package.id, "file_name": name, "size": len(content),
        "file_sha256": hashlib.sha256(content).hexdigest(), "created_at": TIME,
    }  # fmt: skip
