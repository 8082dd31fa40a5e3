"""Tasks and workers of the simulated queue."""

from dataclasses import dataclass

from chaosfuzz.domain.task import TaskStatus


@dataclass(kw_only=True)
class SimTask:
    """One task. `fence` grows with every claim; rows that were lost have `present` false.

    A `buffered` task was acknowledged and is only in the memory of the server; `orphaned` counts
    the runs whose worker died, and a task that is `aside` is offered to no worker any more.
    """

    number: int
    duration_ms: int
    priority: int
    due_ms: int
    failures: int
    created_ms: int
    durable: bool = True
    acknowledged: bool = True
    present: bool = True
    buffered: bool = False
    orphaned: int = 0
    aside: bool = False
    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    fence: int = 0
    lease_until_ms: int | None = None


@dataclass(kw_only=True)
class SimWorker:
    """One worker; the handler is a timer, which also runs out while the worker is frozen."""

    slot: int
    paused: bool = False
    task: SimTask | None = None
    fence: int = 0
    ends_ms: int = 0
