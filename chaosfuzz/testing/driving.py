"""Drives a system in a test: creates single tasks and waits for conditions."""

from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import pytest

from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.domain.outcome import Outcome
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import Execution, TaskState
from chaosfuzz.execution.trial import Trial

WORKER = "worker-1"
# Added to the bounds of the contract, because test machines are slow. Chosen by hand.
_PATIENCE_S = 30.0

Ability = TypeVar("Ability")


class Driver:
    """Drives one system under test. Its methods fail the test if a promise is not kept."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._trial = Trial(system)

    def ability(self, protocol: type[Ability]) -> Ability:
        """Return the system, typed as one with this ability; skip the test if it lacks it."""
        if not isinstance(self.system, protocol):
            pytest.skip(f"the target's systems are not {protocol.__name__}")
        return cast("Ability", self.system)

    @property
    def exits(self) -> Sequence[ProcessExit]:
        """The ends of processes that waiting has seen; they are gone from `system.exits()`."""
        return self._trial.history.exits

    def ask(self, *, duration_ms: int = 0) -> str:
        """Create a task of `duration_ms` ms and return its token.

        Fails the test if the task is not accepted. Skips the test if the target takes no tasks.
        """
        self.ability(TaskService)
        creation = self._trial.ask(duration_ms=duration_ms)
        assert creation.outcome is Outcome.OK, f"create was not accepted: {creation}"
        return creation.request.token

    def rows(self, token: str) -> list[TaskState]:
        """Observe, and return a task's rows in the queue; none if the queue cannot be read."""
        return self._trial.rows(token)

    def runs(self, token: str) -> list[Execution]:
        """Observe, and return the executions of a task in the ledger."""
        return self._trial.runs(token)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds; fail the test with `what` after the contract's bounds.

        The bound is the recovery and pickup time plus 30 s.
        """
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
        """Create a task and wait until it is done."""
        self.wait_done(self.ask())
