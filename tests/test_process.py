"""Other programs: run as they are named, bounded, and told on with their own words and without secrets."""

from __future__ import annotations

import logging
import sys
import time
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


# --------------------------------------------------------------------------------- programs that are not ours


def test_a_program_of_somebody_else_ends_with_its_code_and_its_last_words() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"

    ended = process.run_to_end([PYTHON, "-c", code], timeout=30, keep=100)

    assert (ended.code, ended.stdout, ended.cut) == (3, b"out\n", False)
    assert sorted(ended.said.split()) == ["err", "out"]


def test_its_output_is_read_whatever_its_size_and_kept_in_part() -> None:
    code = "import sys; sys.stdout.write('a' * 3_000_000); sys.stderr.write('b' * 3_000_000 + 'last')"

    ended = process.run_to_end([PYTHON, "-c", code], timeout=60, keep=10, said=20)

    assert (ended.code, ended.stdout, ended.cut) == (0, b"a" * 10, True)
    assert (len(ended.said), ended.said[0]) == (21, "…")


def test_what_was_printed_up_to_the_limit_is_not_cut() -> None:
    assert process.run_to_end(["printf", "0123456789"], timeout=30, keep=10).cut is False
    assert process.run_to_end(["printf", "01234567890"], timeout=30, keep=10).cut is True


def gone(number: int) -> bool:
    """Whether a process comes to its end, or is no more than remembered: who was signalled goes when next run."""
    for _ in range(200):
        try:
            if Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_program_that_is_too_slow_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; echo begun; trap '' TERM; while :; do sleep 600; done"

    ended = process.run_to_end(["sh", "-c", f"trap 'exit 9' TERM; {script}"], timeout=0.5, keep=100)

    assert (ended.code, ended.stdout) == (None, b"begun\n")
    assert gone(int((tmp_path / "child").read_text()))


def test_a_program_that_is_ended_may_clean_up(tmp_path: Path) -> None:
    script = f"trap 'touch {tmp_path}/clean; exit 0' TERM; echo begun; while :; do sleep 0.05; done"

    ended = process.run_to_end(["sh", "-c", script], timeout=0.5, keep=100)

    assert ended.code is None
    assert (tmp_path / "clean").exists()


def test_what_a_program_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    ended = process.run_to_end(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/child; exit 0"], timeout=60, keep=100)

    assert ended.code == 0
    assert gone(int((tmp_path / "child").read_text()))


def test_a_program_that_closes_its_output_is_still_waited_for() -> None:
    assert process.run_to_end(["sh", "-c", "exec >&- 2>&-; sleep 0.3; exit 4"], timeout=30, keep=100).code == 4


def test_a_program_that_is_ended_by_a_signal_says_so() -> None:
    assert process.run_to_end(["sh", "-c", "kill -9 $$"], timeout=30, keep=100).code == -9


@pytest.mark.parametrize("argv", [["./composed-absent"], ["/"], ["/etc/passwd"]])
def test_a_program_that_cannot_be_started_is_exit_7(argv: list[str]) -> None:
    with pytest.raises(Unequipped, match="cannot be started"):
        process.run_to_end(argv, timeout=30, keep=100)


def test_secrets_that_it_prints_are_hidden_also_where_output_is_cut() -> None:
    register("composed-secret-of-a-program")
    code = "print('composed-secret-of-a-program' * 5000)"

    ended = process.run_to_end([PYTHON, "-c", code], timeout=30, keep=10, said=100)

    assert "composed" not in ended.said


def test_a_program_whose_end_cannot_be_known_is_an_error(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "from relman import process\n"
        "process.run_to_end(['false'], timeout=30, keep=1)"
    )

    with pytest.raises(process.ProcessFailed, match="how a program ended cannot be known"):
        process.run([PYTHON, "-c", code], timeout=60)
