"""Tasks as asked for, as seen in the queue, and as executed."""

from dataclasses import dataclass
from enum import StrEnum


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
        """Say whether the queue is done with a task in this state."""
        return self in {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}


@dataclass(frozen=True, kw_only=True)
class TaskRequest:
    """What a client asks for; the token ties rows and executions to this creation.

    `user` is who asks, from 0; a `tag` goes into the task's metadata.
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
    """One run of a handler by the ledger; times by the monotonic clock of the machine."""

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
        """Say whether the handler did its work to the end."""
        return self.result == "finished"
