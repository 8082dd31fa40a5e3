"""The state of the simulated queue, workers, server and database, and their steps in time."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from chaosfuzz.domain.task import Execution, TaskState, TaskStatus
from chaosfuzz.targets.simulated.defects import NO_RECOVERY, POISON_PILL
from chaosfuzz.targets.simulated.entities import MAX_ATTEMPTS, SimTask, SimWorker

# Chosen by hand, as all figures here.
LEASE_MS = 1000
# A task runs for this time plus its own duration: the next steps (10 ms each) can hit it.
BASE_RUN_MS = 40
# With the defect poison-pill, a task is put aside when the workers of this many runs have died.
MAX_ORPHANED_RUNS = 2
READY = (TaskStatus.PENDING, TaskStatus.RETRYING)


@dataclass(kw_only=True)
class World:
    """The whole system. `shows(defect)` says whether a defect takes effect in this run.

    `began_ns` is the monotonic time at which `now_ms` was 0. `ledger` holds every execution.
    """

    shows: Callable[[str], bool]
    began_ns: int
    workers: dict[int, SimWorker] = field(default_factory=dict)
    now_ms: int = 0
    database_up: bool = True
    server_up: bool = True
    server_restarted: bool = False
    tasks: list[SimTask] = field(default_factory=list)
    _events: list[tuple[int, object]] = field(default_factory=list)
    by_token: dict[str, SimTask] = field(default_factory=dict)
    ledger: list[Execution] = field(default_factory=list)
    _unfinished: list[SimTask] = field(default_factory=list)

    def record(self, event: object) -> None:
        """Record an event with the current time. `story` formats it, so recording stays cheap."""
        self._events.append((self.now_ms, event))

    def story(self) -> tuple[str, ...]:
        """Return one line for each recorded event, with its time in logical milliseconds."""
        return tuple(f"{at_ms} ms: {event}" for at_ms, event in self._events)

    @property
    def now_ns(self) -> int:
        """The logical time on the scale of the machine's monotonic clock."""
        return self.began_ns + self.now_ms * 10**6

    def rows(self) -> tuple[TaskState, ...]:
        """Return the rows of the queue; lost and buffered tasks have none."""
        return tuple([task.row() for task in self.tasks if task.present])

    def advance(self, until_ms: int) -> None:
        """Advance the time to `until_ms`, and do everything that is due on the way."""
        self.move()
        while self.now_ms < until_ms:
            self.step(until_ms)

    def step(self, until_ms: int) -> None:
        """Advance the time to the next event, to `until_ms` at most, and do what is due then."""
        self.now_ms = min(
            (t for t in self._event_times() if self.now_ms < t <= until_ms), default=until_ms
        )
        self.move()

    def move(self) -> None:
        """Finish runs, return expired leases and let idle workers claim, as due at this instant.

        Nothing happens while the database is down. Paused workers neither finish nor claim.
        """
        if not self.database_up:
            return
        for worker in list(self.workers.values()):
            if not worker.paused and worker.task is not None and worker.ends_ms <= self.now_ms:
                self._finish(worker)
        waiting = self.open_tasks()
        self._reclaim(waiting)
        for slot in sorted(self.workers):
            worker = self.workers[slot]
            if worker.task is None and not worker.paused:
                self._claim(worker, waiting)

    def holder(self, task: SimTask) -> SimWorker | None:
        """Return the worker that runs the task with its newest fence."""
        for worker in self.workers.values():
            if worker.task is task and worker.fence == task.fence:
                return worker
        return None

    def at_work(self) -> list[SimTask]:
        """Return the tasks that workers run under the newest fence; paused workers do not count."""
        return [
            worker.task
            for worker in self.workers.values()
            if worker.task is not None and not worker.paused and worker.fence == worker.task.fence
        ]

    def open_tasks(self) -> list[SimTask]:
        """Return the tasks with a row whose state is not terminal, by number."""
        # This runs after every event, so finished tasks are dropped from the list for good.
        self._unfinished = [t for t in self._unfinished if not t.status.terminal]
        return [t for t in self._unfinished if t.present]

    def add(self, task: SimTask) -> None:
        """Store a new task."""
        self.tasks.append(task)
        self.by_token[task.token] = task
        self._unfinished.append(task)

    def reopen(self, task: SimTask) -> None:
        """Set a task in a terminal state back to pending. Its attempts stay as they are."""
        task.status = TaskStatus.PENDING
        self._unfinished.append(task)
        self._unfinished.sort(key=lambda t: t.number)

    def flush_buffer(self) -> None:
        """Write the tasks in the server's memory to the queue."""
        for task in self.tasks:
            if task.buffered:
                task.present, task.buffered = True, False

    def drop_buffer(self) -> None:
        """Lose the tasks in the server's memory: their rows never appear."""
        for task in self.tasks:
            task.buffered = False

    def abandon(self, worker: SimWorker, *, graceful: bool) -> None:
        """Take the task away from a worker that ends.

        If the worker ends gracefully, is not paused and the database is up, the task is pending
        again at once and the attempt does not count. Else the lease runs out LEASE_MS from now.
        Nothing changes if the worker has no task, or another run has replaced its own.
        """
        task, worker.task = worker.task, None
        if task is None or worker.fence != task.fence or task.status is not TaskStatus.RUNNING:
            return
        if graceful and not worker.paused and self.database_up:
            self._end_run(task, None)
            task.status = TaskStatus.PENDING
            task.attempts -= 1
        elif task.lease_until_ms is None:
            task.lease_until_ms = self.now_ms + LEASE_MS

    def start_run(self, worker: SimWorker, task: SimTask) -> None:
        """Let a worker run a task: count an attempt, raise the fence, and write to the ledger."""
        self._end_run(task, None)
        task.run = len(self.ledger)
        task.status = TaskStatus.RUNNING
        task.attempts += 1
        task.fence += 1
        task.lease_until_ms = None
        worker.task, worker.fence = task, task.fence
        worker.ends_ms = self.now_ms + BASE_RUN_MS + task.duration_ms
        self.ledger.append(
            Execution(
                task_id=str(task.number),
                token=task.token,
                attempt=task.attempts,
                component=f"worker-{worker.slot}",
                pid=worker.pid,
                start_ns=self.now_ns,
            )
        )
        self.record(f"worker-{worker.slot} runs task {task.number}, attempt {task.attempts}")

    def _end_run(self, task: SimTask, result: str | None) -> None:
        """Write the end of a task's latest run into the ledger, unless it is there already."""
        if task.run is not None:
            end_ns = self.now_ns
            self.ledger[task.run] = replace(self.ledger[task.run], end_ns=end_ns, result=result)
            task.run = None

    def _event_times(self) -> list[int]:
        times = [w.ends_ms for w in self.workers.values() if w.task is not None and not w.paused]
        for task in self.open_tasks():
            if task.due_ms > self.now_ms:
                times.append(task.due_ms)
            if task.lease_until_ms is not None:
                times.append(task.lease_until_ms)
        return times

    def _finish(self, worker: SimWorker) -> None:
        task, worker.task = worker.task, None
        assert task is not None
        current = worker.fence == task.fence and task.status is TaskStatus.RUNNING
        if not task.present or not current:
            return
        task.lease_until_ms = None
        self._end_run(task, "finished" if task.attempts > task.failures else "failed")
        if task.attempts > task.failures:
            task.status = TaskStatus.COMPLETED
        elif task.attempts >= MAX_ATTEMPTS:
            task.status = TaskStatus.FAILED
        else:
            task.status = TaskStatus.RETRYING
        self.record(f"task {task.number} is {task.status.value}")

    def _reclaim(self, waiting: list[SimTask]) -> None:
        for task in waiting:
            if task.lease_until_ms is None or task.lease_until_ms > self.now_ms:
                continue
            orphaned = self.holder(task) is None
            if orphaned and self.shows(NO_RECOVERY):
                continue
            task.orphaned += orphaned
            task.status = TaskStatus.PENDING
            task.lease_until_ms = None
            if task.orphaned >= MAX_ORPHANED_RUNS and self.shows(POISON_PILL):
                task.aside = True
            # An attempt whose lease ran out does not count as an attempt of the task.
            task.attempts -= 1

    def _claim(self, worker: SimWorker, waiting: list[SimTask]) -> None:
        ready = [
            t for t in waiting if t.status in READY and t.due_ms <= self.now_ms and not t.aside
        ]
        if ready:
            task = min(ready, key=lambda t: (-t.priority, t.number))
            self.start_run(worker, task)
