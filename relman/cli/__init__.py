"""The command line: parse, call, print. Commands are imported when they are called, so that `--help` stays light."""

from __future__ import annotations

import gc
import os
import sys
from types import TracebackType
from typing import NoReturn

import click

from relman import __version__
from relman.cli.lazy import LazyGroup
from relman.cli.options import common_options
from relman.errors import ConfigError, OutOfTime, Passing, RelmanError, UsageError
from relman.redaction import redacted_streams


@click.group(
    cls=LazyGroup,
    commands_at={
        "diff": ("relman.cli.diff:diff", "what changed between two images, or in a stream"),
        "changelog": ("relman.cli.changelog:changelog", "notes of two images, or of a stream's release"),
        "status": ("relman.cli.status:status", "each stream: version, digest, age, what waits"),
        "plan": ("relman.cli.plan:plan", "the release that would be made; reads only"),
        "show": ("relman.cli.plan:show", "a saved plan, for people"),
        "apply": ("relman.cli.apply:apply", "carry out a saved plan; again finishes it"),
        "release": ("relman.cli.apply:release", "plan, show, ask, apply"),
        "resume": ("relman.cli.apply:resume", "finish what an earlier run left"),
        "announce": ("relman.cli.announce:announce", "posts that were left out, corrected, taken back"),
        "publish": ("relman.cli.announce:publish", "the same for what is published on forges"),
        "rollback": ("relman.cli.rollback:rollback", "a stream back to an earlier release, and held there"),
        "yank": ("relman.cli.yank:yank", "say of a release that nobody should use it"),
        "hold": ("relman.cli.hold:hold", "let nothing enter a stream"),
        "unhold": ("relman.cli.hold:unhold", "let it enter again"),
        "observe": ("relman.cli.observe:observe", "note what each stream holds now, and since when"),
        "audit": ("relman.cli.audit:audit", "where registry, records and observations do not agree"),
        "records": ("relman.cli.records:records", "what was released, and what came of it"),
        "tags": ("relman.cli.tags:tags", "a repository's tags, as the streams read them"),
        "contents": ("relman.cli.contents:contents", "the packages inside an image; attach the list to it"),
        "check": ("relman.cli.check:check", "configuration, templates and handwritten notes, for pull requests"),
        "cache": ("relman.cli.cache:cache", "lists that earlier runs read, and how to be rid of them"),
        "plugins": ("relman.cli.plugins:plugins", "who answers which hook, in which order"),
        "schema": ("relman.cli.schema:schema", "the JSON Schema of a document"),
        "demo": ("relman.cli.demo:demo", "a tour in a folder of its own, without server or network"),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="relman %(version)s")
@common_options
def relman() -> None:
    """Release operating-system images: what changed, notes, promotion by digest, announcement, record."""


def main() -> NoReturn:
    """Run the command line, and turn every failure into a message and its exit code."""
    sys.excepthook = _unforeseen
    # A run leaves few cycles behind, and to look for them among a hundred thousand packages takes a tenth of it.
    gc.set_threshold(200_000, 20, 100)
    with redacted_streams():
        code = _run()
    # End at once: threads that wait for a registry must not hold up somebody who is told that it failed, and to take
    # apart what a run made of a hundred thousand packages takes longer than to compare them.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    try:
        code = relman.main(standalone_mode=False, color=_colour())
        sys.stdout.flush()
    except RelmanError as error:
        _explain(error)
        return error.exit_code
    except OutOfTime as error:
        _explain(Passing(str(error)))
        return Passing.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return _explain_usage(error)
    except (KeyboardInterrupt, click.Abort):
        _talk("interrupted; safe to run again")
        return 130
    except (BrokenPipeError, SystemExit):  # click turns the first into the second, and nothing else
        # Whoever read our output has had enough, as `head` does. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk behind stdout, no memory for a thread, …
        _explain(RelmanError(f"the system refused: {error}"))
        return 1
    return code if isinstance(code, int) else 0


def _unforeseen(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What nobody foresaw is a fault of relman's: said in a line, with the traceback for those who ask."""
    _explain(
        RelmanError(
            f"this is a fault in relman: {kind.__name__}: {error}",
            hint="run again with `--verbose` for the traceback, and report it",
        ),
        cause=error.with_traceback(trace),
    )


def _colour() -> bool | None:
    """`None`: as click decides, by whether it speaks to a terminal."""
    return False if os.environ.get("NO_COLOR") else None


def _talk(text: str) -> None:
    click.echo(text, err=True, color=_colour())


def _explain_usage(error: click.ClickException) -> int:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    hint = f"`{context.command_path} --help`" if isinstance(error, click.UsageError) and context else None
    _explain(UsageError(f"{message[:1].lower()}{message[1:]}", hint=hint))
    return error.exit_code


def _explain(error: RelmanError, cause: BaseException | None = None) -> None:
    from relman.cli.options import settings
    from relman.redaction import redact

    if settings().verbose:
        import traceback

        _talk(redact("".join(traceback.format_exception(cause or error))))
    _talk(f"{click.style('error', fg='red', bold=True)}: {redact(error.message)}")
    if isinstance(error, ConfigError):
        for problem in error.problems:
            _talk(f"  {redact(problem)}")
    if error.hint:
        _talk(f"{click.style('hint', fg='cyan')}: {redact(error.hint)}")
