"""Tasks and workers of the simulated queue."""

from dataclasses import dataclass, field
from itertools import count

from chaosfuzz.domain.task import TaskState, TaskStatus

MAX_ATTEMPTS = 3


@dataclass(kw_only=True)
class SimTask:
    """One acknowledged task. `fence` grows with every claim; lost rows have `present` false.

    A `buffered` task is only in the memory of the server; `orphaned` counts the runs whose worker
    died, and a task that is `aside` is offered to no worker any more. `run` is where the ledger
    has its latest run.
    """

    number: int
    token: str
    duration_ms: int
    priority: int
    due_ms: int
    failures: int
    created_ms: int
    durable: bool = True
    present: bool = True
    buffered: bool = False
    orphaned: int = 0
    aside: bool = False
    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    fence: int = 0
    lease_until_ms: int | None = None
    run: int | None = None
    _row: TaskState | None = None

    def row(self) -> TaskState:
        """Return the row in the queue."""
        row = self._row
        # Rows are read after every event; most have not changed.
        if row is None or (row.status, row.attempts, row.fence) != (
            self.status,
            self.attempts,
            self.fence,
        ):
            row = self._row = TaskState(
                task_id=str(self.number),
                token=self.token,
                status=self.status,
                attempts=self.attempts,
                max_attempts=MAX_ATTEMPTS,
                fence=self.fence,
            )
        return row


@dataclass(kw_only=True)
class SimWorker:
    """One worker; the handler is a timer, which also runs out while the worker is frozen."""

    slot: int
    pid: int = field(default_factory=count(1).__next__)
    paused: bool = False
    task: SimTask | None = None
    fence: int = 0
    ends_ms: int = 0
