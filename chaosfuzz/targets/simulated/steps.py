"""What each action of the catalogue does to the simulated world."""

from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.domain.verdict import Failure
from chaosfuzz.targets.simulated.defects import (
    BUFFERED_CREATE,
    DOUBLE_AFTER_SCALE,
    DOUBLE_CREATE,
    LOST_ON_OUTAGE,
    RETRY_WITHOUT_RESET,
    SIGNATURES,
    STALE_RESULT,
)
from chaosfuzz.targets.simulated.entities import SimTask, SimWorker
from chaosfuzz.targets.simulated.world import LEASE_MS, MAX_ATTEMPTS, World

STEP_MS = 10
FLUSH_MS = 100


class ViolationError(Exception):
    """Raised where the world sees a promise broken."""

    def __init__(self, defect: str, message: str, tasks: tuple[int, ...]) -> None:
        super().__init__(message)
        self.failure = Failure(
            signature=SIGNATURES[defect], message=message, tasks=tasks, step=None
        )


def perform(world: World, step: Step) -> None:
    """Do one step; raises ViolationError if it breaks a promise. Impossible steps do nothing."""
    name = step.action
    if name.startswith("wait"):
        _wait(world, step)
        return
    if name == "create_tasks":
        _create(world, step)
    elif name in {"cancel_task", "retry_task"}:
        _operate(world, step)
    elif name == "scale_workers":
        _scale(world, step["workers"])
    elif "worker" in name:
        _worker(world, name, step["worker"], graceful=name == "kill_worker" and step["signal"] == 1)
    elif name == "stop_database":
        world.database_up, was_up = False, world.database_up
        if was_up:
            _lose_unflushed(world, killed=step["mode"] == 2)
    elif name == "start_database":
        start_database(world)
    elif name in {"stop_server", "kill_server", "restart_server"}:
        world.server_restarted |= world.server_up and name == "restart_server"
        world.server_up &= name == "restart_server"
        world.drop_buffer()
    elif name == "start_server":
        world.server_restarted |= not world.server_up
        world.server_up = True
    world.advance(world.now_ms + STEP_MS)


def start_database(world: World) -> None:
    """Start the database; whoever looks then sees which acknowledged tasks are gone."""
    world.database_up = True
    world.flush_buffer()
    lost = [t for t in world.tasks if t.acknowledged and not t.present]
    if lost:
        defect = LOST_ON_OUTAGE if lost[0].durable is False else BUFFERED_CREATE
        message = f"task {lost[0].number} was acknowledged and is gone after the outage"
        raise ViolationError(defect, message, tuple(t.number for t in lost))


def _create(world: World, step: Step) -> None:
    stored = world.server_up and world.database_up
    buffered = world.server_up and not world.database_up and world.shows(BUFFERED_CREATE)
    accepted = stored or buffered
    for _ in range(step["count"]):
        task = SimTask(
            number=len(world.tasks) + 1,
            duration_ms=step["duration_ms"],
            priority=step["priority"],
            due_ms=world.now_ms + step["delay_ms"],
            failures=step["failures"],
            created_ms=world.now_ms,
            acknowledged=accepted,
            present=stored,
            buffered=buffered,
            durable=not world.server_restarted,
        )
        world.add(task)
    if not accepted:
        return
    world.tell(f"{step['count']} task(s) created")
    if step["lost_reply"] and world.server_restarted and world.shows(DOUBLE_CREATE):
        number = len(world.tasks)
        raise ViolationError(DOUBLE_CREATE, f"task {number} has two rows for one key", (number,))


def _operate(world: World, step: Step) -> None:
    if not (world.server_up and world.database_up) or step["task"] > len(world.tasks):
        return
    task = world.tasks[step["task"] - 1]
    if step.action == "cancel_task" and task.present and not task.status.terminal:
        task.status = TaskStatus.CANCELLED
        task.fence += 1
    elif step.action == "retry_task" and task.present and task.status is TaskStatus.FAILED:
        world.reopen(task)
        if task.attempts >= MAX_ATTEMPTS and world.shows(RETRY_WITHOUT_RESET):
            message = f"task {task.number} is retried with all its attempts used up"
            raise ViolationError(RETRY_WITHOUT_RESET, message, (task.number,))
        task.attempts = 0


def _worker(world: World, name: str, slot: int, *, graceful: bool) -> None:
    worker = world.workers.get(slot)
    if worker is None:
        if name == "start_worker":
            world.workers[slot] = SimWorker(slot=slot)
    elif name == "kill_worker":
        kill(world, worker, graceful=graceful)
    elif name == "restart_worker":
        kill(world, worker, graceful=True)
        world.workers[slot] = SimWorker(slot=slot)
    elif name == "pause_worker" and not worker.paused:
        worker.paused = True
        if worker.task is not None and worker.fence == worker.task.fence:
            worker.task.lease_until_ms = world.now_ms + LEASE_MS
    elif name == "resume_worker" and worker.paused:
        _resume(world, worker)


def kill(world: World, worker: SimWorker, *, graceful: bool) -> None:
    """End a worker."""
    del world.workers[worker.slot]
    world.abandon(worker, graceful=graceful)
    world.tell(f"worker-{worker.slot} is gone")


def _resume(world: World, worker: SimWorker) -> None:
    worker.paused = False
    task = worker.task
    if task is None:
        return
    if worker.fence == task.fence:
        task.lease_until_ms = None
        return
    replaced = task.present and world.database_up and world.holder(task) is not None
    if replaced and worker.ends_ms <= world.now_ms and world.shows(STALE_RESULT):
        message = f"worker-{worker.slot} completed task {task.number} while another ran it"
        raise ViolationError(STALE_RESULT, message, (task.number,))


def _scale(world: World, wanted: int) -> None:
    for slot in [s for s in world.workers if s > wanted]:
        kill(world, world.workers[slot], graceful=True)
    added = [s for s in range(1, wanted + 1) if s not in world.workers]
    running = [
        w.task
        for w in world.workers.values()
        if w.task is not None and not w.paused and w.fence == w.task.fence
    ]
    for slot in added:
        world.workers[slot] = SimWorker(slot=slot)
    if added and running and world.database_up and world.shows(DOUBLE_AFTER_SCALE):
        number = running[0].number
        message = f"worker-{added[0]} runs task {number} while another runs it"
        raise ViolationError(DOUBLE_AFTER_SCALE, message, (number,))


def _lose_unflushed(world: World, *, killed: bool) -> None:
    fresh = [
        t
        for t in world.tasks
        if t.present and not t.durable and world.now_ms - t.created_ms < FLUSH_MS
    ]
    if killed and fresh and world.shows(LOST_ON_OUTAGE):
        for task in fresh:
            task.present = False
        world.tell(f"{len(fresh)} task(s) were not on disk yet")


def _wait(world: World, step: Step) -> None:
    if step.action == "wait":
        world.advance(world.now_ms + step["ms"])
    elif step.action == "wait_lease":
        known = world.takeovers
        if any(t.status is TaskStatus.RUNNING for t in world.open_tasks()):
            world.advance(world.now_ms + LEASE_MS * 3 // 2, lambda: world.takeovers > known)
    elif world.database_up and world.workers:
        world.run_dry()
