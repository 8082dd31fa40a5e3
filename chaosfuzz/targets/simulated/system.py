"""The simulated queue as a system that the run loop drives, in logical time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.history import Health, Observation, ProcessExit
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.task import Execution, TaskRequest, TaskStatus
from chaosfuzz.domain.verdict import Failure, Verdict
from chaosfuzz.targets.simulated.defects import (
    BUFFERED_CREATE,
    DOUBLE_AFTER_SCALE,
    DOUBLE_CREATE,
    LOST_ON_OUTAGE,
    NO_RECOVERY,
    POISON_PILL,
    RETRY_WITHOUT_RESET,
    SIGNATURES,
    STALE_RESULT,
)
from chaosfuzz.targets.simulated.entities import MAX_ATTEMPTS, SimTask, SimWorker
from chaosfuzz.targets.simulated.world import LEASE_MS, World

# Chosen by hand, in logical milliseconds, as all figures here.
SETTLE_MS = 30_000
# Each request or fault takes this time.
STEP_MS = 10
# A row that was committed without waiting for the disk is on the disk after this time.
FLUSH_MS = 100
CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=LEASE_MS,
    recovery_ms=SETTLE_MS,
    acknowledgement_grace_ms=STEP_MS,
    request_timeout_ms=STEP_MS,
    health_ms=STEP_MS,
    max_attempts=MAX_ATTEMPTS,
)
_SERVER = "server-1"
_HOLDS = Judgement(verdict=Verdict.HOLDS)
_NOT_SENT = Reply(reception=Reception.NEVER_SENT)


class SimulatedClock:
    """The logical time of a simulated system (implements Clock). Waiting takes no real time."""

    def __init__(self, system: "SimulatedSystem") -> None:
        self._system = system

    def now_ns(self) -> int:
        """Return the logical time in nanoseconds."""
        return self._system.world.now_ns

    def pause(self, at_most_ns: int) -> None:
        """Advance by the time that steps not yet accounted for took, else to the next event.

        An advance to the next event is `at_most_ns` at most, rounded up to a millisecond.
        """
        if not self._system.take_effect():
            world = self._system.world
            world.step(world.now_ms + -(-at_most_ns // 10**6))


class SimulatedSystem:
    """One queue with its workers, server and database.

    Implements System and Simulated, and the abilities to take, cancel and retry tasks, to lose
    its database, and to have components killed and workers paused.
    """

    contract = CONTRACT

    def __init__(self, workers: int, shows: Callable[[str], bool]) -> None:
        """Start `workers` workers; `shows(defect)` says whether a defect takes effect."""
        self.world = World(shows=shows, began_ns=time.monotonic_ns())
        self.clock = SimulatedClock(self)
        self._has_acted = False
        self._exits: list[ProcessExit] = []
        self._failure: Failure | None = None
        self._step: Step | None = None
        for slot in range(1, workers + 1):
            self.world.workers[slot] = SimWorker(slot=slot)

    def observe(self, *, ask_health: bool, count_sessions: bool = False) -> Observation:
        """Let the latest requests and faults take effect, then read the queue.

        `tasks` is None while the database is down. Health is always well if asked for, and
        sessions are never counted.
        """
        self.take_effect()
        world = self.world
        return Observation(
            at_ns=world.now_ns,
            tasks=world.rows() if world.database_up else None,
            health=Health.WELL if ask_health else Health.UNASKED,
            components_up=(*([_SERVER] if world.server_up else []), *self.worker_names()),
        )

    def take_effect(self) -> bool:
        """Advance STEP_MS if requests or faults came since the last call; say whether any did."""
        if not self._has_acted:
            return False
        self._has_acted = False
        self.world.advance(self.world.now_ms + STEP_MS)
        return True

    def executions(self) -> Sequence[Execution]:
        """Return the ledger: every execution so far, oldest first."""
        return self.world.ledger

    def exits(self) -> Sequence[ProcessExit]:
        """Return the exits of workers since the last call."""
        exits, self._exits = self._exits, []
        return exits

    def worker_names(self) -> Sequence[str]:
        """Return the workers that run, paused ones too, in the order of their slots."""
        return [f"worker-{slot}" for slot in sorted(self.world.workers)]

    def close(self) -> None:
        """Do nothing: the system holds no resources."""

    def announce(self, step: Step | None) -> None:
        """Note the step that comes next; None says that the loop heals every fault now."""
        self._step = step
        self.world.record("healing" if step is None else step)

    def judge_itself(self, step: int | None, *, final: bool) -> Judgement:
        """Return the first broken promise as a violation at `step`, else that every promise holds.

        In the `final` check a task in no terminal state is a broken promise too.
        """
        stuck = self.world.open_tasks() if final else []
        if stuck:
            defect = POISON_PILL if stuck[0].aside else NO_RECOVERY
            message = f"task {stuck[0].number} is still {stuck[0].status.value} at the end"
            self._note(defect, message, *(task.number for task in stuck))
        if self._failure is None:
            return _HOLDS
        return Judgement(verdict=Verdict.VIOLATED, failures=(replace(self._failure, step=step),))

    def story(self) -> Sequence[str]:
        """Return one line for each event of the world, then the message of the failure, if any."""
        return (*self.world.story(), *([self._failure.message] if self._failure else []))

    def create(self, request: TaskRequest, due_ns: int) -> Reply:
        """Store a task and answer 200 with its id; a known token gets the id of its task again.

        Answers 503 while the database is down. While the server is down nothing is sent.
        """
        self._has_acted = True
        world = self.world
        if not world.server_up:
            return _NOT_SENT
        known = world.by_token.get(request.token)
        if known is not None:
            if world.server_restarted and world.shows(DOUBLE_CREATE):
                message = f"task {known.number} has two rows for one key"
                self._note(DOUBLE_CREATE, message, known.number)
            return _answer(200, known)
        is_buffered = not world.database_up
        if is_buffered and not world.shows(BUFFERED_CREATE):
            return _answer(503)
        task = SimTask(
            number=request.number,
            token=request.token,
            duration_ms=request.duration_ms,
            priority=request.priority,
            due_ms=world.now_ms + request.delay_ms,
            failures=request.failures,
            created_ms=world.now_ms,
            present=not is_buffered,
            buffered=is_buffered,
            durable=not world.server_restarted,
        )
        world.add(task)
        world.record(f"task {task.number} is created")
        return _answer(200, task)

    def cancel(self, task_id: str, user: int) -> Reply:
        """Cancel a task: 200, or 409 if its state is terminal, else as `create` answers."""
        task, refusal = self._find(task_id)
        if task is None or task.status.terminal:
            return refusal
        task.status = TaskStatus.CANCELLED
        task.fence += 1
        return _answer(200, task)

    def retry(self, task_id: str, user: int) -> Reply:
        """Queue a dead letter again with its attempts set to 0: 200, or 409 for another state."""
        task, refusal = self._find(task_id)
        if task is None or task.status is not TaskStatus.FAILED:
            return refusal
        self.world.reopen(task)
        if task.attempts >= MAX_ATTEMPTS and self.world.shows(RETRY_WITHOUT_RESET):
            message = f"task {task.number} is retried with all its attempts used up"
            self._note(RETRY_WITHOUT_RESET, message, task.number)
        else:
            task.attempts = 0
        return _answer(200, task)

    def kill(self, component: str, *, graceful: bool) -> bool:
        """End a component; return False if it did not run.

        A worker that ends gracefully returns its task to the queue. The exit of a worker is
        recorded as ordered. A server loses the tasks in its memory.
        """
        self._has_acted = True
        if component == _SERVER:
            was_up, self.world.server_up = self.world.server_up, False
            self.world.drop_buffer()
            return was_up
        worker = self.world.workers.pop(_slot(component), None)
        if worker is None:
            return False
        self.world.abandon(worker, graceful=graceful)
        self.world.record(f"{component} is gone")
        code = 0 if graceful else -9
        self._exits.append(
            ProcessExit(component=component, pid=worker.pid, exit_code=code, ordered=True)
        )
        return True

    def start(self, component: str) -> bool:
        """Start a component; return False if it ran already."""
        self._has_acted = True
        world = self.world
        if component == _SERVER:
            was_down = not world.server_up
            world.server_restarted |= was_down
            world.server_up = True
            return was_down
        slot = _slot(component)
        if slot in world.workers:
            return False
        running = world.at_work()
        world.workers[slot] = SimWorker(slot=slot)
        is_added = self._step is not None and self._step.action == "scale_workers"
        if is_added and running and world.database_up and world.shows(DOUBLE_AFTER_SCALE):
            number = running[0].number
            message = f"{component} runs task {number} while another runs it"
            self._note(DOUBLE_AFTER_SCALE, message, number)
        return True

    def pause(self, component: str) -> bool:
        """Pause a worker: it stops renewing its lease. Return False if it is not running."""
        self._has_acted = True
        worker = self.world.workers.get(_slot(component))
        if worker is None or worker.paused:
            return False
        worker.paused = True
        if worker.task is not None and worker.fence == worker.task.fence:
            worker.task.lease_until_ms = self.world.now_ms + LEASE_MS
        return True

    def resume(self, component: str) -> bool:
        """Let a paused worker go on; return False if it was not paused.

        The worker renews its lease again if no other run has replaced its own.
        """
        self._has_acted = True
        world = self.world
        worker = world.workers.get(_slot(component))
        if worker is None or not worker.paused:
            return False
        worker.paused = False
        task = worker.task
        if task is None:
            return True
        if worker.fence == task.fence:
            task.lease_until_ms = None
            return True
        if self._step is None:
            # During healing a resumed worker discards its old run without completing it.
            return True
        is_replaced = task.present and world.database_up and world.holder(task) is not None
        if is_replaced and worker.ends_ms <= world.now_ms and world.shows(STALE_RESULT):
            message = f"{component} completed task {task.number} while another ran it"
            self._note(STALE_RESULT, message, task.number)
        return True

    def terminate_backend(self, component: str, session: int) -> bool:
        """Return whether the worker runs. Ending its sessions has no effect on it."""
        self._has_acted = True
        return _slot(component) in self.world.workers

    def stop_database(self, mode: str) -> bool:
        """Stop the database; return False if it was down.

        With the mode `kill` and the defect lost-on-outage, rows not yet on the disk are lost.
        """
        self._has_acted = True
        world = self.world
        was_up, world.database_up = world.database_up, False
        if not (was_up and mode == "kill"):
            return was_up
        fresh = [
            task
            for task in world.tasks
            if task.present and not task.durable and world.now_ms - task.created_ms < FLUSH_MS
        ]
        if fresh and world.shows(LOST_ON_OUTAGE):
            for task in fresh:
                task.present = False
            world.record(f"{counted(len(fresh), 'row')} not yet on the disk: lost")
        return True

    def start_database(self) -> bool:
        """Start the database; return False if it was up. Record acknowledged tasks without a row.

        Buffered tasks are written first.
        """
        self._has_acted = True
        world = self.world
        was_down, world.database_up = not world.database_up, True
        world.flush_buffer()
        lost = [task for task in world.tasks if not task.present]
        if lost:
            defect = BUFFERED_CREATE if lost[0].durable else LOST_ON_OUTAGE
            message = f"task {lost[0].number} was acknowledged and is gone after the outage"
            self._note(defect, message, *(task.number for task in lost))
        return was_down

    def _find(self, task_id: str) -> tuple[SimTask | None, Reply]:
        """Return the task, None if it cannot be found, and the answer for a refused operation."""
        self._has_acted = True
        world = self.world
        if not world.server_up:
            return None, _NOT_SENT
        if not world.database_up:
            return None, _answer(503)
        found = next((t for t in world.tasks if str(t.number) == task_id and t.present), None)
        return found, _answer(404 if found is None else 409)

    def _note(self, defect: str, message: str, *tasks: int) -> None:
        """Record a broken promise; only the first of a run is kept."""
        if self._failure is None:
            self._failure = Failure(
                signature=SIGNATURES[defect], message=message, tasks=tasks, step=None
            )


class SimulatedLane:
    """Opens one system after another (implements Lane)."""

    def __init__(
        self, defects: Sequence[str] = (), shows: Callable[[str], bool] | None = None
    ) -> None:
        """Switch defects on; raises UsageError for one that does not exist.

        `shows(defect)` says whether a defect that is on takes effect when a run reaches it; by
        default it always does.
        """
        for name in sorted(set(defects) - SIGNATURES.keys()):
            raise UsageError(
                cause=f"unknown defect {name!r}", remedy=f"choose among: {', '.join(SIGNATURES)}"
            )
        self._shows = shows or frozenset(defects).__contains__

    def open(self, workers: int) -> SimulatedSystem:
        """Return a fresh system with `workers` workers."""
        return SimulatedSystem(workers, self._shows)

    def close(self) -> None:
        """Do nothing: the lane holds no resources."""


def _slot(component: str) -> int:
    return int(component.removeprefix("worker-"))


def _answer(status: int, task: SimTask | None = None) -> Reply:
    identity = None if task is None else str(task.number)
    return Reply(reception=Reception.ANSWERED, status=status, task_id=identity)
