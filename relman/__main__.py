"""Where `relman` begins. What is most often asked for by hand is answered before anything is loaded."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """`--version` and the first page of `--help` at once; all else by the command line, and what it waits for early."""
    if _answered(sys.argv[1:]):
        return
    try:
        _stop_by_itself()
        from relman.early import begin

        begin(sys.argv[1:])
        from relman.cli import main as command_line
    except KeyboardInterrupt:  # the command line, which says so in the same words, is not there yet
        sys.stderr.write("\ninterrupted; safe to run again\n")  # below the ^C of the terminal
        sys.stderr.flush()
        os._exit(130)
    command_line()


def _stop_by_itself() -> None:
    """Stop as for Ctrl-C where somebody wants this process to end."""
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _answered(arguments: list[str]) -> bool:
    if arguments == ["--version"]:
        from relman import __version__

        text = f"relman {__version__}\n"
    elif arguments in (["--help"], ["-h"]):
        # What click makes of the commands in a width of 80 (a test compares): click alone would take twice the time.
        with open(f"{__file__.rpartition('/')[0]}/cli/help.txt", encoding="utf-8") as file:  # noqa: PTH123  pathlib too
            text = file.read()
    else:
        return False
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:  # nobody reads on, or a full disk: the command line knows what to say
        return False
    return True


if __name__ == "__main__":
    main()
