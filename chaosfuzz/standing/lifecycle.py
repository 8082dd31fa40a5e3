"""The system left running, as commands deal with it: up, down, orders, and what it leaves."""

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

_END_TIMEOUT_S = 30.0


def bring_up(plan: Plan) -> State:
    """Start the system, once what is left of a killed one has been removed.

    Raises:
        UsageError: one is up already in that directory, or data would be kept where `down` removes.
        InfrastructureError: it cannot be started, for instance because the port is taken.

    """
    logs = state_path(plan.out).parent
    if plan.data is not None and plan.data.is_relative_to(logs):
        message = f"--data {plan.data} is inside {logs}, which `chaosfuzz down` removes"
        raise UsageError(cause=message, remedy="choose a directory outside of it")
    forget_dead(plan.out)
    return start_supervisor(plan)


def take_down(out: Path) -> State | None:
    """End the system and remove it; return what it was, None if there was none.

    One whose supervisor was killed is cleaned up.

    Raises:
        InfrastructureError: something of it survives.

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
                remedy=(
                    f"end it with: kill -9 {state.pid}, and remove what it leaves with: chaosfuzz "
                    "clean"
                ),
            )
    finally:
        os.close(supervisor)
    return state


def require_up(out: Path) -> State:
    """Return the system that is up.

    Raises:
        UsageError: none is, or its supervisor was killed.

    """
    state = find_state(out)
    if state is None:
        raise UsageError(
            cause=f"nothing is up in {state_path(out).parent}", remedy="start it with: chaosfuzz up"
        )
    if not state.is_alive:
        raise UsageError(
            cause=f"the supervisor (pid {state.pid}) has died and all it ran with it",
            remedy="remove the rest with: chaosfuzz clean, then: chaosfuzz up",
        )
    return state


def find_up(out: Path) -> State | None:
    """Return the system that is up, None if there is none."""
    state = find_state(out)
    return state if state is not None and state.is_alive else None


def order(out: Path, wanted: Order) -> Status:
    """Give an order to the system that is up.

    Raises:
        UsageError: nothing is up, or the order cannot be carried out as things are.
        InfrastructureError: it failed.

    """
    return give_order(require_up(out), wanted)


def dead_state(out: Path) -> Path | None:
    """Return the directory of state and logs whose supervisor is dead, None if there is none."""
    state = find_state(out)
    return state_path(out).parent if state is not None and not state.is_alive else None


def forget_dead(out: Path) -> None:
    """Remove what a killed supervisor left.

    Raises:
        InfrastructureError: something cannot be removed.

    """
    state = find_state(out)
    if state is None or state.is_alive:
        return
    for leftover in find_leftovers([state.runtime_directory.parent]):
        if leftover.path == state.runtime_directory:
            remove_leftover(leftover)
    forget_state(out)
