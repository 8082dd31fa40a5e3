"""The harness's handle of a keeper process."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper import messages
from chaosfuzz.targets.keeper.child import Child
from chaosfuzz.targets.keeper.credentials import UnprivilegedWay

# Chosen by hand, each far above what a busy machine takes.
_PREPARE_TIMEOUT_S = 60.0
_REQUEST_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 10.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


def package_environment() -> dict[str, str]:
    """Return this process's environment, in which `python -m` finds this very chaosfuzz."""
    path = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


class Keeper:
    """Starts processes that all end with it; the keeper ends with this process, even if killed.

    `prepare` names modules that the keeper imports once, so that forked children need not. `way`
    is how `execute` gives up root; with None, the keeper tries what works (attribute `way`). The
    constructor raises InfrastructureError if the keeper cannot start or cannot import a module.
    """

    def __init__(self, prepare: Sequence[str] = (), *, way: UnprivilegedWay | None = None) -> None:
        self._lock = threading.Lock()
        self._last_number = 0
        self._closed = False
        self._failure: str | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._control, keeper_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        import_path = [entry or str(Path.cwd()) for entry in sys.path]
        with keeper_end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "chaosfuzz.targets.keeper", str(keeper_end.fileno())],
                pass_fds=[keeper_end.fileno()],
                env=package_environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                # In its own session: Ctrl-C in the terminal interrupts the harness alone.
                start_new_session=True,
            )
        self.pid = self._process.pid
        try:
            hello = {"prepare": list(prepare), "import_path": import_path, "way": way}
            answer, _none = self._exchange(hello, (), _PREPARE_TIMEOUT_S)
        except BaseException:
            self.close()
            raise
        self.way: UnprivilegedWay = answer["way"]

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fork(self, entry: str, argument: str, log_path: Path) -> Child:
        """Fork the keeper and call `entry` (module:function) with (argument, ready descriptor).

        The function's result is the exit code. Output is appended to the log. Raises
        InfrastructureError if the keeper has died or cannot fork, UsageError if the log cannot be
        opened or `entry` is malformed.
        """
        if not all(entry.partition(":")):
            message = f"entry {entry!r} is not of the form module:function"
            raise UsageError(cause=message, remedy="write it as module:function")
        return self._start({"entry": entry, "argument": argument}, log_path, announces=True)

    def execute(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        log_path: Path,
        user: Literal["self", "unprivileged"] = "self",
        working_directory: Path = Path("/"),
        announces: bool = False,
        pipes: tuple[int, int] | None = None,
    ) -> Child:
        """Run a program. If it cannot be run, its log says why and its exit code is 127.

        `environment` replaces the keeper's; None keeps it. A program that `announces` writes a
        byte to descriptor 3 when it is ready. `pipes` become its standard input and output (the
        caller keeps its own copies); without them these are /dev/null and the log. Standard error
        is appended to the log. Raises InfrastructureError if the keeper has died or cannot fork,
        UsageError if the log cannot be opened.
        """
        work = {
            "argv": [str(word) for word in argv],
            "environment": None if environment is None else dict(environment),
            "working_directory": str(working_directory),
            "unprivileged": user == "unprivileged",
        }
        return self._start(work, log_path, announces=announces, pipes=pipes)

    def close(self) -> None:
        """End the keeper and all its children; wait until they are gone. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._control.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            # The children's parent-death signal kills them with the keeper.
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def _start(
        self,
        work: Mapping[str, object],
        log_path: Path,
        *,
        announces: bool,
        pipes: tuple[int, int] | None = None,
    ) -> Child:
        descriptors: list[int] = []
        ready = None
        try:
            descriptors.append(_open_log(log_path))
            if announces:
                ready, write_end = os.pipe2(os.O_CLOEXEC)
                descriptors.append(write_end)
            with self._lock:
                self._last_number += 1
                number = self._last_number
            request = {"do": "start", "number": number, "piped": pipes is not None, **work}
            sent = (*descriptors, *(pipes or ()))
            answer, received = self._exchange(request, sent, _REQUEST_TIMEOUT_S)
        except BaseException:
            if ready is not None:
                os.close(ready)
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return Child(
            pid=answer["pid"],
            pidfd=received[0],
            ready_descriptor=ready,
            log_path=log_path,
            collect=partial(self._collect, number),
            kill_group=partial(self._kill_group, number, answer["pid"]),
        )

    def _collect(self, number: int) -> int:
        if self._closed:
            # The keeper has killed the child at its own end, and can no longer be asked.
            return -signal.SIGKILL
        answer, _none = self._exchange({"do": "collect", "number": number}, (), _REQUEST_TIMEOUT_S)
        exit_code = answer["exit_code"]
        return -signal.SIGKILL if exit_code is None else int(exit_code)

    def _kill_group(self, number: int, pid: int) -> None:
        if not self._closed:
            request = {"do": "kill-group", "number": number, "pid": pid}
            self._exchange(request, (), _REQUEST_TIMEOUT_S)

    def _exchange(
        self, request: Mapping[str, object], descriptors: Sequence[int], timeout_s: float
    ) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            if self._closed:
                message = "the keeper has been closed, so no process can be started"
                raise InfrastructureError(cause=message, remedy="open another lane")
            if self._failure is None:
                try:
                    self._control.settimeout(timeout_s)
                    messages.send(self._control, request, descriptors)
                    received = messages.receive(self._control)
                except TimeoutError:
                    self._failure = f"did not answer within {timeout_s:g} s"
                except (BrokenPipeError, ConnectionError):
                    self._failure = "has died"
                except OSError as error:
                    raise InfrastructureError(
                        cause=f"cannot ask the keeper {self.pid}: {error}",
                        remedy="check the limit of open files (ulimit -n), and run again",
                    ) from error
                else:
                    self._failure = "has died" if received is None else None
            if self._failure is not None or received is None:
                raise self._failed()
        if "error" in received[0]:
            raise InfrastructureError(
                cause=f"the keeper (pid {self.pid}) refused: {received[0]['error']}",
                remedy=(
                    "correct the module that it cannot import; if it cannot fork, run fewer lanes "
                    "(--lanes) or raise the limit of processes (ulimit -u)"
                ),
            )
        return received

    def _failed(self) -> InfrastructureError:
        self._log.seek(0)
        output = self._log.read().decode(errors="replace").strip()[-2000:]
        exit_code = self._process.poll()
        return InfrastructureError(
            cause=(
                f"the keeper (pid {self.pid}), which runs a lane's processes, {self._failure} "
                f"(exit code {exit_code}). Its output ends: {output or '(nothing)'}"
            ),
            remedy="correct what its output says; if there is none, free memory or lower --lanes",
        )


def _open_log(log_path: Path) -> int:
    try:
        return os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        message = f"cannot write the log {log_path}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose another directory with --out") from error
