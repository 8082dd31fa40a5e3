"""Tasks as requested, as observed in the queue, and as executed."""

from dataclasses import dataclass
from enum import StrEnum

# The tag of the task that chaosfuzz creates at the end of a scenario. At the end of a schedule, the
# token of that task begins so.
CANARY = "canary"


class TaskStatus(StrEnum):
    """States of a task in the queue."""

    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Say whether the queue does nothing more with a task in this state."""
        return self in _TERMINAL


# A tuple, as members are compared by identity then and not hashed.
_TERMINAL = (TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    """A client's request for a task. Its rows and executions have the same token.

    `user` is the number of the client's user, from 0. The first `failures` executions fail.
    `priority`, `strategy` and `task_type` are indices. A `tag` goes into the task's metadata.
    """

    number: int
    token: str
    duration_ms: int = 0
    priority: int = 1
    delay_ms: int = 0
    failures: int = 0
    strategy: int = 2
    max_attempts: int = 3
    user: int = 0
    task_type: int = 0
    tag: str = ""

    @property
    def name(self) -> str:
        """Return the task's name in messages: 'task 3', or 'the canary task of chaosfuzz'.

        The canary is the task that chaosfuzz itself creates after a run, to see whether a healed
        system still does work.
        """
        is_canary = CANARY in {self.tag, self.token.partition("-")[0]}
        return "the canary task of chaosfuzz" if is_canary else f"task {self.number}"


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """One row of the queue as observed."""

    task_id: str
    token: str
    status: TaskStatus
    attempts: int
    max_attempts: int
    fence: int = 0
    completed_fence: int | None = None
    effects: int | None = None
    last_error: str = ""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution of a task, from the ledger; times by the machine's monotonic clock, in ns."""

    task_id: str
    token: str
    attempt: int
    component: str
    pid: int
    start_ns: int
    end_ns: int | None = None
    result: str | None = None

    @property
    def finished(self) -> bool:
        """Say whether the handler did all its work."""
        return self.result == "finished"
