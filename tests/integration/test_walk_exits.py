"""What the exit codes promise: a stale plan, a closed gate, a missing login, a registry that is down, a wrong file."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.integration.driver import VARIANTS, Project, Workshop, put_build, relman
from tests.integration.front import answer, nth_write, writes
from tests.servers import Asked, Front, Reply, Scripted, free_port


@pytest.fixture(scope="module")
def workshop(docker_registry: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("exits"), docker_registry)


OLD: dict[str, set[int | None]] = {"stable": {0}, "stable-20260624": {None}}


# -------------------------------------------------------------------------------------------- 5: the plan is stale


def test_a_stream_tag_that_somebody_moved_makes_the_plan_stale(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.plan()
    project.retag("dx", "stable", 2)

    ran = project.relman("apply", "plan.json", code=5)

    assert "images/dx:stable" in ran.stderr
    assert project.digests["dx", 2][:19] in ran.stderr
    assert project.builds("stable", "stable-20260624") == {"stable": {0, 2}, "stable-20260624": {None}}


def test_a_stream_tag_that_holds_the_planned_digest_already_is_adopted(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.plan()
    project.retag("dx", "stable", 1)

    project.relman("apply", "plan.json")

    states = {receipt["action"]: receipt["state"] for receipt in project.record["receipts"]}
    assert (states["tag:base:stable"], states["tag:dx:stable"]) == ("done", "adopted")


def test_a_dated_tag_that_somebody_took_makes_the_plan_stale_and_is_not_moved(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.plan()
    project.retag("base", "stable-20260624", 2)

    ran = project.relman("apply", "plan.json", code=5)

    assert "stable-20260624" in ran.stderr
    assert project.builds("stable", "stable-20260624") == {"stable": {0}, "stable-20260624": {2, None}}
    assert project.plan()["version"] == "stable-20260624.1"


def test_a_source_that_moved_on_does_not_matter(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.plan()
    for variant in VARIANTS:
        project.retag(variant, "testing", 2)

    project.relman("apply", "plan.json")

    assert project.builds("stable", "testing") == {"stable": {1}, "testing": {2}}


def test_a_source_that_moved_on_is_refused_where_the_stream_says_so(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure('from = "testing"', 'from = "testing"\non_source_moved = "refuse"')
    project.plan()
    project.retag("base", "testing", 2)

    ran = project.relman("apply", "plan.json", code=5)

    assert "testing" in ran.stderr
    assert "refuse" in ran.stderr
    assert project.builds(*OLD) == OLD


def test_a_source_that_moved_on_is_let_be_once_something_was_written(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)
        project.configure('from = "testing"', 'from = "testing"\non_source_moved = "refuse"')
        project.plan()
        front.faults.append(nth_write(2, answer(403)))
        project.relman("apply", "plan.json", code=4)
        project.retag("base", "testing", 2)

        project.relman("resume")

    assert project.builds("stable", "stable-20260624") == {"stable": {1}, "stable-20260624": {1}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "Composed"', 'name = "Composite"'),
        ('prefix = "oci:images"', 'prefix = "oci:./images"'),
        ('traits = ["dx"]', 'traits = ["dx", "more"]'),
        ('tags = ["stable"]', 'tags = ["stable", "{major}"]'),
    ],
    ids=["project", "registry", "variants", "streams"],
)
def test_a_plan_pins_project_registry_variants_and_streams(workshop: Workshop, old: str, new: str) -> None:
    project = workshop.layouts()
    project.plan()
    project.configure(old, new)

    project.relman("apply", "plan.json", code=5)

    assert project.builds(*OLD) == OLD


def test_a_wrong_address_of_a_channel_can_be_mended_between_two_tries(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        wrong = f"http://127.0.0.1:{free_port()}/hook"
        project = workshop.layouts(f'[[announce]]\ntype = "webhook"\nurl = "{wrong}"\nrequired = true\n')
        project.plan()
        project.relman("apply", "plan.json", code=4)
        project.configure(wrong, f"{hook.url}/hook")

        project.relman("apply", "plan.json")

        assert hook.lines == ["POST /hook"]
    assert project.record["state"] == "finished"


def test_a_finished_plan_is_a_no_op_whatever_has_moved_since(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.plan()
    project.relman("apply", "plan.json")
    project.retag("base", "stable", 2)
    project.configure('name = "Composed"', 'name = "Composite"')

    ran = project.relman("apply", "plan.json")

    assert "nothing to do" in ran.stderr
    assert project.builds("stable") == {"stable": {1, 2}}


# ----------------------------------------------------------------------------------------------- 6: a gate is closed


def test_a_missing_platform_closes_the_gate_and_is_recorded_in_the_plan(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure('traits = ["dx"]', 'traits = ["dx"]\nplatforms = ["linux/amd64", "linux/arm64"]')

    plan = project.plan()
    ran = project.relman("apply", "plan.json", code=6)
    released = project.relman("release", "stable", "--yes", code=6)

    assert [(g["gate"], g["variant"], g["state"]) for g in plan["gates"] if g["state"] != "passed"] == [
        ("complete", "dx", "failed")
    ]
    for text in (ran.stderr, released.stderr):
        assert "linux/arm64" in text
        assert "`complete`" in text
    assert project.builds(*OLD) == OLD
    assert not (project.folder / "releases" / "stable").exists()


def test_a_downgrade_closes_the_gate(workshop: Workshop) -> None:
    project = workshop.layouts()
    for variant in VARIANTS:
        project.retag(variant, "stable-20260624", 2)  # newer than what is in testing

    ran = project.relman("release", "stable", "--yes", code=6)

    assert "no-downgrade" in ran.stderr
    assert project.builds("stable") == {"stable": {0}}


def test_without_gates_the_stream_takes_a_downgrade(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure('from = "testing"', 'from = "testing"\ngates = []')
    for variant in VARIANTS:
        project.retag(variant, "stable-20260624", 2)

    project.relman("release", "stable", "--yes")

    assert project.builds("stable", "stable-20260624.1") == {"stable": {1}, "stable-20260624.1": {1}}


def test_a_gate_that_nobody_answers_is_absent_and_closed(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure('from = "testing"', 'from = "testing"\ngates = ["moon-phase"]')

    plan = project.plan()
    ran = project.relman("apply", "plan.json", code=6)

    assert {g["state"] for g in plan["gates"] if g["gate"] == "moon-phase"} == {"absent"}
    assert "moon-phase" in ran.stderr


# ------------------------------------------------------------------------------------ 7 and 75: what is outside


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_lets_nobody_in_is_7_with_how_to_log_in(
    workshop: Workshop, tmp_path: Path, status: int
) -> None:
    with Scripted(lambda _asked: Reply(status)) as registry:
        ran = relman(tmp_path, "diff", f"{registry.host}/os/base:a", f"{registry.host}/os/base:b", code=7)

    assert f"skopeo login {registry.host}" in ran.stderr
    assert ran.stdout == ""


def test_a_registry_that_is_down_is_75(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"

    ran = relman(tmp_path, "diff", f"{host}/os/base:a", f"{host}/os/base:b", code=75)

    assert host in ran.stderr


def test_a_registry_that_goes_down_between_plan_and_apply_is_75(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)
        project.plan()

    ran = project.relman("apply", "plan.json", code=75)

    assert "cannot be reached" in ran.stderr
    assert project.builds(*OLD) == OLD


def test_a_registry_that_never_answers_ends_with_the_timeout(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        host = f"127.0.0.1:{silent.getsockname()[1]}"

        ran = relman(tmp_path, "diff", f"{host}/os/base:a", f"{host}/os/base:b", "--timeout", "2s", code=75)

    assert "--timeout 2s" in ran.stderr


def test_a_timeout_bounds_a_run_that_reads_several_variants(workshop: Workshop) -> None:
    def slow(asked: Asked, _forward: object) -> Reply | None:
        time.sleep(20 if "/manifests/" in asked.path else 0)
        return None

    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)
        front.faults.append(slow)
        begun = time.monotonic()

        project.relman("plan", "stable", "--timeout", "2s", code=75)

        assert time.monotonic() - begun < 15  # a bound, not a measure: it would be 20 s and more


def test_a_missing_secret_of_a_required_channel_leaves_the_release_partly_done_and_is_named(workshop: Workshop) -> None:
    with Scripted(lambda _asked: Reply(204)) as hook:
        project = workshop.layouts(
            f'[[announce]]\ntype = "webhook"\nurl = "{hook.url}"\nsecret = {{ env = "HOOK_SECRET" }}\nrequired = true\n'
        )
        project.plan()

        ran = project.relman("apply", "plan.json", code=None)

        assert ran.code in (4, 7)  # 4 where the tags have moved, 7 where it was seen before them
        assert "`HOOK_SECRET`" in ran.stderr
        assert hook.asked == []
        project.relman("apply", "plan.json", HOOK_SECRET="composed-secret")
        assert len(hook.asked) == 1


# --------------------------------------------------------------------------------------------- 2: usage, configuration


def test_without_a_configuration_commands_that_need_one_say_so(tmp_path: Path) -> None:
    for arguments in (
        ("status",),
        ("plan", "stable"),
        ("release", "stable", "--yes"),
        ("changelog", "--stream", "stable"),
        ("records",),
        ("resume",),
    ):
        ran = relman(tmp_path, *arguments, code=2)
        assert "relman.toml" in ran.stderr
        assert ran.stdout == ""


def test_every_fault_of_the_configuration_is_told_with_its_line_and_what_was_meant(workshop: Workshop) -> None:
    project = workshop.layouts()
    project.configure('checkout = "', 'chekout = "')
    project.configure('new_version = "', 'on_failure = "explode"\nnew_version = "')
    project.add('[[announce]]\ntype = "webhok"\nurl = "x"\n[packages]\nminimun = 3\n')
    lines = (project.folder / "relman.toml").read_text().splitlines()

    ran = project.relman("status", code=2)

    def number(start: str) -> int:
        return next(n for n, line in enumerate(lines, 1) if line.startswith(start))

    told = {line.strip() for line in ran.stderr.splitlines()}
    for start, meant in (("chekout", "checkout"), ('type = "webhok"', "webhook"), ("minimun", "minimum")):
        (line,) = [text for text in told if f"{number(start)}" in text and f"did you mean `{meant}`" in text]
        assert "relman.toml" in line
    assert any(f"{number('on_failure')}" in text and "on_failure" in text for text in told)


def test_the_configuration_is_found_above_by_option_and_by_variable(workshop: Workshop, tmp_path: Path) -> None:
    project = workshop.layouts()
    below = project.folder / "a" / "b"
    below.mkdir(parents=True)
    file = str(project.folder / "relman.toml")
    expected = project.relman("status", "--format", "json").stdout

    assert relman(below, "status", "--format", "json").stdout == expected
    assert relman(tmp_path, "status", "--format", "json", "--config", file).stdout == expected
    assert relman(tmp_path, "status", "--format", "json", RELMAN_CONFIG=file).stdout == expected


def test_a_stream_that_is_not_there_is_2_and_names_those_that_are(workshop: Workshop) -> None:
    ran = workshop.layouts().relman("plan", "stabel", code=2)

    assert "`testing`, `stable`" in ran.stderr


def test_a_secret_that_is_written_out_is_refused_and_not_repeated(workshop: Workshop) -> None:
    project = workshop.layouts(
        '[[announce]]\ntype = "webhook"\nurl = "http://127.0.0.1:1/"\nsecret = "hunter2hunter2"\n'
    )

    ran = project.relman("status", code=2)

    assert "hunter2hunter2" not in ran.stdout + ran.stderr
    assert "env" in ran.stderr


# ------------------------------------------------------------------------------------------- other places to live


def test_a_stream_in_another_repository_gets_the_image_with_its_digest(workshop: Workshop) -> None:
    with Front(workshop.registry) as front:
        project = workshop.behind(front.host)
        name = project.store.removeprefix(workshop.registry)
        project.configure('from = "testing"', f'from = "testing"\nprefix = "{front.host}{name}-released"')
        project.relman("release", "stable", "--yes")
        again = len(writes(front))
        project.relman("resume")

        assert len(writes(front)) == again
    elsewhere = Project(project.folder, f"{project.store}-released", project.history, project.digests)
    assert elsewhere.builds("stable", "stable-20260624") == {"stable": {1}, "stable-20260624": {1}}
    assert project.builds("stable") == {"stable": {0}}


def test_variants_that_share_a_repository_are_told_apart_by_their_suffix(workshop: Workshop) -> None:
    project = workshop.layouts()
    text = (project.folder / "relman.toml").read_text()
    text = text.replace('name = "dx"', 'name = "dx"\nrepository = "shared"\nsuffix = "-dx"')
    text = text.replace('name = "base"', 'name = "base"\nrepository = "shared"')
    for tag in ("testing", "stable"):
        text = text.replace(f'tags = ["{tag}"]', f'tags = ["{tag}{{suffix}}"]')
        text = text.replace(f'"{tag}-', f'"{tag}{{suffix}}-')
    (project.folder / "relman.toml").write_text(text)
    held = {0: ("stable{}", "stable{}-20260610"), 1: ("testing{}", "testing{}-44.20260616")}
    for variant, suffix in (("base", ""), ("dx", "-dx")):
        for build, patterns in held.items():
            names = [pattern.format(suffix) for pattern in patterns]
            put_build(project.writer, "oci:images/shared", variant, build, project.history, names)

    project.relman("release", "stable", "--yes")

    assert [(v["name"], v["digest"]) for v in project.record["variants"]] == [
        (variant, project.digests[variant, 1]) for variant in VARIANTS
    ]
    tags = {t["tag"]: t for t in project.relman("tags", "oci:images/shared", "--format", "json").json["tags"]}
    assert (tags["stable-dx-20260624"]["stream"], tags["stable-dx-20260624"]["variant"]) == ("stable", "dx")
    assert (tags["stable-20260624"]["stream"], tags["stable-20260624"]["variant"]) == ("stable", "base")
