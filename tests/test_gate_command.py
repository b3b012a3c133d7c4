"""The gate `command`: a program that is slow, that lies, that prints too much, and one that does as it should."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from relman.model.gates import State
from relman.model.oci import Digest
from relman.plugin import ProgramEnded
from relman.redaction import register
from relman_plugins.gates import command
from relman_plugins.gates.asking.placeholders import NAMES, filled, in_address, in_path, values_of
from relman_plugins.gates.command import CommandSettings, judge
from relman_plugins.gates.verdict import Closed
from tests.gates_asked import AMD, ARM, ID, OS, REVISION, answers, candidate, context, rule, said

DIGEST = OS.image.digest
OTHER = Digest.of(b"another build")


def report(**fields: object) -> bytes:
    return json.dumps({"digest": DIGEST, "state": "passed", **fields}).encode()


def ended(code: int | None = 0, stdout: bytes = b"", *, cut: bool = False, told: str = "") -> ProgramEnded:
    return ProgramEnded(code, stdout, cut, told)


REPORTED = {"report": True}
TABLE: dict[str, tuple[ProgramEnded, dict[str, Any], State, str]] = {
    "0": (ended(0), {}, State.PASSED, ""),
    "1": (ended(1), {}, State.FAILED, "failed"),
    "75": (ended(75), {}, State.FAILED, "failed"),
    "75 where that is pending": (ended(75), {"pending": [75]}, State.PENDING, "pending"),
    "a signal": (ended(-9), {}, State.ERROR, "killed"),
    "out of time": (ended(None), {}, State.ERROR, "timeout"),
    "out of time, with a report": (ended(None, report()), REPORTED, State.ERROR, "timeout"),
    "a report": (ended(0, report()), REPORTED, State.PASSED, ""),
    "a report that failed": (ended(0, report(state="failed")), REPORTED, State.FAILED, "failed"),
    "a report that waits": (ended(0, report(state="pending")), REPORTED, State.PENDING, "pending"),
    "a report that skipped": (ended(0, report(state="skipped")), REPORTED, State.SKIPPED, "skipped"),
    "a report that is absent": (ended(0, report(state="absent")), REPORTED, State.ERROR, "unreadable"),
    "a report with `true`": (ended(0, report(state=True)), REPORTED, State.ERROR, "unreadable"),
    "a report without a state": (ended(0, report(state=None)), REPORTED, State.ERROR, "unreadable"),
    "PASSED": (ended(0, report(state="PASSED")), REPORTED, State.ERROR, "unreadable"),
    "of another digest": (ended(0, report(digest=OTHER)), REPORTED, State.ERROR, "other-digest"),
    "of no digest": (ended(0, b'{"state": "passed"}'), REPORTED, State.ERROR, "other-digest"),
    "of a list of digests": (ended(0, report(digest=[DIGEST])), REPORTED, State.ERROR, "other-digest"),
    "an empty report": (ended(0), REPORTED, State.ERROR, "empty-report"),
    "blanks": (ended(0, b" \n"), REPORTED, State.ERROR, "empty-report"),
    "an empty object": (ended(0, b"{}"), REPORTED, State.ERROR, "other-digest"),
    "a report and 1": (ended(1, report()), REPORTED, State.FAILED, "failed"),
    "words before it": (ended(0, b"ok\n" + report()), REPORTED, State.ERROR, "unreadable"),
    "half of it": (ended(0, report()[:-5]), REPORTED, State.ERROR, "unreadable"),
    "the digest twice": (
        ended(0, b'{"digest": "x", "digest": "%s", "state": "passed"}' % DIGEST.encode()),
        REPORTED,
        State.ERROR,
        "unreadable",
    ),
    "a list": (ended(0, b"[]"), REPORTED, State.ERROR, "unreadable"),
    "too large": (ended(0, report() + b" " * command.KEEP, cut=True), REPORTED, State.ERROR, "unreadable"),
    "a page": (ended(0, b"<html>"), REPORTED, State.ERROR, "not-json"),
}


@pytest.mark.parametrize("case", TABLE)
def test_only_what_says_so_of_this_digest_opens(case: str) -> None:
    given, table, state, code = TABLE[case]

    verdict = judge(given, (DIGEST,), CommandSettings.model_validate({"argv": ["x"], **table}))

    assert (verdict.state, verdict.code or (verdict.state.value if state is not State.PASSED else "")) == (state, code)


def test_a_refusal_has_the_last_words_and_the_output_as_evidence() -> None:
    given = ended(3, told="first\nsound: none\x1b[2J")

    verdict = judge(given, (DIGEST,), CommandSettings(argv=("x",)), ("./smoke", "a\nb"))

    assert verdict.reason == "it exited with 3: sound: none�[2J"
    assert verdict.evidence == {"command": ["./smoke", "a b"], "exit": 3, "output": "first\nsound: none�[2J"}


# ------------------------------------------------------------------------------------------------------- programs


def script(folder: Path, text: str, name: str = "smoke") -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def smoke(folder: Path, text: str, *words: str, **table: object) -> Any:
    script(folder, text)
    asked = rule("command", argv=("./smoke", *words), **table)
    return context(asked, folder=folder)


def test_a_program_runs_in_the_folder_of_the_configuration_with_the_digest(tmp_path: Path) -> None:
    words = ["{reference}", "--of={variant}/{stream}", "{version} {revision}", "{release}", "{previous}", "$HOME;`id`"]
    asked = smoke(tmp_path, 'pwd; printf "%s\\n" "$@"; echo "$RELMAN_DIGEST $RELMAN_STREAM $RELMAN_PLATFORM."', *words)

    (result,) = answers(command, asked)

    assert (result.state, result.digest, result.variant) == (State.PASSED, DIGEST, "os")
    output = result.evidence["output"]
    assert isinstance(output, str)
    assert output.splitlines() == [
        str(tmp_path),
        f"ghcr.io/acme/os@{DIGEST}",
        "--of=os/stable",
        f"stable-20260624 {REVISION}",
        ID,
        str(OS.follows and OS.follows.digest),
        "$HOME;`id`",
        f"{DIGEST} stable .",
    ]


def test_a_slow_program_is_ended_and_does_not_open(tmp_path: Path) -> None:
    (result,) = answers(command, smoke(tmp_path, "echo begun; sleep 600", timeout="1s"))

    assert (result.state, result.code) == (State.ERROR, "timeout")
    assert result.reason == "it did not end within 1 s: begun"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f'echo \'{{"state": "passed", "digest": "{OTHER}"}}\'', "other-digest"),
        ("exit 0", "empty-report"),
        ('echo "{}"', "other-digest"),
        ("yes passed | head -c 3000000", "unreadable"),
    ],
)
def test_a_lying_program_does_not_open(tmp_path: Path, text: str, code: str) -> None:
    (result,) = answers(command, smoke(tmp_path, text, report=True))

    assert (result.state, result.code) == (State.ERROR, code)


def test_a_program_may_speak_of_the_digest_that_it_was_given(tmp_path: Path) -> None:
    text = 'printf \'{"state": "passed", "digest": "%s", "reason": "boots in 9 s"}\' "$1"'

    (result,) = answers(command, smoke(tmp_path, text, "{digest}", report=True))

    assert (result.state, result.reason) == (State.PASSED, "boots in 9 s")


def test_with_a_platform_it_runs_for_each_and_each_must_open(tmp_path: Path) -> None:
    script(tmp_path, '[ "$1" = linux/amd64 ]')
    two = candidate(platforms=[AMD, ARM])

    results = answers(command, context(rule("command", argv=["./smoke", "{platform}"]), two, folder=tmp_path))

    assert [(one.platform, one.state) for one in results] == [(AMD, State.PASSED), (ARM, State.FAILED)]


def test_it_runs_once_for_a_digest_in_a_run_and_again_in_the_next(tmp_path: Path) -> None:
    asked = smoke(tmp_path, "echo x >> runs", "{digest}")

    for _ in range(2):
        assert said(answers(command, asked)) == [(State.PASSED, "")]
    assert (tmp_path / "runs").read_text() == "x\n"
    answers(command, smoke(tmp_path, "echo x >> runs", "{digest}"))
    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_of_each_digest_it_is_asked_anew(tmp_path: Path) -> None:
    script(tmp_path, "echo x >> runs")
    two = context(rule("command", argv=["./smoke"]), candidate("os"), candidate("dx"), folder=tmp_path)

    answers(command, two)

    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_what_was_out_of_time_is_tried_again(tmp_path: Path) -> None:
    asked = smoke(tmp_path, "[ -e there ] || { touch there; sleep 600; }", timeout="1s")

    assert said(answers(command, asked)) == [(State.ERROR, "timeout")]
    assert said(answers(command, asked)) == [(State.PASSED, "")]


def test_a_look_at_where_things_stand_runs_nothing(tmp_path: Path) -> None:
    script(tmp_path, "touch ran")
    asked = context(rule("command", argv=["./smoke"]), folder=tmp_path, read=False)

    assert said(answers(command, asked)) == [(State.SKIPPED, "not-read")]
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_not_there_does_not_open(tmp_path: Path) -> None:
    asked = context(rule("command", argv=["./absent"]), folder=tmp_path)

    assert said(answers(command, asked)) == [(State.ERROR, "unequipped")]


def test_a_secret_that_it_prints_is_in_no_evidence(tmp_path: Path) -> None:
    register("composed-token-of-smoke")

    (result,) = answers(command, smoke(tmp_path, "echo composed-token-of-smoke; exit 1"))

    assert "composed-token" not in repr(result)


@pytest.mark.parametrize(
    ("revision", "code"),
    [("--privileged", "unfit"), ("a\nb", "unfit"), ("x\x1b[0m", "unfit"), ("a\0b", "unfit"), ("", "no-revision")],
)
def test_a_value_that_could_be_an_option_or_has_control_characters_is_not_passed(
    tmp_path: Path, revision: str, code: str
) -> None:
    script(tmp_path, "touch ran")
    asked = context(rule("command", argv=["./smoke", "{revision}"]), candidate(revision=revision), folder=tmp_path)

    (result,) = answers(command, asked)

    assert (result.code, (tmp_path / "ran").exists()) == (code, False)


# ---------------------------------------------------------------------------------------- placeholders, settings


def test_there_is_a_value_for_every_placeholder() -> None:
    release = context(rule("command")).release

    assert set(values_of(release, OS, AMD)) == NAMES


@pytest.mark.parametrize(
    ("value", "address", "path"),
    [
        ("linux/amd64", "linux%2Famd64", "linux-amd64"),
        ("sha256:ab", "sha256%3Aab", "sha256-ab"),
        ("../../etc/x?a=b#c", "..%2F..%2Fetc%2Fx%3Fa%3Db%23c", "-..-etc-x-a-b-c"),
        ("..", "%2E%2E", "-"),
        ("ä ", "%C3%A4%20", "--"),
    ],
)
def test_a_value_stays_one_step_of_an_address_and_of_a_path(value: str, address: str, path: str) -> None:
    assert filled("x/{version}/y", {"version": value}, in_address) == f"x/{address}/y"
    assert filled("x/{version}/y", {"version": value}, in_path) == f"x/{path}/y"


def test_braces_that_are_no_placeholder_stand_for_themselves() -> None:
    assert filled('{"a": {}, "b": "{digest}"}', {"digest": "d"}) == '{"a": {}, "b": "d"}'
    with pytest.raises(Closed):
        filled("{platform}", {"platform": None})


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({}, "Field required"),
        ({"argv": []}, "at least 1 item"),
        ({"argv": ["./x", "{digset}"]}, "`{digset}` is no placeholder; there are {digest}"),
        ({"argv": ["{digest}"]}, "the program itself takes no placeholders"),
        ({"argv": "./smoke {digest}"}, "valid tuple"),
        ({"argv": ["x", ""]}, "it is empty"),
        ({"argv": ["x"], "pending": [0]}, "0 is success"),
        ({"argv": ["x"], "timeout": 20}, "write it with its unit"),
    ],
)
def test_a_table_that_makes_no_sense_is_a_fault(table: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault.replace("{", r"\{")):
        CommandSettings.model_validate(table)
