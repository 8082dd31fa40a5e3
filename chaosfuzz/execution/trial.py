"""The driver of single tasks, created and awaited one by one, without faults and judge."""

import uuid
from collections.abc import Callable

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Judgement, NoJournal
from chaosfuzz.domain.history import Creation
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import System, TaskService
from chaosfuzz.domain.task import Execution, TaskRequest, TaskState
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.domain.view import View
from chaosfuzz.execution.loop import Loop, Parts

_DEFAULT_ATTEMPTS = 3


class NoJudge:
    """A judge that checks nothing. Runs that only observe what a target does use it."""

    def judge(self, view: View, step: int | None) -> Judgement:
        """Return UNKNOWN without failures."""
        return Judgement(verdict=Verdict.UNKNOWN)


class Trial(Loop):
    """A system that is driven by single calls. The opener of the system closes it."""

    def __init__(self, system: System) -> None:
        parts = Parts(judge=NoJudge(), journal=NoJournal(), stalls=None, stop=StopSignal())
        super().__init__(system, parts, workers=1)

    def settle(self) -> None:
        """Do nothing: the caller waits with `wait`."""

    def ask(self, *, duration_ms: int = 0) -> Creation:
        """Ask for one task that works for `duration_ms` ms, and return the recorded creation.

        The target may have refused it. Raises UsageError if the system takes no tasks.
        """
        if not isinstance(self.system, TaskService):
            raise UsageError(
                cause="this target takes no tasks: it does not implement TaskService",
                remedy="if it is a profile, give it a way to create tasks ([create])",
            )
        request = TaskRequest(
            number=len(self.history.creations) + 1,
            token=uuid.uuid4().hex,
            duration_ms=duration_ms,
            max_attempts=self.contract.max_attempts or _DEFAULT_ATTEMPTS,
        )
        self.create_task(request, self.system)
        return self.history.creations[-1]

    def rows(self, *tokens: str) -> list[TaskState]:
        """Observe, and return the rows of these tasks in the queue; none if it is unreadable."""
        self.observe()
        seen = self.history.observations[-1].tasks or ()
        return [row for row in seen if row.token in tokens]

    def runs(self, token: str) -> list[Execution]:
        """Observe, and return the executions of a task in the ledger."""
        self.observe()
        return [run for run in self.history.executions if run.token == token]

    def has_finished(self, *tokens: str) -> bool:
        """Say whether each task has finished, by the ledger at the last observation."""
        finished = {run.token for run in self.history.executions if run.finished}
        return finished.issuperset(tokens)

    def wait(self, until: Callable[[], bool], bound_s: float) -> bool:
        """Observe until a condition holds. Return False if it does not within `bound_s` seconds."""
        return self.wait_until(until, at_most_ms=1000 * bound_s)
