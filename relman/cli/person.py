"""Who runs this, for what is written down about it; and asking them."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click

from relman.errors import RelmanError, UsageError


def who(checkout: Path | None) -> str:
    """Who asks: `GITHUB_ACTOR` where it is set, else git's `user.name`, else the user of the operating system."""
    if actor := os.environ.get("GITHUB_ACTOR", "").strip():
        return actor
    if checkout is not None and (name := _in_git(checkout)):
        return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"


def said(reason: str) -> str:
    """A reason as it can be written down: an argument may hold bytes that are no text."""
    return reason.encode(errors="replace").decode().strip()


def _in_git(checkout: Path) -> str:
    """The name in git's configuration; empty where there is no repository, no git, or no name."""
    from relman.git import checkout_at

    try:
        with checkout_at(checkout) as repository:
            return repository.git("config", "--get", "user.name").strip()
    except RelmanError:
        return ""


def require_somebody(yes: bool) -> None:
    """Raise `UsageError` where there is nobody to ask, and no `--yes`."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("there is nobody to ask", hint="give `--yes`")


def agreed(yes: bool, question: str) -> bool:
    """Whether to go on."""
    if yes or click.confirm(f"\n{question}", default=False, err=True):
        return True
    click.echo("nothing was changed", err=True)
    return False
