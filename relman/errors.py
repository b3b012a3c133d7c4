"""What can go wrong, and the exit code that says so (docs/contract: exit codes).

Library code raises these; the command line prints them, once. A message names what failed, which value and why;
``hint`` is the next step where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

FOUND = 9
"""The exit code of commands that look for faults, where they found some: that is an answer and no error."""


class RelmanError(Exception):
    """Failed, and nothing was changed (exit 1)."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotFound(RelmanError):
    """What was asked for is not there: a tag, a repository, a file, a release."""


class Malformed(RelmanError):
    """Something from outside is not what its format says: cut, corrupt, too large, of another kind."""


class NotShown(Malformed):
    """What was written is not there when it is read back. It is asked again: some registries are late."""


class DigestMismatch(Malformed):
    """Bytes that do not hash to the digest they were asked for by."""


class UsageError(RelmanError):
    """The command line asks for something that cannot be (exit 2)."""

    exit_code = 2


class ConfigError(RelmanError):
    """The configuration is wrong; ``problems`` holds every fault found, each a line of its own (exit 2)."""

    exit_code = 2

    def __init__(self, message: str, problems: Sequence[str] = (), *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class PartlyDone(RelmanError):
    """Some of it happened; `relman resume` finishes (exit 4)."""

    exit_code = 4


class StalePlan(RelmanError):
    """Something that the plan assumed has moved (exit 5)."""

    exit_code = 5


class GateClosed(RelmanError):
    """A gate does not open (exit 6)."""

    exit_code = 6


class Unequipped(RelmanError):
    """A tool, a permission or a credential is missing (exit 7)."""

    exit_code = 7


class Locked(RelmanError):
    """Another run holds the stream (exit 8)."""

    exit_code = 8


class Passing(RelmanError):
    """A failure outside that may pass by itself; nothing was changed (exit 75, EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75


class OutOfTime(BaseException):
    """`--timeout` is over. Like Ctrl-C no error that anybody may catch and carry on; exit 4 or 75."""


class AnswerLost(RelmanError):
    """A request was sent and its answer never came: whether it took effect is for a later read to settle."""


class PluginError(RelmanError):
    """A plugin failed; the message names the plugin and the hook."""
