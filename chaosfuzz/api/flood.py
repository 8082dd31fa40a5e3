"""Many tasks at once, and waiting until they have ended."""

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chaosfuzz.api.client import Api
from chaosfuzz.api.tasks import NewTask
from chaosfuzz.api.watching import STALL_S, Ending, Watch
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.task_counts import TaskCounts

_PAST = "2000-01-01T00:00:00+00:00"
# What the handlers of the starter do, and what they fail at.
_PAYLOADS: dict[str, Mapping[str, object]] = {
    "email": {"to": "ada@example.com", "subject": "flood", "body": "hello"},
    "data_processing": {"operation": "sum", "data": [1, 2, 3]},
    "file_cleanup": {"file_path": "old", "max_age_hours": 24},
    "report_generation": {"report_type": "sales"},
    "webhook": {"url": "https://example.com/hook", "method": "POST"},
}
_FAILING: dict[str, Mapping[str, object]] = {
    "email": {"body": "this one is to fail"},
    "data_processing": {"operation": "fail"},
    "webhook": {"url": "https://example.com/fail"},
    "delay_task": {"deadline": _PAST},
}
DELAY_TASK = "delay_task"


@dataclass(frozen=True, kw_only=True)
class FloodPlan:
    """Which tasks. `delay_s` is how long a delay_task takes, `failing` the share that fails.

    Raises:
        UsageError: tasks of a type are to fail and cannot.

    """

    count: int
    task_types: tuple[str, ...] = (DELAY_TASK,)
    delay_s: float = 1.0
    deadline_s: float | None = None
    priority: str | None = None
    tag: str | None = None
    failing: float = 0.0

    def __post_init__(self) -> None:
        for name in self.task_types:
            if self.failing and name not in _FAILING:
                able = ", ".join(_FAILING)
                raise UsageError(
                    cause=f"tasks of type {name} cannot be made to fail",
                    remedy=f"choose among the types that can fail: {able}",
                )

    @property
    def to_fail(self) -> int:
        """How many of the tasks are made to fail."""
        return sum(self.fails(index) for index in range(self.count))

    def fails(self, index: int) -> bool:
        """Tell whether this one is made to fail: they are spread evenly."""
        return int((index + 1) * self.failing + 1e-9) > int(index * self.failing + 1e-9)

    def task(self, index: int, due: datetime | None) -> NewTask:
        """Return the task of an index; a delay_task is told when it is due."""
        name = self.task_types[index % len(self.task_types)]
        payload = dict(_PAYLOADS.get(name, {}))
        if name == DELAY_TASK:
            payload |= {"delay_seconds": self.delay_s, "task_id": f"{self.tag or 'flood'}-{index}"}
            payload |= {"deadline": due.isoformat()} if due is not None else {}
        if self.fails(index):
            payload |= _FAILING[name]
        return NewTask(task_type=name, payload=payload, priority=self.priority, tag=self.tag)


@dataclass(frozen=True, kw_only=True)
class FloodProgress:
    """How far it is: what was asked for so far, and what became of it as last seen."""

    asked: int
    created: int
    counts: TaskCounts
    in_sight: bool = True


@dataclass(frozen=True, kw_only=True)
class FloodSummary:
    """What became of it. `unanswered` creations may have happened; `failed` are tasks.

    `deadline_met` is None without a deadline or without waiting.
    """

    total: int
    created: int
    refused: int
    unanswered: int
    completed: int
    failed: int
    cancelled: int
    unfinished: int
    to_fail: int
    duration_s: float
    deadline_met: bool | None
    ending: str
    first_refusal: str = ""

    @property
    def is_well(self) -> bool:
        """Whether all was created and, if waited for, ended as it was to, and in time."""
        if self.created < self.total or self.ending == Ending.INTERRUPTED:
            return False
        if self.ending == "not waited for":
            return True
        as_planned = self.failed <= self.to_fail and not self.unfinished and not self.cancelled
        return as_planned and self.deadline_met is not False


class Flood:
    """Creates the tasks one after the other, each once, then waits for them unless told not to."""

    def __init__(
        self,
        api: Api,
        plan: FloodPlan,
        stop: threading.Event,
        *,
        wait: bool = True,
        stall_s: float | None = None,
    ) -> None:
        self._api = api
        self._plan = plan
        self._stop = stop
        self._wait = wait
        self._ids: set[str] = set()
        self._refused = 0
        self._unanswered = 0
        self._first_refusal = ""
        self._began_s = time.monotonic()
        self._duration_s = 0.0
        # Nothing ends before the first task can have ended.
        default_s = STALL_S + plan.delay_s
        self._watch = Watch(
            self._look,
            stop,
            expected=0,
            stall_s=stall_s if stall_s is not None else default_s,
        )

    def run(self) -> Iterator[FloodProgress]:
        """Yield after each creation, then after each look.

        Raises:
            UsageError: the server does not know the token.

        """
        self._began_s = time.monotonic()
        plan = self._plan
        ahead = timedelta(seconds=plan.deadline_s) if plan.deadline_s is not None else None
        due = datetime.now(UTC) + ahead if ahead is not None else None
        for index in range(plan.count):
            if self._stop.is_set():
                break
            self._create(plan.task(index, due))
            self._duration_s = time.monotonic() - self._began_s
            yield self._progress(in_sight=True)
        if self._wait and self._ids:
            for seen in self._watch.run():
                self._duration_s = time.monotonic() - self._began_s
                yield self._progress(in_sight=seen is not None)

    def summary(self) -> FloodSummary:
        """Return what became of it as far as it was seen."""
        counts, created = self._watch.counts, len(self._ids)
        waited = self._wait and not self._stop.is_set()
        deadline_met = None
        if self._plan.deadline_s is not None and waited:
            done = self._watch.ending is Ending.DONE
            deadline_met = done and self._duration_s <= self._plan.deadline_s
        return FloodSummary(
            total=self._plan.count,
            created=created,
            refused=self._refused,
            unanswered=self._unanswered,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
            unfinished=created - counts.ended,
            to_fail=self._plan.to_fail,
            duration_s=round(self._duration_s, 3),
            deadline_met=deadline_met,
            ending=self._ending(),
            first_refusal=self._first_refusal,
        )

    def _ending(self) -> str:
        if self._stop.is_set() and self._watch.ending is not Ending.DONE:
            return Ending.INTERRUPTED
        if not self._wait:
            return "not waited for"
        return self._watch.ending if self._ids else "nothing created"

    def _progress(self, *, in_sight: bool) -> FloodProgress:
        return FloodProgress(
            asked=len(self._ids) + self._refused + self._unanswered,
            created=len(self._ids),
            counts=self._watch.counts,
            in_sight=in_sight,
        )

    def _create(self, task: NewTask) -> None:
        try:
            answer = self._api.create(task)
        except InfrastructureError as error:
            self._unanswered += 1
            self._first_refusal = self._first_refusal or error.cause
            return
        created = answer.text("id") or answer.text("task", "id") or answer.text("task_id")
        if answer.status == 200 and created is not None:
            self._ids.add(created)
        elif answer.status == 401:
            message = f"{self._api.base_url} does not take the token: {answer.refusal}"
            raise UsageError(cause=message, remedy="get a token with: chaosfuzz auth")
        else:
            self._refused += 1
            self._first_refusal = self._first_refusal or answer.refusal

    def _look(self) -> TaskCounts | None:
        try:
            seen = [task.status for task in self._api.tasks() if task.id in self._ids]
        except InfrastructureError:
            return None
        # What was created and is not there has not ended either.
        return TaskCounts.of([*seen, *["missing"] * (len(self._ids) - len(seen))])
