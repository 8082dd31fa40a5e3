"""Drives a system by hand: one task after another, waiting by condition and never longer."""

from collections.abc import Callable
from typing import TypeVar, cast

import pytest

from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import Execution, TaskState
from chaosfuzz.execution.trial import Trial

WORKER = "worker-1"
# Over the bounds of the contract: machines that run tests are busy.
_PATIENCE_S = 30.0

Ability = TypeVar("Ability")


class Driver:
    """One system under test."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._trial = Trial(system)

    def ability(self, protocol: type[Ability]) -> Ability:
        """Return the system as one that has an ability; skips the test if it has not."""
        if not isinstance(self.system, protocol):
            pytest.skip(f"the target's systems are not {protocol.__name__}")
        return cast("Ability", self.system)

    def ask(self, *, duration_ms: int = 0) -> str:
        """Ask for a task, which has to be accepted; return its token."""
        self.ability(TaskService)
        creation = self._trial.ask(duration_ms=duration_ms)
        assert creation.outcome is Outcome.OK, f"create was not accepted: {creation}"
        return creation.request.token

    def rows(self, token: str) -> list[TaskState]:
        """Return what the queue holds of a task."""
        return self._trial.rows(token)

    def runs(self, token: str) -> list[Execution]:
        """Return what the ledger holds of a task."""
        return self._trial.runs(token)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds, within the bounds of the contract."""
        contract = self.system.contract
        bound_s = (contract.recovery_ms + contract.pickup_ms) / 1000 + _PATIENCE_S
        assert self._trial.wait(condition, bound_s), f"not within {bound_s:g} s: {what}"

    def wait_done(self, token: str) -> None:
        """Wait until a task has finished by the ledger and by the queue."""
        self.wait(lambda: self._trial.has_finished(token), "the ledger says finished")
        self.wait(
            lambda: any(s.status.terminal for s in self.rows(token)), "the queue says it is done"
        )

    def works(self) -> None:
        """See that a new task is taken and done."""
        self.wait_done(self.ask())
