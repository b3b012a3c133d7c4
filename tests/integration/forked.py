"""relman in processes of their own that need not start anew: forked from one that has imported everything.

Starting Python and importing relman costs 0.8 s, and the tests do it hundreds of times. What a process is (its own
environment, folder, descriptors, exit code) stays: only the start is shared. Where that is the point (an interrupt, a
kill, another hash seed, another `PATH` at the start), tests start relman as people do, by `driver.start`.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import functools
import importlib
import json
import os
import pkgutil
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = struct.Struct("<i")
_MESSAGE = 1024 * 1024


def fits(variables: Mapping[str, str]) -> bool:
    """Whether nothing among ``variables`` has a meaning for the start alone."""
    return not any(name == "PATH" or name.startswith(("PYTHON", "GIT_", "LC_", "LANG")) for name in variables)


class Reins:
    """A hold on a process that is run, so that another thread can kill it."""

    def __init__(self) -> None:
        self._asking: socket.socket | None = None
        self._known, self._ended = threading.Event(), threading.Event()

    def take(self, asking: socket.socket) -> None:
        """It runs now."""
        self._asking = asking
        self._known.set()

    def ended(self) -> None:
        """It is over."""
        self._ended.set()

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._known.wait(30)
        assert self._asking is not None
        self._asking.send(b"k")
        self._ended.wait(30)


def run(
    arguments: tuple[str, ...],
    folder: Path,
    environment: Mapping[str, str],
    stdin: str | None,
    seconds: float,
    reins: Reins | None = None,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with the output captured. Raises `subprocess.TimeoutExpired`; the process is then killed."""
    request = json.dumps({"argv": arguments, "cwd": str(folder), "env": dict(environment)}).encode()
    with contextlib.ExitStack() as stack:
        given = stack.enter_context(tempfile.TemporaryFile())
        given.write((stdin or "").encode())
        given.seek(0)
        out, err = stack.enter_context(tempfile.TemporaryFile()), stack.enter_context(tempfile.TemporaryFile())
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.settimeout(seconds)
            asking.connect(_server())
            socket.send_fds(asking, [request], [given.fileno(), out.fileno(), err.fileno()])
            if reins:
                reins.take(asking)
            try:
                answer = asking.recv(_CODE.size)
            except TimeoutError as error:
                raise subprocess.TimeoutExpired(["relman", *arguments], seconds) from error
            finally:
                if reins:
                    reins.ended()
        if not answer:
            raise RuntimeError("the process that relman is forked from did not answer")
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
        return subprocess.CompletedProcess(["relman", *arguments], _CODE.unpack(answer)[0], *texts)


_starting = threading.Lock()


def _server() -> str:
    """The address of this process's own server, started when it is first asked."""
    with _starting:
        return _started()


@functools.cache
def _started() -> str:
    folder = tempfile.mkdtemp(prefix="relman-forked-")
    address = f"{folder}/socket"
    server = subprocess.Popen([sys.executable, "-m", "tests.integration.forked", address], cwd=ROOT)
    atexit.register(_stop, server, folder)
    for _ in range(1200):
        if os.path.exists(address):  # noqa: PTH110  a socket
            return address
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("the process that relman is forked from does not start")


def _stop(server: subprocess.Popen[bytes], folder: str) -> None:
    server.terminate()
    server.wait(timeout=10)
    for file in (Path(folder, "socket"), Path(folder)):
        with contextlib.suppress(OSError):
            file.unlink() if not file.is_dir() else file.rmdir()


# ------------------------------------------------------------------------------------------------ the server


def serve(address: str) -> None:
    """Import everything, and fork for whoever asks at ``address``, until terminated."""
    for name in _modules():
        importlib.import_module(name)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{address}.new")
    listener.listen(64)
    os.rename(f"{address}.new", address)  # noqa: PTH104
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for pytest, which terminates this
    listener.settimeout(5)
    parent = os.getppid()
    while os.getppid() == parent:  # whoever was killed cannot terminate this
        try:
            asked, _ = listener.accept()
        except TimeoutError:
            continue
        asked.settimeout(None)
        if os.fork() == 0:
            listener.close()
            os._exit(_answer(asked))
        asked.close()


def _modules() -> Iterator[str]:
    import relman
    import relman_plugins

    for package in (relman, relman_plugins):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                yield module.name


def _answer(asked: socket.socket) -> int:
    """Run what is asked for in a child, and tell its exit code; kill it where nobody waits any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, descriptors, _, _ = socket.recv_fds(asked, _MESSAGE, 3)
    child = os.fork()
    if child == 0:
        asked.close()
        os._exit(_relman(json.loads(request), descriptors))
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            with contextlib.suppress(OSError):
                asked.send(_CODE.pack(os.waitstatus_to_exitcode(status)))
            return 0
        asked.settimeout(0.005)
        try:
            told = asked.recv(1)
            os.kill(child, signal.SIGKILL)
            if not told:
                return 0
        except TimeoutError:
            pass


def _relman(request: dict[str, object], descriptors: list[int]) -> int:
    """relman, as its entry point runs it."""
    from relman.cli import main

    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(str(request["cwd"]))
    environment = request["env"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    arguments = request["argv"]
    assert isinstance(arguments, list)
    sys.argv = [str(ROOT / "relman" / "__main__.py"), *arguments]
    sys.modules["__main__"].__package__ = "relman"  # by both, click tells what the program is called
    time.tzset()
    random.seed()
    try:
        main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:  # noqa: BLE001  the interpreter's own last resort is what this stands for
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


if __name__ == "__main__":
    try:
        serve(sys.argv[1])
    except Exception:  # noqa: BLE001  nobody else says why
        traceback.print_exc()
        sys.exit(1)
