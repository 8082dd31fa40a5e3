"""Starts, ends and orders the system of `chaosfuzz up`, and removes what a killed one leaves."""

import os
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import wait_readable
from chaosfuzz.targets.postgres import find_leftovers, remove_leftover
from chaosfuzz.targets.standing import (
    Order,
    Plan,
    State,
    Status,
    find_state,
    forget_state,
    give_order,
    start_supervisor,
    state_path,
)

# Chosen by hand.
_END_TIMEOUT_S = 30.0


def bring_up(plan: Plan) -> State:
    """Remove what a killed system has left, and start a system; return its state.

    Raises UsageError if a system is up in that directory, or if `data` is where `down` deletes.
    Raises InfrastructureError if it cannot be started, for instance as the port is taken.
    """
    logs = state_path(plan.out).parent
    if plan.data is not None and plan.data.is_relative_to(logs):
        message = f"--data {plan.data} is inside {logs}, which `chaosfuzz down` removes"
        raise UsageError(cause=message, remedy="choose a directory outside of it")
    forget_dead(plan.out)
    return start_supervisor(plan)


def take_down(out: Path) -> State | None:
    """End the system and remove it; return its last state, None if there was none.

    If its supervisor was killed, what it left is removed. Raises InfrastructureError if a process
    survives.
    """
    state = find_state(out)
    if state is None:
        return None
    if not state.is_alive:
        forget_dead(out)
        return state
    supervisor = os.pidfd_open(state.pid)
    try:
        give_order(state, Order(verb="down"))
        if not wait_readable([supervisor], _END_TIMEOUT_S):
            raise InfrastructureError(
                cause=f"the supervisor (pid {state.pid}) has not ended after {_END_TIMEOUT_S:g} s",
                remedy=f"end it with: kill -9 {state.pid}, then run: chaosfuzz clean",
            )
    finally:
        os.close(supervisor)
    return state


def require_up(out: Path) -> State:
    """Return the state of the system that is up; raise UsageError if none is."""
    state = find_state(out)
    if state is None:
        raise UsageError(
            cause=f"nothing is up in {state_path(out).parent}", remedy="start it with: chaosfuzz up"
        )
    if not state.is_alive:
        raise UsageError(
            cause=f"the supervisor (pid {state.pid}) has died, and all its processes with it",
            remedy="run: chaosfuzz clean, then: chaosfuzz up",
        )
    return state


def find_up(out: Path) -> State | None:
    """Return the state of the system that is up, None if none is."""
    state = find_state(out)
    return state if state is not None and state.is_alive else None


def order(out: Path, request: Order) -> Status:
    """Give an order to the system that is up; return the status after it.

    Raises UsageError if none is up, or if the order cannot be carried out in the present state;
    InfrastructureError if it failed.
    """
    return give_order(require_up(out), request)


def dead_state(out: Path) -> Path | None:
    """Return the directory that a killed supervisor left (state and logs), None without one."""
    state = find_state(out)
    return state_path(out).parent if state is not None and not state.is_alive else None


def forget_dead(out: Path) -> None:
    """Remove the directories and processes that a killed supervisor left; else do nothing.

    Raises InfrastructureError if that fails.
    """
    state = find_state(out)
    if state is None or state.is_alive:
        return
    for leftover in find_leftovers([state.runtime_directory.parent]):
        if leftover.path == state.runtime_directory:
            remove_leftover(leftover)
    forget_state(out)
