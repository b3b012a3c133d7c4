"""GitLab's REST API v4, as far as releases, generic packages and statuses go.

GitLab publishes no whole description of it in a package: `gitlab.json` is written by docs.gitlab.com.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.servers import Asked, Reply
from tests.standins.base import Call, Standin, answer, on

PROJECT = "acme/os"
TIME = "2026-06-24T00:00:00Z"

Release = dict[str, Any]


@dataclass
class PackageFile:
    """A file of a generic package."""

    id: int
    package: int
    name: str
    version: str
    file: str
    data: bytes


class GitLab(Standin):
    """One project, `acme/os`, whose tags are `tags`."""

    name = "gitlab"
    base = "/api/v4"

    def __init__(self, *, token: str = "composed-gitlab-token", tls: ssl.SSLContext | None = None) -> None:
        self.token = token
        self.tags: dict[str, str] = {}
        """Each with its commit."""
        self.releases: list[Release] = []
        """The oldest first, each with its ``links``."""
        self.files: list[PackageFile] = []
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        """Of each commit, the newest first: see `status`."""
        self.pipelines: list[dict[str, Any]] = []
        """The newest first: see `pipeline`."""
        self._ids = iter(range(1, 10**9))
        super().__init__(tls=tls)

    # ------------------------------------------------------------------------------------------ what tests say

    def status(self, sha: str, name: str, state: str, *, allow_failure: bool = False, pipeline: int = 1) -> None:
        """A job, or what another service said of a commit, in the words of GitLab's states."""
        shown = {
            "id": next(self._ids), "sha": sha, "ref": "main", "status": state, "name": name, "created_at": TIME,
            "target_url": f"{self.url}/{PROJECT}/-/jobs/1", "description": None, "started_at": None,
            "finished_at": None, "allow_failure": allow_failure, "coverage": None, "pipeline_id": pipeline,
            "author": {"id": 1, "username": "acme"},
        }  # fmt: skip
        self.statuses.setdefault(sha, []).insert(0, shown)

    def pipeline(self, sha: str, state: str, ref: str = "main") -> int:
        """A pipeline of a commit; its number."""
        number = next(self._ids)
        shown = {
            "id": number, "iid": number, "project_id": 1, "sha": sha, "ref": ref, "status": state, "source": "push",
            "created_at": TIME, "updated_at": TIME, "web_url": f"{self.url}/{PROJECT}/-/pipelines/{number}",
        }  # fmt: skip
        self.pipelines.insert(0, shown)
        return number

    # ------------------------------------------------------------------------------------------------ answers

    def unknown(self, asked: Asked) -> Reply:
        """404, save for assets by their direct address, which is no part of the API."""
        path = unquote(urlsplit(asked.path).path)
        for release in self.releases:
            if path == f"/{PROJECT}/-/releases/{release['tag_name']}":
                return Reply(200, {"Content-Type": "text/html"}, b"<html>")
            for link in release["links"]:
                if path == f"/{PROJECT}/-/releases/{release['tag_name']}/downloads{link.get('direct_asset_path')}":
                    return Reply(302, {"Location": link["url"]})
        return answer({"error": "404 Not Found"}, 404)

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse another token, writes without one, and other projects."""
        headers = call.asked.headers
        said = headers.get("private-token") or headers.get("job-token") or headers.get("authorization", "")[7:]
        if said and said != self.token:
            return answer({"message": "401 Unauthorized"}, 401)
        if call["id"] not in (PROJECT, "1"):
            return _missing("Project")
        return handler(call) if said or call.asked.method == "GET" else answer({"message": "401 Unauthorized"}, 401)

    @on("GET /projects/{id}")
    def _project(self, call: Call) -> Reply:
        web = f"{self.url}/{PROJECT}"
        return answer({"id": 1, "path_with_namespace": PROJECT, "web_url": web, "default_branch": "main"})

    @on("GET /projects/{id}/repository/tags/{tag_name}")
    def _tag(self, call: Call) -> Reply:
        commit = self.tags.get(call["tag_name"])
        if commit is None:
            return _missing("Tag")
        return answer({"name": call["tag_name"], "target": commit, "message": "", "commit": {"id": commit}})

    @on("GET /projects/{id}/releases")
    def _list(self, call: Call) -> Reply:
        order = call.query.get("order_by", "released_at")
        found = sorted(self.releases, key=lambda item: (_time(item[order]), item["id"]))
        newest = call.query.get("sort", "desc") == "desc"
        return self._paged(call, [self._shown(item) for item in (reversed(found) if newest else found)])

    @on("POST /projects/{id}/releases")
    def _create(self, call: Call) -> Reply:
        said = dict(call.body)
        tag, links = said["tag_name"], (said.pop("assets", None) or {}).get("links", [])
        if self._release(tag) is not None:
            return answer({"message": "Release already exists"}, 409)
        if tag not in self.tags:
            if "ref" not in said:
                return answer({"message": "Ref is not specified"}, 422)
            self.tags[tag] = said["ref"]
        release = {"name": tag, "description": None, "released_at": TIME, **said, "id": next(self._ids), "links": []}
        for link in links:
            if refused := self._link(release, {}, link):
                return refused
        self.releases.append(release)
        return answer(self._shown(release), 201)

    @on("GET /projects/{id}/releases/permalink/latest")
    def _latest(self, call: Call) -> Reply:
        if not self.releases:
            return _missing("")
        newest = max(self.releases, key=lambda item: (_time(item["released_at"]), item["id"]))
        return Reply(
            302, {"Location": f"{self.url}{self.base}/projects/1/releases/{quote(newest['tag_name'], safe='')}"}
        )

    @on("GET /projects/{id}/releases/{tag_name}")
    def _get(self, call: Call) -> Reply:
        release = self._release(call["tag_name"])
        return _missing("") if release is None else answer(self._shown(release))

    @on("PUT /projects/{id}/releases/{tag_name}")
    def _update(self, call: Call) -> Reply:
        release = self._release(call["tag_name"])
        if release is None:
            return _missing("")
        release.update(call.body)
        return answer(self._shown(release))

    @on("DELETE /projects/{id}/releases/{tag_name}")
    def _delete(self, call: Call) -> Reply:
        release = self._release(call["tag_name"])
        if release is None:
            return _missing("")
        self.releases.remove(release)
        return answer(self._shown(release))

    @on("GET /projects/{id}/releases/{tag_name}/assets/links")
    def _links(self, call: Call) -> Reply:
        release = self._release(call["tag_name"])
        return _missing("") if release is None else self._paged(call, self._shown(release)["assets"]["links"])

    @on("POST /projects/{id}/releases/{tag_name}/assets/links")
    def _add_link(self, call: Call) -> Reply:
        release = self._release(call["tag_name"])
        if release is None:
            return _missing("")
        refused = self._link(release, {}, call.body)
        return refused or answer(self._shown_link(release, release["links"][-1]), 201)

    @on(
        "GET /projects/{id}/releases/{tag_name}/assets/links/{link_id}",
        "PUT /projects/{id}/releases/{tag_name}/assets/links/{link_id}",
        "DELETE /projects/{id}/releases/{tag_name}/assets/links/{link_id}",
    )
    def _one_link(self, call: Call) -> Reply:
        release = self._release(call["tag_name"])
        found = [link for link in release["links"] if str(link["id"]) == call["link_id"]] if release else []
        if release is None or not found:
            return _missing("")
        if call.asked.method == "PUT" and (refused := self._link(release, found[0], call.body)):
            return refused
        if call.asked.method == "DELETE":
            release["links"].remove(found[0])
        return answer(self._shown_link(release, found[0]))

    @on("PUT /projects/{id}/packages/generic/{package_name}/{package_version}/{file_name}")
    def _upload(self, call: Call) -> Reply:
        name, version = call["package_name"], call["package_version"]
        known = [file.package for file in self.files if (file.name, file.version) == (name, version)]
        package = known[0] if known else next(self._ids)
        # a second file of a name is kept beside the first, and is what is downloaded from then on
        file = PackageFile(next(self._ids), package, name, version, call["file_name"], call.asked.body)
        self.files.append(file)
        if call.query.get("select") == "package_file":
            return answer(_shown_file(file), 201)
        return answer({"message": "201 Created"}, 201)

    @on("GET /projects/{id}/packages/generic/{package_name}/{package_version}/{file_name}")
    def _download(self, call: Call) -> Reply:
        wanted = (call["package_name"], call["package_version"], call["file_name"])
        found = [file for file in self.files if (file.name, file.version, file.file) == wanted]
        return Reply(200, {"Content-Type": "application/octet-stream"}, found[-1].data) if found else _missing("")

    @on("GET /projects/{id}/packages")
    def _packages(self, call: Call) -> Reply:
        packages = {file.package: file for file in self.files}
        found = [
            {
                "id": number, "name": file.name, "version": file.version, "package_type": "generic",
                "status": "default", "created_at": TIME,
            }
            for number, file in packages.items()
            if call.query.get("package_name", "") in file.name
            if call.query.get("package_version", file.version) == file.version
            if call.query.get("package_type", "generic") == "generic"
        ]  # fmt: skip
        return self._paged(call, found)

    @on("DELETE /projects/{id}/packages/{package_id}")
    def _delete_package(self, call: Call) -> Reply:
        self.files = [file for file in self.files if str(file.package) != call["package_id"]]
        return Reply(204)

    @on("GET /projects/{id}/packages/{package_id}/package_files")
    def _files(self, call: Call) -> Reply:
        found = [_shown_file(file) for file in self.files if str(file.package) == call["package_id"]]
        return self._paged(call, found) if found else _missing("Package")

    @on("DELETE /projects/{id}/packages/{package_id}/package_files/{package_file_id}")
    def _delete_file(self, call: Call) -> Reply:
        found = [file for file in self.files if str(file.id) == call["package_file_id"]]
        if not found:
            return _missing("")
        self.files.remove(found[0])
        return Reply(204)

    @on("GET /projects/{id}/repository/commits/{sha}")
    def _commit(self, call: Call) -> Reply:
        sha = call["sha"]
        state = next((item["status"] for item in self.pipelines if item["sha"] == sha), None)
        return answer({"id": sha, "short_id": sha[:8], "title": "composed", "status": state})

    @on("GET /projects/{id}/repository/commits/{sha}/statuses")
    def _statuses(self, call: Call) -> Reply:
        found = self.statuses.get(call["sha"], [])
        if call.query.get("all") != "true":  # the newest of each name
            found = list({item["name"]: item for item in reversed(found)}.values())[::-1]
        for name, field in (("name", "name"), ("ref", "ref"), ("pipeline_id", "pipeline_id")):
            found = [item for item in found if call.query.get(name, str(item[field])) == str(item[field])]
        return self._paged(call, found)

    @on("GET /projects/{id}/pipelines")
    def _pipelines(self, call: Call) -> Reply:
        found = self.pipelines
        for name in ("sha", "ref", "status", "source"):
            found = [item for item in found if call.query.get(name, item[name]) == item[name]]
        return self._paged(call, found)

    # ------------------------------------------------------------------------------------------------- parts

    def _release(self, tag: str) -> Release | None:
        return next((item for item in self.releases if item["tag_name"] == tag), None)

    def _link(self, release: Release, old: dict[str, Any], said: dict[str, Any]) -> Reply | None:
        """Keep a link, a new one or what is ``said`` of an old one; the answer where it is refused."""
        new = {"link_type": "other", **old, **said}
        for name in ("name", "url"):
            if any(new[name] == other[name] for other in release["links"] if other is not old):
                return answer({"message": {name: ["has already been taken"]}}, 400)
        if not new["url"].startswith(("http://", "https://", "ftp://")):
            return answer({"message": {"url": ["is blocked: Only allowed schemes are http, https, ftp"]}}, 400)
        if old:
            old.update(new)
        else:
            release["links"].append({"id": next(self._ids), **new})
        return None

    def _shown_link(self, release: Release, link: dict[str, Any]) -> dict[str, Any]:
        direct = link.get("direct_asset_path")
        home = f"{self.url}/{PROJECT}/-/releases/{quote(release['tag_name'], safe='')}/downloads"
        shown = {name: link[name] for name in ("id", "name", "url", "link_type")}
        return {**shown, "direct_asset_url": f"{home}{direct}" if direct else link["url"]}

    def _shown(self, release: Release) -> Release:
        tag = release["tag_name"]
        page = f"{self.url}/{PROJECT}/-/releases/{quote(tag, safe='')}"
        links = [self._shown_link(release, link) for link in reversed(release["links"])]
        return {
            "tag_name": tag, "name": release["name"], "description": release["description"], "created_at": TIME,
            "released_at": release["released_at"], "upcoming_release": _time(release["released_at"]) > _time(TIME),
            "author": {"id": 1, "username": "acme"}, "commit": {"id": self.tags[tag]}, "evidences": [],
            "commit_path": f"/{PROJECT}/-/commit/{self.tags[tag]}", "tag_path": f"/{PROJECT}/-/tags/{tag}",
            "assets": {"count": len(links), "sources": [], "links": links},
            "_links": {"self": page, "edit_url": f"{page}/edit"},
        }  # fmt: skip

    def _paged(self, call: Call, items: list[Any]) -> Reply:
        size, page = int(call.query.get("per_page", 20)), int(call.query.get("page", 1))
        more = page * size < len(items)
        headers = {
            "X-Page": str(page), "X-Per-Page": str(size), "X-Total": str(len(items)),
            "X-Next-Page": str(page + 1) if more else "",
        }  # fmt: skip
        if more:
            path = urlsplit(call.asked.path).path
            kept = "".join(f"{quote(n)}={quote(v)}&" for n, v in call.query.items() if n not in ("page", "per_page"))
            headers["Link"] = f'<{self.url}{path}?{kept}page={page + 1}&per_page={size}>; rel="next"'
        return answer(items[(page - 1) * size : page * size], headers=headers)


def _shown_file(file: PackageFile) -> dict[str, Any]:
    digest = hashlib.sha256(file.data).hexdigest()
    return {
        "id": file.id, "package_id": file.package, "created_at": TIME, "file_name": file.file, "size": len(file.data),
        "file_md5": None, "file_sha1": None, "file_sha256": digest,
    }  # fmt: skip


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _missing(what: str) -> Reply:
    return answer({"message": " ".join(f"404 {what} Not Found".split())}, 404)
