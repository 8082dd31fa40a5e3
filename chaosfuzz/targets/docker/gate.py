"""The first process of every container: runs one program at a time, as the harness orders.

The image holds this file alone, so it imports only the standard library. The gate imports modules
before the first order, and a program can be replaced without a new start of the container. The
gate ends with its program, with the same exit code, unless the order said `may_end`. It passes
SIGTERM and SIGINT on to the program. It ends as well when the harness closes the connection.

Orders and answers are lines of JSON on a unix socket.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

SOCKET = "/run/chaosfuzz/harness.sock"
SERVING = Path(tempfile.gettempdir()) / "serving"
PASSED_ON = (signal.SIGTERM, signal.SIGINT)
READY_DESCRIPTOR = 3
# Chosen by hand: milliseconds, forks and bytes.
READY_LINE_POLL_MS = 3
MOST_FORKS = 500
BLOCK_BYTES = 1 << 20
LARGEST_ORDER_BYTES = 1 << 20
# Shells add this to the number of a signal to make an exit code.
SIGNALLED = 128
CANNOT_RUN = 127


class Gate:
    """Takes orders from the harness that listens at a path; raises OSError if no one listens."""

    def __init__(self, path: str) -> None:
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(path)
        self._received = b""
        self._number = 0
        self._child = 0
        self._may_end = False
        self._ready: int | None = None
        self._ready_file: tuple[str, int, str] | None = None

    def serve(self) -> int:
        """Take orders until the program or the harness ends; return the exit code."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        SERVING.touch()
        while (exit_code := self._turn()) is None:
            pass
        return exit_code

    def _turn(self) -> int | None:
        sources: list[Any] = [self._wake_read, self._control]
        if self._ready is not None:
            sources.append(self._ready)
        timeout_s = READY_LINE_POLL_MS / 1000 if self._ready_file else None
        readable, _, _ = select.select(sources, [], [], timeout_s)
        if self._wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
            if (exit_code := self._reap()) is not None:
                return exit_code
        if self._ready is not None and self._ready in readable:
            if os.read(self._ready, 1):
                self._answer(ready=True)
            os.close(self._ready)
            self._ready = None
        if self._ready_file is not None and _line_is(*self._ready_file):
            self._ready_file = None
            self._answer(ready=True)
        return self._listen() if self._control in readable else None

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        if self._child:
            os.kill(self._child, number)
        else:
            sys.exit(0)

    def _reap(self) -> int | None:
        """Reap every child that has ended; return an exit code if the gate is to end with it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return None
            if pid == 0:
                return None
            if pid != self._child:
                continue
            self._child = 0
            self._ready_file = None
            code = os.waitstatus_to_exitcode(status)
            if not self._may_end:
                return code if code >= 0 else SIGNALLED - code
            self._may_end = False
            self._answer(ended=code)

    def _listen(self) -> int | None:
        received = self._control.recv(65536)
        if not received or len(self._received) > LARGEST_ORDER_BYTES:
            # The harness is gone, or its order is too long. All other processes end with this one.
            return 0
        *orders, self._received = (self._received + received).split(b"\n")
        for order in orders:
            self._obey(json.loads(order))
        return None

    def _obey(self, order: Mapping[str, Any]) -> None:
        self._number = int(order["number"])
        if order["do"] == "run" and not self._child:
            self._run(order)
        elif order["do"] == "exhaust":
            _exhaust_memory()
        elif order["do"] == "end" and self._child:
            self._may_end = True
            os.kill(self._child, signal.SIGKILL)
        else:
            self._answer(ended=0)

    def _run(self, order: Mapping[str, Any]) -> None:
        for path in order["remove"]:
            Path(path).unlink(missing_ok=True)
        self._may_end = order["may_end"]
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        # A signal that arrives before the child has its own handlers is delivered afterwards.
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        pid = _fork(frozenset(order["avoid"]))
        if pid == 0:
            _become(order, write_end)
        self._child = pid
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        os.close(write_end)
        self._ready_file = order["ready_file"]
        if self._ready_file:
            os.close(read_end)
        else:
            self._ready = read_end
        self._answer(pid=pid)

    def _answer(self, **fields: object) -> None:
        line = json.dumps({"number": self._number, **fields}) + "\n"
        with contextlib.suppress(OSError):
            self._control.sendall(line.encode())


def _exhaust_memory() -> NoReturn:
    """Take memory until the kernel ends this process, and so the container."""
    taken = []
    while True:
        # The kernel gives memory only when it is written to.
        taken.append(b"x" * BLOCK_BYTES)


def _fork(avoid: frozenset[int]) -> int:
    """Fork until the child has a pid that is not in `avoid`; return as os.fork does.

    Raises RuntimeError if 500 children had pids to avoid.
    """
    for _ in range(MOST_FORKS):
        pid = os.fork()
        if pid == 0:
            if os.getpid() in avoid:
                os._exit(0)
            return 0
        if pid not in avoid:
            return pid
        os.waitpid(pid, 0)
    message = f"all of {MOST_FORKS} children had pids to avoid: {sorted(avoid)}"
    raise RuntimeError(message)


def _become(order: Mapping[str, Any], ready: int) -> NoReturn:
    exit_code = CANNOT_RUN
    try:
        os.setsid()
        os.dup2(ready, READY_DESCRIPTOR)
        os.closerange(READY_DESCRIPTOR + 1, 256)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, *PASSED_ON):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        if order["argv"]:
            os.close(READY_DESCRIPTOR)
            # Python ignores SIGPIPE, and the program would inherit that.
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            argv: Sequence[str] = order["argv"]
            os.execvp(argv[0], list(argv))
        gc.enable()
        module, _, name = str(order["entry"]).partition(":")
        function = getattr(importlib.import_module(module), name)
        exit_code = int(function(order["argument"], READY_DESCRIPTOR) or 0)
    except BaseException:  # noqa: BLE001 - the child must end here, whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code & 0xFF)


def _line_is(path: str, line: int, word: str) -> bool:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return len(lines) >= line and lines[line - 1].strip() == word


def main(arguments: Sequence[str]) -> int:
    """Import the modules named by the arguments, then serve; return the exit code.

    With the one argument `hold`: wait for SIGTERM. With `health`: return 0 if a gate of this
    container serves, else 1.
    """
    if list(arguments) == ["hold"]:
        SERVING.touch()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.pause()
    if list(arguments) == ["health"]:
        return 0 if SERVING.exists() else 1
    gc.disable()
    for name in arguments:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    try:
        gate = Gate(SOCKET)
    except OSError:
        # The harness is gone.
        return 0
    return gate.serve()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
