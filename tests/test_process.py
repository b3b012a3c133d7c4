"""Other programs: run as they are named, bounded, and told on with their own words and without secrets."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from relman import process
from relman.errors import Passing, RelmanError, Unequipped
from relman.redaction import register

PYTHON = sys.executable


def test_a_program_is_handed_its_arguments_as_they_are() -> None:
    argv = [PYTHON, "-c", "import sys; print(sys.argv[1:])", "$HOME", "a b", "; rm x", "*", "ä"]

    assert process.run(argv, timeout=30).stdout.decode() == "['$HOME', 'a b', '; rm x', '*', 'ä']\n"


def test_what_a_program_printed_comes_back_bytes_and_words_apart() -> None:
    code = "import sys; sys.stdout.buffer.write(bytes([0, 255])); sys.stderr.buffer.write(b'w\\xffarn')"

    assert process.run([PYTHON, "-c", code], timeout=30) == process.Completed(b"\x00\xff", "w�arn")


def test_a_program_reads_what_it_is_given_and_else_nothing() -> None:
    code = "import sys; print(len(sys.stdin.buffer.read()))"

    assert process.run([PYTHON, "-c", code], timeout=30, stdin=b"abc").stdout == b"3\n"
    assert process.run([PYTHON, "-c", code], timeout=30).stdout == b"0\n"


def test_folder_and_environment_are_the_callers_with_what_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSED_ONE", "1")
    code = "import os; print(os.getcwd(), os.environ['COMPOSED_ONE'], os.environ['COMPOSED_TWO'])"

    done = process.run([PYTHON, "-c", code], timeout=30, cwd=tmp_path, environment={"COMPOSED_TWO": "2"})

    assert done.stdout.decode() == f"{tmp_path.resolve()} 1 2\n"


def test_a_program_that_fails_is_an_error_with_its_code_and_its_last_words() -> None:
    code = "import sys; print('half'); print('first', 'last', sep='\\n', file=sys.stderr); sys.exit(3)"

    with pytest.raises(process.ProcessFailed) as caught:
        process.run([PYTHON, "-c", code], timeout=30)

    assert (caught.value.code, caught.value.stdout, caught.value.stderr) == (3, b"half\n", "first\nlast")
    assert caught.value.message.endswith("exited with 3: last")
    assert caught.value.exit_code == 1


def test_a_program_that_says_nothing_fails_with_that() -> None:
    with pytest.raises(process.ProcessFailed, match="exited with 1: no message"):
        process.run([PYTHON, "-c", "raise SystemExit(1)"], timeout=30)


def test_a_program_that_is_not_there_is_missing_equipment() -> None:
    with pytest.raises(Unequipped, match="`composed-program` is not installed") as caught:
        process.run(["composed-program", "--version"], timeout=30)

    assert (caught.value.exit_code, caught.value.hint) == (7, "install composed-program with your system's packages")


def test_a_program_that_takes_too_long_is_ended() -> None:
    with pytest.raises(Passing, match=r"took longer than 0\.2 s"):
        process.run([PYTHON, "-c", "import time; time.sleep(60)"], timeout=0.2)


def test_secrets_are_in_no_error(caplog: pytest.LogCaptureFixture) -> None:
    register("composed-secret-42")
    code = "import sys; sys.exit('denied: composed-secret-42')"

    with pytest.raises(RelmanError) as caught:
        process.run([PYTHON, "-c", code, "--token=composed-secret-42"], timeout=30)

    failed = caught.value
    assert isinstance(failed, process.ProcessFailed)
    assert "composed-secret-42" not in failed.message + failed.stderr
    assert failed.message.endswith("exited with 1: denied: …redacted…")


def test_each_run_is_logged_as_a_command_to_paste(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="relman"):
        process.run([PYTHON, "-c", "pass", "a b"], timeout=30)

    assert f"$ {PYTHON} -c pass 'a b'" in caplog.messages
