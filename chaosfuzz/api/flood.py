"""Creates many tasks, and waits until they have ended."""

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
# Payloads that the handlers of the bundled system complete, and additions that make them fail.
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
    """The tasks of a flood. Their types take turns.

    `delay_s` are the seconds that a delay_task works, `deadline_s` those from the start of the
    flood until all tasks have to be done. `failing` is the share of tasks (0 to 1) that fail by
    their payload. Without a `priority` the server chooses it.

    Raises UsageError if `failing` is not 0 and a type has no payload that fails.
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
                raise UsageError(
                    cause=f"tasks of type {name} cannot be made to fail by their payload",
                    remedy=f"choose among the types that can: {', '.join(_FAILING)}",
                )

    @property
    def to_fail(self) -> int:
        """Number of tasks that fail by their payload."""
        return sum(self.fails(index) for index in range(self.count))

    def fails(self, index: int) -> bool:
        """Tell whether the task of an index (from 0) fails. These tasks are spread evenly."""
        return int((index + 1) * self.failing + 1e-9) > int(index * self.failing + 1e-9)

    def task(self, index: int, due: datetime | None) -> NewTask:
        """Return the task of an index (from 0). A delay_task's payload holds the deadline `due`."""
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
    """Progress of a flood: requests sent, tasks created, and their states when last listed.

    `in_sight` is False if the last attempt to list the tasks failed.
    """

    asked: int
    created: int
    counts: TaskCounts
    in_sight: bool = True


@dataclass(frozen=True, kw_only=True)
class FloodSummary:
    """Outcome of a flood.

    `refused` and `unanswered` count creations; an unanswered one may have had an effect. `to_fail`
    tasks fail by their payload. `deadline_met` is None without a deadline, without waiting and
    after an interruption. `ending` is an Ending, "not waited for" or "nothing created".
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
        """Whether every task was created and, if waited for, ended as planned and in time.

        More failures than planned, a cancelled task and an interruption are not well.
        """
        if self.created < self.total or self.ending == Ending.INTERRUPTED:
            return False
        if self.ending == "not waited for":
            return True
        as_planned = self.failed <= self.to_fail and not self.unfinished and not self.cancelled
        return as_planned and self.deadline_met is not False


@dataclass
class Flood:
    """Sends each creation once, one after the other, then waits for the tasks to end.

    Setting `stop` ends both early. Without `wait` the flood ends with the last creation. `stall_s`
    is the number of seconds without progress after which the wait ends; the default is STALL_S plus
    the work of one task.
    """

    api: Api
    plan: FloodPlan
    stop: threading.Event
    wait: bool = True
    stall_s: float | None = None

    def __post_init__(self) -> None:
        self._ids: set[str] = set()
        self._refused = 0
        self._unanswered = 0
        self._first_refusal = ""
        self._began_s = time.monotonic()
        self._duration_s = 0.0
        # No task can end before the first one has worked for delay_s.
        patience_s = self.stall_s if self.stall_s is not None else STALL_S + self.plan.delay_s
        self._watch = Watch(count=self._count, stop=self.stop, expected=0, stall_s=patience_s)

    def run(self) -> Iterator[FloodProgress]:
        """Yield the progress after each creation, then after each attempt to list the tasks.

        Raises UsageError if the server refuses the token.
        """
        self._began_s = time.monotonic()
        plan = self.plan
        due = None
        if plan.deadline_s is not None:
            due = datetime.now(UTC) + timedelta(seconds=plan.deadline_s)
        for index in range(plan.count):
            if self.stop.is_set():
                break
            self._create(plan.task(index, due))
            self._duration_s = time.monotonic() - self._began_s
            yield self._progress(in_sight=True)
        if self.wait and self._ids:
            for seen in self._watch.run():
                self._duration_s = time.monotonic() - self._began_s
                yield self._progress(in_sight=seen is not None)

    def summary(self) -> FloodSummary:
        """Return the outcome, with the states of tasks when they were last listed."""
        counts, created = self._watch.counts, len(self._ids)
        waited = self.wait and not self.stop.is_set()
        deadline_met = None
        if self.plan.deadline_s is not None and waited:
            done = self._watch.ending is Ending.DONE
            deadline_met = done and self._duration_s <= self.plan.deadline_s
        return FloodSummary(
            total=self.plan.count,
            created=created,
            refused=self._refused,
            unanswered=self._unanswered,
            completed=counts.completed,
            failed=counts.failed,
            cancelled=counts.cancelled,
            unfinished=created - counts.ended,
            to_fail=self.plan.to_fail,
            duration_s=round(self._duration_s, 3),
            deadline_met=deadline_met,
            ending=self._ending(),
            first_refusal=self._first_refusal,
        )

    def _ending(self) -> str:
        if self.stop.is_set() and self._watch.ending is not Ending.DONE:
            return Ending.INTERRUPTED
        if not self.wait:
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
            answer = self.api.create(task)
        except InfrastructureError as error:
            self._unanswered += 1
            self._first_refusal = self._first_refusal or error.cause
            return
        created = answer.text("id") or answer.text("task", "id") or answer.text("task_id")
        if answer.status == 200 and created is not None:
            self._ids.add(created)
        elif answer.status == 401:
            raise self.api.token_refused(answer)
        else:
            self._refused += 1
            self._first_refusal = self._first_refusal or answer.refusal

    def _count(self) -> TaskCounts | None:
        try:
            seen = [task.status for task in self.api.tasks() if task.id in self._ids]
        except InfrastructureError:
            return None
        # A created task that the server does not list counts as not ended.
        return TaskCounts.of([*seen, *["missing"] * (len(self._ids) - len(seen))])
