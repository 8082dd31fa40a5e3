"""The keeper process: starts, reaps and finally kills children. One thread, as it forks."""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from chaosfuzz.targets.keeper import messages
from chaosfuzz.targets.keeper.credentials import (
    UnprivilegedWay,
    become_subreaper,
    probe_unprivileged_way,
)
from chaosfuzz.targets.keeper.launch import Call, Command, run_child
from chaosfuzz.targets.keeper.process_tree import descendants_of

_KILL_DEADLINE_S = 5.0
_KILL_ROUND_MS = 20
# Beyond so many exit codes that were not collected, the oldest are dropped. All chosen by hand.
_MAXIMUM_UNCOLLECTED = 4096


class KeeperServer:
    """Serves one control socket. The harness numbers the children, since pids are used again."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._pid = os.getpid()
        self._way: UnprivilegedWay = "not-root"
        self._numbers: dict[int, int] = {}
        self._pids: dict[int, int] = {}
        self._exit_codes: dict[int, int] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Serve until the harness closes its side or dies; then kill every descendant."""
        become_subreaper()
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            if self._prepare():
                self._loop()
        finally:
            self._kill_all()

    def _prepare(self) -> bool:
        received = messages.receive(self._control)
        if received is None:
            return False
        request, _none = received
        sys.path[:] = request["import_path"]
        gc.disable()
        self._way = request["way"] or probe_unprivileged_way()
        try:
            for name in request["prepare"]:
                importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - any error of an import is reported
            self._reply({"error": f"cannot import {name}: {type(error).__name__}: {error}"})
            return False
        gc.collect()
        gc.freeze()
        self._reply({"way": self._way})
        return True

    def _loop(self) -> None:
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _event in poller.poll()}
            if self._wake_read in ready:
                self._drain()
                self._reap()
            if self._control.fileno() in ready:
                received = messages.receive(self._control)
                if received is None:
                    return
                self._answer(*received)

    def _answer(self, request: dict[str, Any], descriptors: list[int]) -> None:
        number = int(request["number"])
        if request["do"] == "start":
            self._start(number, request, descriptors)
        elif request["do"] == "collect":
            self._reap()
            self._reply({"exit_code": self._exit_codes.pop(number, None)})
        elif request["do"] == "kill-group":
            self._kill_group(number, int(request["pid"]))
            self._reply({})

    def _start(self, number: int, request: dict[str, Any], descriptors: list[int]) -> None:
        work = self._work(request)
        try:
            pid = os.fork()
        except OSError as error:
            _close(descriptors)
            self._reply({"error": f"cannot fork: {error}"})
            return
        if pid == 0:
            log, *others = descriptors
            pipes = (others.pop(), others.pop())[::-1] if request.get("piped") else None
            run_child(
                work,
                keeper_pid=self._pid,
                log_descriptor=log,
                ready_descriptor=others[0] if others else None,
                pipes=pipes,
            )
        # Opened before the child can be reaped, so the pid still names the child.
        pidfd = os.pidfd_open(pid)
        self._numbers[pid] = number
        self._pids[number] = pid
        _close(descriptors)
        self._reply({"pid": pid}, pidfd)
        os.close(pidfd)

    def _work(self, request: dict[str, Any]) -> Call | Command:
        if "entry" in request:
            return Call(entry=request["entry"], argument=request["argument"])
        return Command(
            argv=request["argv"],
            environment=request["environment"],
            working_directory=request["working_directory"],
            way=self._way if request["unprivileged"] else None,
        )

    def _reap(self) -> bool:
        """Store the exit codes of children that have ended; return whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            number = self._numbers.pop(pid, None)
            if number is not None:
                del self._pids[number]
                self._exit_codes[number] = os.waitstatus_to_exitcode(status)
                if len(self._exit_codes) > _MAXIMUM_UNCOLLECTED:
                    del self._exit_codes[next(iter(self._exit_codes))]

    def _kill_group(self, number: int, pid: int) -> None:
        if number in self._pids:
            # The child is not reaped yet, so no other group can have its number.
            self._kill(-pid)
        elif pid not in self._numbers:
            for member in descendants_of(self._pid):
                if _group_of(member) == pid:
                    self._kill(member)

    def _kill_all(self) -> None:
        deadline = time.monotonic() + _KILL_DEADLINE_S
        poller = select.poll()
        poller.register(self._wake_read, select.POLLIN)
        # In rounds: the children of a killed process become children of the keeper.
        while self._reap() and time.monotonic() < deadline:
            for pid in descendants_of(self._pid):
                self._kill(pid)
            if poller.poll(_KILL_ROUND_MS):
                self._drain()

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass

    def _reply(self, message: dict[str, object], *descriptors: int) -> None:
        # Once the harness has closed the socket, the loop sees its end next and returns.
        with contextlib.suppress(BrokenPipeError):
            messages.send(self._control, message, descriptors)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _group_of(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None
