"""Starts a supervisor that outlives the command."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.keeper.client import package_environment
from chaosfuzz.targets.keeper.process_tree import wait_readable
from chaosfuzz.targets.standing.control import RESPONSES
from chaosfuzz.targets.standing.state import State, find_state, forget_state, state_path

# Chosen by hand: `up` took 11 s on a busy machine with 2 cores.
START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The system to start. `port` None is a free one; the directory `data` keeps the database."""

    out: Path
    port: int | None
    workers: int
    speed: float = 1.0
    defects: tuple[str, ...] = ()
    data: Path | None = None


PLANS = TypeAdapter(Plan)


def start_supervisor(plan: Plan) -> State:
    """Start a system that outlives this process; return its state once it is ready.

    Raises UsageError if a system is up in that directory, or if the plan cannot be carried out.
    Raises InfrastructureError if the system cannot be started, for instance as the port is taken.
    """
    log_path = state_path(plan.out).parent / "supervisor.log"
    _make_directory(plan.out)
    with _one_at_a_time(plan.out):
        found = find_state(plan.out)
        if found is not None and found.is_alive:
            raise UsageError(
                cause=f"a system is up already at {found.base_url} (supervisor {found.pid})",
                remedy="end it with: chaosfuzz down",
            )
        process: subprocess.Popen[bytes] | None = None
        try:
            _make_directory(log_path.parent)
            ready, write_end = os.pipe2(os.O_CLOEXEC)
            with os.fdopen(ready, "rb"), log_path.open("wb") as log:
                with os.fdopen(write_end, "wb"):
                    process = _spawn(write_end, log)
                _await_ready(process, plan, ready, log_path)
        except BaseException:
            # Ctrl-C may come at any line. A process that is just being made ends by itself, as its
            # standard input closes unread.
            if process is not None:
                _abandon(process)
            forget_state(plan.out)
            raise
    state = find_state(plan.out)
    if state is None:
        message = f"the supervisor left no state in {state_path(plan.out)}"
        raise InfrastructureError(cause=message, remedy=f"see its log {log_path}")
    # Popen would warn that the supervisor outlives this process.
    process.returncode = 0
    return state


def _spawn(write_end: int, log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "chaosfuzz.targets.standing", str(write_end)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        pass_fds=[write_end],
        env=package_environment(),
        # In its own session: Ctrl-C in the terminal interrupts commands alone.
        start_new_session=True,
    )


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """End a supervisor that is still starting, which removes what it has made."""
    process.terminate()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # Its processes end with it, and `chaosfuzz clean` removes its directory.
        process.kill()
        process.wait()


def _await_ready(process: subprocess.Popen[bytes], plan: Plan, ready: int, log_path: Path) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(PLANS.dump_json(plan))
    if not wait_readable([ready], START_TIMEOUT_S):
        raise InfrastructureError(
            cause=(
                f"the system was not ready within {START_TIMEOUT_S:g} s. The supervisor's log "
                f"{log_path} ends: {log_tail(log_path)}"
            ),
            remedy="end other programs if the machine is busy, and try again",
        )
    answer = os.read(ready, 65536)
    if not answer:
        raise InfrastructureError(
            cause=(
                f"the supervisor died while starting. Its log {log_path} ends: {log_tail(log_path)}"
            ),
            remedy="correct what the log says; if it says nothing, look for OOM kills in dmesg",
        )
    response = RESPONSES.validate_json(answer)
    if response.refusal is not None:
        raise response.refusal.error()


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose another directory with --out") from error


@contextlib.contextmanager
def _one_at_a_time(out: Path) -> Iterator[None]:
    """Hold a lock, so that one process at a time starts a system in a directory."""
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
