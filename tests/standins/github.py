"""GitHub's REST API, as far as releases, check runs and statuses go. Checked by `@octokit/openapi`.

Three hosts, as there: the API (`url`), uploads (`uploads.url`), and the site (`site.url`), where assets are downloaded.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tests.servers import Asked, Reply, Scripted
from tests.standins.base import Call, Standin, answer, on

TIME = "2026-06-24T00:00:00Z"
BODY = 125_000
"""Characters of a release's body at most, as the server says when there are more; in no description."""

Release = dict[str, Any]


@dataclass
class Asset:
    """A file of a release; ``state`` is `starter` where its upload was cut."""

    id: int
    release: int
    name: str
    data: bytes
    type: str
    label: str | None = None
    state: str = "uploaded"


class GitHub(Standin):
    """One repository, `acme/os`; ``immutable`` as its setting for releases of that name says."""

    name = "github"

    def __init__(
        self, *, token: str = "composed-github-token", immutable: bool = False, tls: ssl.SSLContext | None = None
    ) -> None:
        self.token = token
        self.immutable = immutable
        self.releases: list[Release] = []
        self.assets: list[Asset] = []
        self.tags: dict[str, str] = {}
        """Each tag with what it points at, as far as releases made it or the test says so."""
        self.check_runs: dict[str, list[dict[str, Any]]] = {}
        """What answers for check runs, by commit: see `check`."""
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        """The statuses of each commit, the newest first: see `status`."""
        self._ids = iter(range(1, 10**9))
        super().__init__(tls=tls)
        self.uploads = Scripted(self._uploaded, tls=tls)
        self.site = Scripted(self._page, tls=tls)

    def __exit__(self, *args: object) -> None:
        self.uploads.__exit__()
        self.site.__exit__()
        super().__exit__(*args)

    # ------------------------------------------------------------------------------------------ what tests say

    def check(self, ref: str, name: str, conclusion: str | None, *, app: str = "github-actions") -> None:
        """A check run of ``ref``; with no ``conclusion`` it is still running."""
        self.check_runs.setdefault(ref, []).append(
            {
                "id": next(self._ids), "head_sha": ref, "node_id": "CR_composed", "external_id": "", "name": name,
                "url": f"{self.url}/repos/acme/os/check-runs/1", "html_url": f"{self.site.url}/acme/os/runs/1",
                "details_url": f"{self.site.url}/acme/os/runs/1", "conclusion": conclusion,
                "status": "completed" if conclusion else "in_progress", "started_at": TIME,
                "completed_at": TIME if conclusion else None, "check_suite": {"id": 1}, "pull_requests": [],
                "output": {
                    "title": None, "summary": None, "text": None, "annotations_count": 0,
                    "annotations_url": f"{self.url}/repos/acme/os/check-runs/1/annotations",
                },
                "app": {
                    "id": 1, "slug": app, "node_id": "A_composed", "owner": self._user("acme"), "name": app,
                    "description": None, "external_url": self.site.url, "html_url": self.site.url, "events": [],
                    "created_at": TIME, "updated_at": TIME, "permissions": {},
                },
            }
        )  # fmt: skip

    def status(self, ref: str, context: str, state: str, description: str | None = None) -> None:
        """A status of ``ref``: `error`, `failure`, `pending` or `success`; a later one of a ``context`` counts."""
        self.statuses.setdefault(ref, []).insert(
            0,
            {
                "id": next(self._ids), "node_id": "SC_composed", "state": state, "context": context, "created_at": TIME,
                "updated_at": TIME, "description": description, "avatar_url": None, "required": None,
                "target_url": f"{self.site.url}/acme/os/ci", "url": f"{self.url}/repos/acme/os/statuses/{ref}",
            },
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------------ answers

    def serve(self, call: Call, handler: Callable[[Call], Reply]) -> Reply:
        """Refuse a token that is wrong, writes without one, and other repositories."""
        said = call.asked.headers.get("authorization")
        if said is not None and said.split(" ")[-1] != self.token:
            return answer({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, 401)
        if (call["owner"], call["repo"]) != ("acme", "os") or (said is None and call.asked.method != "GET"):
            return self.unknown(call.asked)
        if not call.asked.headers.get("user-agent"):
            return answer({"message": "Request forbidden by administrative rules: no User-Agent"}, 403)
        return handler(call)

    def unknown(self, asked: Asked) -> Reply:
        """404, as GitHub words it."""
        return answer(
            {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}, 404
        )

    @on("GET /repos/{owner}/{repo}/releases")
    def _list(self, call: Call) -> Reply:
        mine = "authorization" in call.asked.headers  # drafts are for those alone who may write
        return self._paged(call, [self._shown(item) for item in reversed(self.releases) if mine or not item["draft"]])

    @on("POST /repos/{owner}/{repo}/releases")
    def _create(self, call: Call) -> Reply:
        release = {
            "id": next(self._ids), "name": None, "body": None, "draft": False, "prerelease": False,
            "target_commitish": "main", "make_latest": "true", "published_at": None, "immutable": False,
        }  # fmt: skip
        return self._kept(release, call.body, 201)

    @on("GET /repos/{owner}/{repo}/releases/{release_id}")
    def _get(self, call: Call) -> Reply:
        release = self._release(call)
        if release is None or (release["draft"] and "authorization" not in call.asked.headers):
            return self.unknown(call.asked)
        return answer(self._shown(release))

    @on("GET /repos/{owner}/{repo}/releases/tags/{tag}")
    def _by_tag(self, call: Call) -> Reply:
        found = [item for item in self.releases if item["tag_name"] == call["tag"] and not item["draft"]]
        return answer(self._shown(found[0])) if found else self.unknown(call.asked)

    @on("GET /repos/{owner}/{repo}/releases/latest")
    def _latest(self, call: Call) -> Reply:
        found = self.latest
        return answer(self._shown(found)) if found else self.unknown(call.asked)

    @property
    def latest(self) -> Release | None:
        """The release with the mark."""
        public = [item for item in self.releases if not item["draft"] and not item["prerelease"]]
        marked = [item for item in public if item["make_latest"] == "true"]
        return max(marked or public, key=lambda item: item["marked"], default=None)

    @on("PATCH /repos/{owner}/{repo}/releases/{release_id}")
    def _update(self, call: Call) -> Reply:
        release = self._release(call)
        return self.unknown(call.asked) if release is None else self._kept(release, call.body, 200)

    @on("DELETE /repos/{owner}/{repo}/releases/{release_id}")
    def _delete(self, call: Call) -> Reply:
        release = self._release(call)
        if release is None:
            return self.unknown(call.asked)
        self.releases.remove(release)
        self.assets = [asset for asset in self.assets if asset.release != release["id"]]
        return Reply(204)

    @on("GET /repos/{owner}/{repo}/releases/{release_id}/assets")
    def _list_assets(self, call: Call) -> Reply:
        release = self._release(call)
        if release is None:
            return self.unknown(call.asked)
        return self._paged(call, self._shown(release)["assets"])

    @on("GET /repos/{owner}/{repo}/releases/assets/{asset_id}")
    def _asset(self, call: Call) -> Reply:
        found = next((asset for asset in self.assets if str(asset.id) == call["asset_id"]), None)
        if found is None:
            return self.unknown(call.asked)
        if call.asked.headers.get("accept") == "application/octet-stream":
            return Reply(302, {"Location": self._download(found)})
        return answer(self._shown_asset(found))

    @on("DELETE /repos/{owner}/{repo}/releases/assets/{asset_id}")
    def _delete_asset(self, call: Call) -> Reply:
        found = next((asset for asset in self.assets if str(asset.id) == call["asset_id"]), None)
        if found is None:
            return self.unknown(call.asked)
        if self._of(found)["immutable"]:
            return _invalid("immutable", "Cannot delete asset from an immutable release")
        self.assets.remove(found)
        return Reply(204)

    @on("GET /repos/{owner}/{repo}/commits/{ref}/check-runs")
    def _check_runs(self, call: Call) -> Reply:
        runs = self.check_runs.get(call["ref"], [])
        if "check_name" in call.query:
            runs = [run for run in runs if run["name"] == call.query["check_name"]]
        return self._paged(call, runs, "check_runs")

    @on("GET /repos/{owner}/{repo}/commits/{ref}/status")
    def _combined(self, call: Call) -> Reply:
        newest: dict[str, dict[str, Any]] = {}
        for item in self.statuses.get(call["ref"], []):
            newest.setdefault(item["context"], item)
        states = {item["state"] for item in newest.values()}
        state = "failure" if states & {"error", "failure"} else "success" if states == {"success"} else "pending"
        reply = self._paged(call, list(newest.values()), "statuses")
        whole = {
            "state": state, "sha": call["ref"], "repository": self._repository(), "url": f"{self.url}{call.asked.path}",
            "commit_url": f"{self.url}/repos/acme/os/commits/{call['ref']}", **_read(reply),
        }  # fmt: skip
        return answer(whole, headers={name: value for name, value in reply.headers.items() if name == "Link"})

    @on("GET /repos/{owner}/{repo}/commits/{ref}/statuses")
    def _statuses(self, call: Call) -> Reply:
        return self._paged(
            call, [{**item, "creator": self._user("acme")} for item in self.statuses.get(call["ref"], [])]
        )

    # ------------------------------------------------------------------------------------------- other hosts

    def _uploaded(self, asked: Asked) -> Reply:
        """An upload comes to its own host, and is checked and broken as the others are."""
        self.asked.append(asked)
        return self.checked(asked)

    @on("POST /repos/{owner}/{repo}/releases/{release_id}/assets")
    def _upload(self, call: Call) -> Reply:
        if call.asked.headers.get("host") != self.uploads.host:
            return self.unknown(call.asked)
        release = self._release(call)
        if release is None:
            return self.unknown(call.asked)
        if release["immutable"]:
            return _invalid("immutable", "Cannot upload assets to an immutable release.")
        if not call.asked.body:
            return answer({"message": "Bad Content-Length: 0"}, 400)
        # what is neither letter, digit nor one of these becomes a full stop
        name = re.sub(r"[^\w.+@-]", ".", call.query["name"], flags=re.ASCII).strip(".")
        if any(asset.release == release["id"] and asset.name == name for asset in self.assets):
            return _invalid("name", "already_exists", resource="ReleaseAsset", code="already_exists")
        kind = call.asked.headers.get("content-type", "application/octet-stream")
        asset = Asset(next(self._ids), release["id"], name, call.asked.body, kind, call.query.get("label"))
        self.assets.append(asset)
        return answer(self._shown_asset(asset), 201)

    def _page(self, asked: Asked) -> Reply:
        path = unquote(urlsplit(asked.path).path)
        found = [asset for asset in self.assets if unquote(urlsplit(self._download(asset)).path) == path]
        if found and not self._of(found[0])["draft"]:
            return Reply(200, {"Content-Type": found[0].type}, found[0].data)
        tags = [f"/acme/os/releases/tag/{item['tag_name']}" for item in self.releases if not item["draft"]]
        return Reply(200, {"Content-Type": "text/html"}, b"<html>") if path in tags else Reply(404)

    # ------------------------------------------------------------------------------------------------- parts

    def _release(self, call: Call) -> Release | None:
        return next((item for item in self.releases if str(item["id"]) == call["release_id"]), None)

    def _of(self, asset: Asset) -> Release:
        return next(item for item in self.releases if item["id"] == asset.release)

    def _kept(self, release: Release, said: dict[str, Any], status: int) -> Reply:
        """``release`` with what is ``said`` of it, unless that is refused."""
        new = {**release, **said}
        if not isinstance(new.get("tag_name"), str):
            return _invalid("tag_name", "missing_field", code="missing_field")
        if len(new["body"] or "") > BODY:
            return _invalid("body", f"body is too long (maximum is {BODY} characters)")
        if release["immutable"] and any(
            new[name] != release[name] for name in ("tag_name", "target_commitish", "draft")
        ):
            return _invalid("immutable", "Cannot change the tag of an immutable release")
        others = [item for item in self.releases if item is not release and not item["draft"]]
        if not new["draft"]:
            if any(item["tag_name"] == new["tag_name"] for item in others):
                return _invalid("tag_name", "already_exists", code="already_exists")
            new["published_at"] = new["published_at"] or TIME
            new["immutable"] = self.immutable
            self.tags.setdefault(new["tag_name"], new["target_commitish"])
        if "marked" not in release or said.get("make_latest") == "true":
            new["marked"] = next(self._ids)
        if release in self.releases:
            release.update(new)
        else:
            self.releases.append(release := new)
        shown = self._shown(release)
        return answer(shown, status, {"Location": shown["url"]}) if status == 201 else answer(shown)

    def _shown(self, release: Release) -> Release:
        api, tag = f"{self.url}/repos/acme/os/releases/{release['id']}", quote(release["tag_name"])
        page = f"untagged-{release['id']:08x}" if release["draft"] else tag
        shown = {
            **release, "url": api, "html_url": f"{self.site.url}/acme/os/releases/tag/{page}", "created_at": TIME,
            "assets_url": f"{api}/assets", "node_id": "RE_composed", "author": self._user("acme"),
            "upload_url": f"{self.uploads.url}/repos/acme/os/releases/{release['id']}/assets{{?name,label}}",
            "tarball_url": f"{self.url}/repos/acme/os/tarball/{tag}",
            "zipball_url": f"{self.url}/repos/acme/os/zipball/{tag}",
            "assets": [self._shown_asset(asset) for asset in self.assets if asset.release == release["id"]],
        }  # fmt: skip
        return {
            name: value
            for name, value in shown.items()
            if name not in ("make_latest", "marked", "discussion_category_name")
        }

    def _shown_asset(self, asset: Asset) -> dict[str, Any]:
        return {
            "url": f"{self.url}/repos/acme/os/releases/assets/{asset.id}",
            "browser_download_url": self._download(asset), "id": asset.id, "node_id": "RA_composed",
            "name": asset.name, "label": asset.label, "state": asset.state,
            "content_type": asset.type, "size": len(asset.data), "download_count": 0, "created_at": TIME,
            "digest": f"sha256:{hashlib.sha256(asset.data).hexdigest()}",
            "updated_at": TIME, "uploader": self._user("acme"),
        }  # fmt: skip

    def _download(self, asset: Asset) -> str:
        return f"{self.site.url}/acme/os/releases/download/{quote(self._of(asset)['tag_name'])}/{quote(asset.name)}"

    def _paged(self, call: Call, items: list[Any], key: str | None = None) -> Reply:
        size, page = min(int(call.query.get("per_page", 30)), 100), int(call.query.get("page", 1))
        part = items[(page - 1) * size : page * size]
        document = part if key is None else {"total_count": len(items), key: part}
        if page * size >= len(items):
            return answer(document)
        path, _, query = call.asked.path.partition("?")
        more = "&".join(f"{name}={quote(value)}" for name, value in parse_qsl(query) if name != "page")
        return answer(document, headers={"Link": f'<{self.url}{path}?{more}&page={page + 1}>; rel="next"'})

    def _user(self, login: str) -> dict[str, Any]:
        return _linked(f"{self.url}/users/{login}", USER) | {
            "login": login, "id": 1, "node_id": "U_composed", "type": "User", "site_admin": False, "gravatar_id": "",
            "avatar_url": f"{self.site.url}/{login}.png", "html_url": f"{self.site.url}/{login}",
            "url": f"{self.url}/users/{login}",
        }  # fmt: skip

    def _repository(self) -> dict[str, Any]:
        return _linked(f"{self.url}/repos/acme/os", REPOSITORY) | {
            "id": 1, "node_id": "R_composed", "name": "os", "full_name": "acme/os", "owner": self._user("acme"),
            "private": False, "fork": False, "description": None, "html_url": f"{self.site.url}/acme/os",
            "url": f"{self.url}/repos/acme/os",
        }  # fmt: skip


USER = "followers following gists starred subscriptions organizations repos events received_events"
REPOSITORY = (
    "archive assignees blobs branches collaborators comments commits compare contents contributors deployments "
    "downloads events forks git_commits git_refs git_tags hooks issue_comment issue_events issues keys labels "
    "languages merges milestones notifications pulls releases stargazers statuses subscribers subscription tags teams "
    "trees"
)


def _linked(base: str, names: str) -> dict[str, str]:
    return {f"{name}_url": f"{base}/{name}" for name in names.split()}


def _invalid(field: str, message: str, *, resource: str = "Release", code: str = "custom") -> Reply:
    errors = [{"resource": resource, "code": code, "field": field, "message": message}]
    return answer(
        {"message": "Validation Failed", "errors": errors, "documentation_url": "https://docs.github.com/rest"}, 422
    )


def _read(reply: Reply) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(reply.body)
    return document
