"""Releases of forges in a whole walk: what is planned, what is attached from the registry, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from relman import standing
from relman.errors import ConfigError
from relman.hookspecs import ActionsContext
from relman.model.changelog import Changelog, Section
from relman.model.oci import parse_reference
from relman.model.plan import Action, Plan, Stage
from relman.model.record import Receipt, ReceiptState, RecordState
from relman.render import NotesRenderer, Templates
from relman.render.sample import sample
from relman.testing import MemoryRegistry
from relman.walk.announcing import page_of
from relman_plugins.publish.forgejo import ForgejoExecutor, ForgejoSettings
from relman_plugins.publish.github import LIMIT, GitHubExecutor, GitHubSettings
from relman_plugins.publish.gitlab import LIMIT as GITLAB_LIMIT
from relman_plugins.publish.gitlab import in_bytes
from relman_plugins.publish.gitlab_project import GitLabSettings
from relman_plugins.publish.planning import BANNER, marker, plan_release, withdrawn_text
from relman_plugins.publish.table import ForgeSettings
from tests.test_publish_github import GitHub
from tests.walking import World

CONFIG = """\
[changelog]
commits = {{ required = false }}

[[variants]]
name = "os"

[[variants]]
name = "os-dx"

[streams.testing]
tags = ["testing"]
versions = ["testing-{{date}}"]

[streams.stable]
tags = ["stable"]
from = "testing"
new_version = "stable-{{today}}"

[[publish]]
type = "github"
repository = "acme/os"
api = "{api}"
token = {{ env = "FORGE_TOKEN" }}
required = true
{more}

[[announce]]
type = "file"
name = "news"
path = "news.md"
template = "post.md.j2"
"""
TWO = ("linux/amd64", "linux/arm64")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub() as found:
        monkeypatch.setenv("FORGE_TOKEN", found.token)
        yield found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, MemoryRegistry())


def planned(world: World, server: GitHub, more: str = 'assets = ["sbom"]') -> Plan:
    world.configure(CONFIG.format(api=server.url, more=more))
    world.push("os", "testing", "testing-20260705", packages={"bash": "5.2-1.fc44"}, platforms=TWO)
    world.push("os-dx", "testing", "testing-20260705", packages={"gcc": "15-1.fc44"})
    with world.walk() as walk:
        return walk.plan(walk.config.stream("stable"))


def applied(world: World, plan: Plan) -> Receipt:
    """The receipt of the release on the forge."""
    with world.walk() as walk:
        record, _ = walk.apply(plan, lambda action, receipt: None)
    found = record.receipt(published(plan).key)
    assert found is not None
    return found


def published(plan: Plan) -> Action:
    (action,) = (one for one in plan.actions if one.stage is Stage.PUBLISH)
    return action


def assets(action: Action) -> list[dict[str, Any]]:
    listed = action.payload["assets"]
    assert isinstance(listed, list | tuple)
    return list(listed)


def with_asset(plan: Plan, **changes: object) -> Plan:
    """The plan with its first asset edited by hand."""
    action = published(plan)
    first, *others = assets(action)
    edited = replace(action, payload={**action.payload, "assets": [first | changes, *others]})
    return replace(plan, actions=tuple(edited if one is action else one for one in plan.actions))


# ------------------------------------------------------------------------------------------------------- SBOMs


def test_every_image_has_its_sbom_attached_as_the_registry_has_it(world: World, server: GitHub) -> None:
    plan = planned(world, server)

    receipt = applied(world, plan)

    assert receipt.state is ReceiptState.DONE, receipt.detail
    planned_assets = assets(published(plan))
    assert [one["name"] for one in planned_assets] == ["os-amd64.spdx.json", "os-arm64.spdx.json", "os-dx.spdx.json"]
    for one, uploaded in zip(planned_assets, server.assets, strict=True):
        assert set(one) == {"name", "type", "size", "sha256", "blob"}
        reference = parse_reference(one["blob"])
        assert reference.digest is not None
        content = world.memory.blob(reference.repository, reference.digest, limit=one["size"])
        assert (uploaded.name, uploaded.data, one["sha256"]) == (one["name"], content, reference.digest.hex)


def test_an_announcement_comes_after_the_release_on_the_forge(world: World, server: GitHub) -> None:
    plan = planned(world, server)

    assert [action.target for action in plan.actions if action.stage >= Stage.PUBLISH] == ["github:github", "file:news"]


def test_an_sbom_that_is_gone_leaves_a_draft_that_nobody_sees(world: World, server: GitHub) -> None:
    plan = planned(world, server)
    server.token, right = "another", server.token
    applied(world, plan)  # all tags are moved
    server.token = right
    gone = parse_reference(assets(published(plan))[0]["blob"])
    assert gone.digest is not None
    kept = world.memory._shelves[gone.repository].blobs.pop(gone.digest)

    receipt = applied(world, plan)

    assert receipt.state is ReceiptState.FAILED
    assert [one["draft"] for one in server.releases] == [True]
    world.memory._shelves[gone.repository].blobs[gone.digest] = kept
    assert applied(world, plan).state is ReceiptState.DONE
    assert [one["draft"] for one in server.releases] == [False]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"blob": "ghcr.io/elsewhere/secret@sha256:" + "0" * 64}, "is in no repository of relman.toml"),
        ({"blob": "ghcr.io/acme/os:testing"}, "is in no repository of relman.toml"),
        ({"sha256": "0" * 64}, "is not what the plan says"),
        ({"name": "../x"}, "has an asset that is none"),
        ({"text": "both"}, "has an asset that is none"),
    ],
)
def test_a_plan_that_was_edited_gives_away_no_other_blob(
    changes: dict[str, object], says: str, world: World, server: GitHub
) -> None:
    plan = with_asset(planned(world, server), **changes)

    receipt = applied(world, plan)

    assert receipt.state is ReceiptState.FAILED
    assert says in (receipt.detail or "")
    assert server.assets == []


def test_a_file_that_is_too_large_is_refused_when_planning(world: World, server: GitHub) -> None:
    planned(world, server, 'assets = ["sbom"]\nasset_limit = 1')
    many = {f"extra-{n:05}": "1.0-1.fc44" for n in range(4000)}
    world.push("os", "testing", "testing-20260706", packages=many, revision="a" * 40)

    too_large = r"would attach `os.spdx.json`, which has 1,[\d,]+ bytes: more than the 1 MiB"
    with pytest.raises(ConfigError, match=too_large), world.walk() as walk:
        walk.plan(walk.config.stream("stable"))


# ---------------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize("key", ["streams", "latest", "prerelease"])
def test_a_stream_that_is_not_there_is_a_fault_in_every_key_that_names_streams(
    key: str, world: World, server: GitHub
) -> None:
    with pytest.raises(ConfigError) as caught:
        planned(world, server, f'{key} = ["stabel"]')

    assert f"publish[1].{key}: there is no stream `stabel`; did you mean `stable`?" in "\n".join(caught.value.problems)


TABLE = {"repository": "acme/os", "token": {"env": "X"}}
MODELS: Mapping[str, type[ForgeSettings]] = {
    "github": GitHubSettings,
    "gitlab": GitLabSettings,
    "forgejo": ForgejoSettings,
}


def model(type: str, **more: object) -> ForgeSettings:
    return MODELS[type].model_validate({"type": type, "api": "https://git.example.org", **TABLE, **more})


@pytest.mark.parametrize("type", MODELS)
@pytest.mark.parametrize(
    "api",
    [
        "http://git.example.org",
        "ftp://git.example.org",
        "git.example.org",
        "https://",
        "https://user:word@git.example.org",
        "https://git.example.org/?a=b",
        "https://git.example.org#a",
        "https://[::1",
    ],
)
def test_an_address_that_no_token_should_go_to_is_refused(type: str, api: str) -> None:
    with pytest.raises(ValidationError):
        model(type, api=api)


@pytest.mark.parametrize("type", MODELS)
@pytest.mark.parametrize("repository", ["acme", "acme/../os", "/os", "acme/os/", "a b/c", "a/b?x", ".", "a/.."])
def test_a_repository_that_is_none_is_refused(type: str, repository: str) -> None:
    with pytest.raises(ValidationError):
        model(type, repository=repository)


@pytest.mark.parametrize("tag", ["v1", "{{ version }}{{ stream }}", "{{ version | upper }}", "{% if a %}", ""])
def test_a_tag_has_the_version_in_it_and_no_other_placeholder(tag: str) -> None:
    with pytest.raises(ValidationError):
        model("github", tag=tag)


@pytest.mark.parametrize(
    "version", ["a b", "a..b", "a~1", "x:y", "-x", "a.lock", "a@{b", "a/", "a\n", "\u200b", "a\\b", "/a"]
)
def test_a_version_that_can_be_no_tag_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the tag of a release"):
        model("github").tag_of(version)


@pytest.mark.parametrize(
    ("type", "api", "page", "download"),
    [
        ("github", "https://api.github.com", "https://github.com/acme/os/releases/tag/os%2Fv1",
         "https://github.com/acme/os/releases/download/os%2Fv1/notes.md"),
        ("gitlab", "https://gitlab.com", "https://gitlab.com/acme/os/-/releases/os%2Fv1",
         "https://gitlab.com/acme/os/-/releases/os%2Fv1/downloads/notes.md"),
        ("forgejo", "https://codeberg.org/", "https://codeberg.org/acme/os/releases/tag/os%2Fv1",
         "https://codeberg.org/acme/os/releases/download/os%2Fv1/notes.md"),
    ],
)  # fmt: skip
def test_where_a_release_and_its_files_will_be_is_known_beforehand(
    type: str, api: str, page: str, download: str
) -> None:
    found = model(type, api=api, tag="os/{{ version }}")

    assert (found.page("v1"), found.download(found.tag_of("v1"), "notes.md")) == (page, download)


@pytest.mark.parametrize("type", ["github", "forgejo"])
def test_a_draft_has_no_page_that_posts_could_link_to(type: str) -> None:
    assert model(type, draft=True).page("v1") is None


def test_releases_are_not_both_latest_and_pre_releases_and_drafts_have_no_discussion() -> None:
    with pytest.raises(ValidationError, match="cannot be both latest and pre-releases"):
        model("github", latest=["stable"], prerelease=["testing", "stable"])
    with pytest.raises(ValidationError, match="a draft has no discussion"):
        model("github", draft=True, discussion_category="News")
    with pytest.raises(ValidationError, match="is no key of `forgejo`: it has no discussions"):
        model("forgejo", discussion_category="News")


# ------------------------------------------------------------------------------------------------------- lengths

PARTS = st.sampled_from(
    [
        "x" * 50,
        "\U0001f469\u200d\U0001f4bb" * 9,
        "e\u0301\u0323" * 20,
        "\u0645\u0631\u062d\u0628\u0627 " * 8,
        "@everyone @here ",
        "**bold** `code` | pipe ",
        "<b>ü</b> & <!-- relman:00000000000000000000000000000000 -->",
        "\n\n",
    ]
)


def context_of(changelog: Changelog, like: ActionsContext) -> ActionsContext:
    return replace(like, changelog=changelog, renderer=NotesRenderer(Templates(), changelog, {"id": "0" * 16}))


@pytest.fixture
def context(world: World, server: GitHub) -> ActionsContext:
    """What the release of a small world is planned from."""
    plan = planned(world, server, "assets = []")
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream("stable"))
        renderer = NotesRenderer(Templates(), plan.changelog, {"id": plan.id})
        return ActionsContext(release, walk.config.stream("stable"), plan.changelog, renderer, lambda _model: ())


def with_sections(context: ActionsContext, *texts: str) -> ActionsContext:
    changelog = sample("Composed OS", "stable", ("os",))
    more = tuple(Section(f"s{n}", 60 + n, f"Part {n}", text) for n, text in enumerate(texts))
    return context_of(replace(changelog, sections=(*changelog.sections, *more)), context)


MEASURES: Mapping[str, tuple[int, Callable[[str], int]]] = {
    "github": (LIMIT, len),
    "gitlab": (GITLAB_LIMIT, in_bytes),
}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.lists(PARTS, min_size=1, max_size=8).map("x".join), max_size=3), limit=st.integers(1500, 6000))
@pytest.mark.parametrize("forge", MEASURES)
def test_no_text_is_longer_than_its_forge_takes_not_even_withdrawn(
    forge: str, texts: list[str], limit: int, context: ActionsContext
) -> None:
    _, measure = MEASURES[forge]
    at = with_sections(context, *(text for text in texts if text.strip()))

    action = plan_release(at, model(forge, limit=limit), limit=None, measure=measure, flags={})

    said, ends = action.text("text"), f"\n\n{marker(action.key)}\n"
    assert measure(withdrawn_text(said, "2026-07-06")) <= limit
    assert said.endswith(ends)
    whole = at.renderer.notes("markdown")
    cut = said.removesuffix(ends) != whole.rstrip()
    assert cut is (measure(whole) > limit - BANNER - measure(ends))
    assert not cut or "/notes.md" in said


@pytest.mark.parametrize("letter", ["x", "\u00fc", "\U0001f469"])
@pytest.mark.parametrize("forge", MEASURES)
def test_notes_are_whole_up_to_the_limit_and_cut_from_one_more_on(
    forge: str, letter: str, context: ActionsContext
) -> None:
    limit, measure = MEASURES[forge]
    free = limit - BANNER - measure(f"\n\n{marker('k' * 32)}\n")
    room = free - measure(with_sections(context, letter).renderer.notes("markdown"))
    most = letter * (room // measure(letter) + 1) + "y" * (room % measure(letter))

    texts = {}
    for more in ("", "y"):
        at = with_sections(context, most + more)
        action = plan_release(at, model(forge, assets=[]), limit=limit, measure=measure, flags={})
        texts[more] = (measure(at.renderer.notes("markdown")) - free, len(assets(action)))

    assert texts == {"": (0, 0), "y": (1, 1)}


def test_a_limit_that_leaves_room_for_nothing_names_channel_and_limit(context: ActionsContext) -> None:
    changelog = sample("Composed OS", "stable", ("os",))
    at = context_of(changelog, context)
    long = model("github", repository="a/" + "b" * 900, limit=1000)

    with pytest.raises(ConfigError, match=r"channel `github` takes 1,000 in a release's text, and the notes measure"):
        plan_release(at, long, limit=LIMIT, flags={})


# ------------------------------------------------------------------------------------------------------- targets


def test_posts_link_to_the_release_on_the_forge(world: World, server: GitHub) -> None:
    plan = planned(world, server, "")
    with world.walk() as walk:
        stream = walk.config.stream("stable")
        page = page_of(walk.config, walk.slots, stream, plan.version, lambda template: template)

    assert page == f"{server.url}/acme/os/releases/tag/{plan.version}"
    assert applied(world, plan).url == page


def test_an_image_without_an_sbom_is_named_and_holds_nothing_up(context: ActionsContext) -> None:
    at = replace(context, registry=MemoryRegistry())

    action = plan_release(at, model("github", assets=["sbom", "record"]), limit=LIMIT, flags={})

    assert [one["name"] for one in assets(action)] == ["release.json"]
    missing = "no SBOM of os (linux/amd64), os (linux/arm64), os-dx (linux/amd64)"
    assert missing in GitHubExecutor().describe(action)


@pytest.mark.parametrize(
    ("url", "revisions", "target"),
    [
        ("https://github.com/Acme/OS", ("a" * 40, "a" * 40), "a" * 40),
        ("https://github.com/acme/os.git", ("a" * 40, "a" * 40), "a" * 40),
        ("https://github.com/acme/os", ("a" * 40, "b" * 40), None),
        ("https://github.com/acme/common", ("a" * 40, "a" * 40), None),
        (None, ("a" * 40, "a" * 40), None),
    ],
)
def test_the_tag_is_made_where_all_images_were_built_from_if_that_is_here(
    url: str | None, revisions: tuple[str, str], target: str | None, world: World, context: ActionsContext
) -> None:
    for name, revision in zip(("os", "os-dx"), revisions, strict=True):
        world.push(name, "testing", "testing-20260706", revision=revision)
    with world.walk() as walk:
        release = walk.resolve(walk.config.stream("stable"))
    at = replace(context, release=release, changelog=replace(context.changelog, repository_url=url))

    action = plan_release(at, model("github", api="https://api.github.com"), limit=LIMIT, flags={})

    assert action.payload["target"] == target
    chosen = model("github", api="https://api.github.com", target="main")
    assert plan_release(at, chosen, limit=LIMIT, flags={}).payload["target"] == "main"


# --------------------------------------------------------------------------------------------------- in the ledger


def test_a_release_that_failed_on_the_forge_is_resumed_there_alone(world: World, server: GitHub) -> None:
    plan = planned(world, server, "")
    server.token, right = "another", server.token
    assert applied(world, plan).state is ReceiptState.FAILED
    assert (world.folder / "news.md").exists()
    server.token = right
    before = list(world.memory.writes)

    with world.walk() as walk:
        record, _ = walk.apply(plan, lambda action, receipt: None)

    assert record.state is RecordState.FINISHED
    assert world.memory.writes == before
    assert len(server.releases) == 1


def test_the_audit_sees_what_was_edited_by_hand(world: World, server: GitHub) -> None:
    plan = planned(world, server, "")
    applied(world, plan)
    server.releases[0]["body"] += "and more"

    with world.walk() as walk:
        found = standing.audit(walk, [walk.config.stream("stable")], last=None).all_findings

    assert [one.message for one in found if one.code == "edited"] == [
        f"what `github:github` published of `{plan.version}` is not what was posted: "
        f"the text of `{plan.version}` on GitHub is not what was published"
    ]


def test_the_files_are_hashed_as_they_are(world: World, server: GitHub) -> None:
    plan = planned(world, server, 'assets = ["notes", "record"]')

    for one in assets(published(plan)):
        content = one["text"].encode()
        assert (one["size"], one["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert {one["name"]: one for one in assets(published(plan))}["notes.md"]["text"] == plan.notes
    assert json.loads(next(o["text"] for o in assets(published(plan)) if o["name"] == "release.json"))["id"] == plan.id


def test_the_forges_say_what_they_do() -> None:
    payload: dict[str, object] = {
        "tag": "v1",
        "title": "t",
        "text": f"x{marker('k' * 32)}",
        "target": None,
        "assets": [],
        "draft": True,
    }
    action = Action("forgejo", Stage.PUBLISH, "k" * 32, "forgejo:x", channel="x", payload=payload)

    assert ForgejoExecutor().describe(action) == "draft v1 on Forgejo (49 characters)"


def test_a_plan_says_what_the_text_measures_of_its_limit(world: World, server: GitHub) -> None:
    action = published(planned(world, server, ""))

    size = len(action.text("text"))
    assert action.payload["measured"] == {"size": size, "limit": LIMIT, "by": "characters"}
