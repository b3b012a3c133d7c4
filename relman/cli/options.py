"""The options that every command takes, before its name or after it, and what they do."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from relman.errors import OutOfTime, UsageError

F = TypeVar("F", bound=Callable[..., Any])


class Settings(msgspec.Struct):
    """What the common options say. One value, filled in while the command line is parsed."""

    config: Path | None = None
    now: datetime | None = None
    verbose: bool = False
    quiet: bool = False
    cache: bool = True


_settings = Settings()


def settings() -> Settings:
    """The common options of this run."""
    return _settings


def clock() -> Callable[[], datetime]:
    """What time it is: `--now`, else `SOURCE_DATE_EPOCH`, else the clock; in UTC, to the second."""
    fixed = _settings.now
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    if fixed is None and epoch:
        if not epoch.isascii() or not epoch.isdigit():
            raise UsageError(f"SOURCE_DATE_EPOCH is `{epoch}`, not a number of seconds")
        fixed = datetime.fromtimestamp(int(epoch), UTC)
    if fixed is not None:
        moment = fixed
        return lambda: moment
    return lambda: datetime.now(UTC).replace(microsecond=0)


def parse_time(text: str) -> datetime:
    """An RFC 3339 time or a day; without a zone it is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _config(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        _settings.config = Path(value)


def _now(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        try:
            _settings.now = parse_time(value)
        except ValueError as error:
            raise click.BadParameter(
                f"`{value}` is not a time: write `2026-06-08T12:00:00Z` or `2026-06-08`"
            ) from error


def _verbose(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not _settings.verbose:
        from relman.redaction import RedactingFilter

        _settings.verbose = True
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        handler.addFilter(RedactingFilter())
        logger = logging.getLogger("relman")
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)


def _quiet(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    _settings.quiet = _settings.quiet or value


def _no_cache(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    _settings.cache = _settings.cache and not value


def _timeout(_context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    import re

    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", value)
    if match is None or float(match[1]) == 0:
        raise click.BadParameter(f"`{value}` is not a time limit: write `90s`, `20m` or `1h`")
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]

    def out_of_time(_signal: int, _frame: object) -> None:
        raise OutOfTime(f"not done within `--timeout {value}`")

    signal.signal(signal.SIGALRM, out_of_time)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def common_options(command: F) -> F:
    """Give a command the options that all have."""
    for option in (
        click.option("--timeout", expose_value=False, callback=_timeout, metavar="TIME", help="Bound the whole run."),
        click.option(
            "--no-cache",
            is_flag=True,
            expose_value=False,
            callback=_no_cache,
            help="Neither use nor keep lists that were read before.",
        ),
        click.option("--now", expose_value=False, callback=_now, metavar="TIME", help="What time to take for now."),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_verbose,
            help="Show each request and each program as a command to paste.",
        ),
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Say only what matters."),
        click.option(
            "--config",
            expose_value=False,
            callback=_config,
            metavar="FILE",
            help="The configuration, instead of relman.toml here or above.",
        ),
    ):
        command = option(command)
    return command


override_option = click.option(
    "--override",
    "gates",
    multiple=True,
    metavar="GATE",
    help="Let through what this gate says: GATE, GATE/CODE or GATE/CODE/VARIANT.",
)
until_option = click.option("--until", metavar="TIME", help="When the overrides end.")


def override_options(command: F) -> F:
    """`--override`, with who says why and for how long."""
    reason = click.option("--reason", metavar="TEXT", help="Why the gates are overridden.")
    return override_option(reason(until_option(command)))


def format_option(*formats: str, default: str = "text") -> Callable[[F], F]:
    """`--format`, with what the command offers."""
    return click.option(
        "--format", "format_", type=click.Choice(formats), default=default, show_default=True, help="How to print it."
    )
