"""Tasks and workers of the simulated queue."""

from dataclasses import dataclass, field
from itertools import count

from chaosfuzz.domain.task import TaskState, TaskStatus

MAX_ATTEMPTS = 3


@dataclass(kw_only=True)
class SimTask:
    """One acknowledged task. `fence` is its fencing token and grows with every claim and cancel.

    `present`: the queue has a row of it. `durable`: the row survives a kill of the database.
    `buffered`: it is in the memory of the server alone. `orphaned` counts the runs whose worker
    died. `aside`: no worker claims it any more. `lease_until_ms` is when its lease runs out; None
    while its worker renews it. `run` is the index of its current run in the ledger, None if none.
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
        """Return the row in the queue. The same object is returned until the row changes."""
        row = self._row
        # The loop reads every row after every event, and most have not changed.
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
    """One worker. Its run is due at `ends_ms` of logical time, which passes while it is paused.

    `fence` is the fencing token under which it runs `task`.
    """

    slot: int
    pid: int = field(default_factory=count(1).__next__)
    paused: bool = False
    task: SimTask | None = None
    fence: int = 0
    ends_ms: int = 0
