"""Drives a system by hand: one task after another, waiting by condition and never longer."""

import time
import uuid
from collections.abc import Callable
from typing import TypeVar, cast

import pytest

from chaosfuzz.domain.outcome import Outcome, classify
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState

WORKER = "worker-1"
_POLL_S = 0.01
# Over the bounds of the contract: machines that run tests are busy.
_PATIENCE_S = 30.0

Ability = TypeVar("Ability")


class Driver:
    """One system under test."""

    def __init__(self, system: System) -> None:
        self.system = system

    def ability(self, protocol: type[Ability]) -> Ability:
        """Return the system as one that has an ability; skips the test if it has not."""
        if not isinstance(self.system, protocol):
            pytest.skip(f"the target's systems are not {protocol.__name__}")
        return cast("Ability", self.system)

    def ask(self, *, duration_ms: int = 0) -> str:
        """Ask for a task, which has to be accepted; return its token."""
        service = self.ability(TaskService)
        token = uuid.uuid4().hex
        request = TaskRequest(
            number=1,
            token=token,
            duration_ms=duration_ms,
            max_attempts=self.system.contract.max_attempts or 3,
        )
        reply = service.create(request, time.monotonic_ns())
        assert classify(reply) is Outcome.OK, f"create was not accepted: {reply}"
        return token

    def rows(self, token: str) -> list[TaskState]:
        """Return what the queue holds of a task."""
        seen = self.system.observe(ask_health=False).tasks
        return [state for state in seen or () if state.token == token]

    def runs(self, token: str) -> list[Execution]:
        """Return what the ledger holds of a task."""
        return [run for run in self.system.executions() if run.token == token]

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds, within the bounds of the contract."""
        contract = self.system.contract
        bound_s = (contract.recovery_ms + contract.pickup_ms) / 1000 + _PATIENCE_S
        deadline = time.monotonic() + bound_s
        while not condition():
            # Asking who ended lets a system start again whom it is to.
            self.system.exits()
            assert time.monotonic() < deadline, f"not within {bound_s:g} s: {what}"
            time.sleep(_POLL_S)

    def wait_done(self, token: str) -> None:
        """Wait until a task has finished by the ledger and by the queue."""
        self.wait(lambda: any(r.finished for r in self.runs(token)), "the ledger says finished")
        self.wait(
            lambda: any(s.status.terminal for s in self.rows(token)), "the queue says it is done"
        )

    def works(self) -> None:
        """See that a new task is taken and done."""
        self.wait_done(self.ask())
