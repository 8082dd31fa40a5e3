"""Starts a supervisor that outlives the command which wanted it."""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.child import log_tail
from chaosfuzz.targets.keeper.process_tree import wait_readable
from chaosfuzz.targets.standing.plan import PLANS, STARTED, Plan
from chaosfuzz.targets.standing.state import State, find_state, forget_state, state_path

START_TIMEOUT_S = 120.0
_END_TIMEOUT_S = 60.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]


def start_supervisor(plan: Plan) -> State:
    """Start a system that stays when this process ends; return once it serves.

    Raises:
        UsageError: one is up already in that directory, or the plan cannot be carried out.
        InfrastructureError: it cannot be started, for instance because the port is taken.

    """
    log_path = state_path(plan.out).parent / "supervisor.log"
    _make_directory(plan.out)
    with _one_at_a_time(plan.out):
        found = find_state(plan.out)
        if found is not None:
            _refuse_second(found)
        _make_directory(log_path.parent)
        ready, theirs = os.pipe2(os.O_CLOEXEC)
        python_path = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with os.fdopen(ready, "rb") as reading, log_path.open("wb") as log:
            with os.fdopen(theirs, "wb"):
                process = subprocess.Popen(
                    [sys.executable, "-m", "chaosfuzz.targets.standing", str(theirs)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[theirs],
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(python_path)},
                    # Out of the terminal's reach: its Ctrl-C is for commands alone.
                    start_new_session=True,
                )
            try:
                _await_ready(process, plan, reading.fileno(), log_path)
            except BaseException:
                _abandon(process)
                forget_state(plan.out)
                raise
    state = find_state(plan.out)
    if state is None:
        message = f"the supervisor left no state in {state_path(plan.out)}"
        raise InfrastructureError(cause=message, remedy=f"see its log {log_path}")
    # It is meant to outlive this process, which has nothing to wait for.
    process.returncode = 0
    return state


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """End a supervisor that is still starting; it undoes what it has done so far."""
    process.terminate()
    try:
        process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        # What it ran ends with it, and `chaosfuzz clean` finds its directory.
        process.kill()
        process.wait()


def _await_ready(process: subprocess.Popen[bytes], plan: Plan, ready: int, log_path: Path) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(PLANS.dump_json(plan))
    if not wait_readable([ready], START_TIMEOUT_S):
        raise InfrastructureError(
            cause=f"the system was not ready within {START_TIMEOUT_S:g} s",
            remedy=f"see the supervisor's log {log_path}, and free memory if the machine is busy",
        )
    said = os.read(ready, 65536)
    if not said:
        raise InfrastructureError(
            cause=(
                f"the supervisor died while starting. Its log {log_path} ends: {log_tail(log_path)}"
            ),
            remedy=(
                "correct what the log says; if it names no cause, look in the kernel's log for a "
                "lack of memory"
            ),
        )
    started = STARTED.validate_json(said)
    if started.refusal is not None:
        raise started.refusal.error()


def _refuse_second(state: State) -> None:
    if state.is_alive:
        message = f"it is up already at {state.base_url} (supervisor {state.pid})"
        raise UsageError(cause=message, remedy="end it with: chaosfuzz down")


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot write {path}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose another directory with --out") from error


@contextlib.contextmanager
def _one_at_a_time(out: Path) -> Iterator[None]:
    """Keep others from starting a system in the same directory meanwhile."""
    descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
