"""Runs schedules against the simulated queue, with a chosen probability of failing."""

import random
import time

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Verdict
from chaosfuzz.targets.simulated.defects import NO_RECOVERY, POISON_PILL, SIGNATURES, SPURIOUS
from chaosfuzz.targets.simulated.entities import SimWorker
from chaosfuzz.targets.simulated.flakiness import RELIABLE, Flakiness
from chaosfuzz.targets.simulated.steps import ViolationError, kill, perform, start_database
from chaosfuzz.targets.simulated.world import World

SETTLE_MS = 30_000
FAULTS = frozenset({"kill", "pause", "scale", "stop", "terminate"})


class SimulatedRunner:
    """Implements Runner; the same seed and the same runs give the same results.

    The first run that reaches a defect shows it; `flakiness` says how often later ones do.

    Raises UsageError for a defect that does not exist.
    """

    def __init__(
        self, defects: tuple[str, ...] = (), *, flakiness: Flakiness = RELIABLE, seed: int = 0
    ) -> None:
        self.defects = frozenset(defects)
        for name in sorted(self.defects - SIGNATURES.keys()):
            raise UsageError(
                cause=f"unknown defect {name!r}", remedy=f"choose among: {', '.join(SIGNATURES)}"
            )
        self.flakiness = flakiness
        self.runs = 0
        self._random = random.Random(seed)
        self._shown: set[str] = set()

    def run(self, schedule: Schedule) -> RunResult:
        """Run and judge one schedule in logical time."""
        began = time.monotonic()
        world = self._world(schedule)
        self.runs += 1
        spurious = self._spurious_step(len(schedule.steps))
        states: set[str] = set()
        failure: Failure | None = None
        step_index: int | None = None
        steps_run = 0
        try:
            for step_index, step in enumerate(schedule.steps):
                steps_run = step_index + 1
                world.tell(str(step))
                perform(world, step)
                states.add(_state(world))
                if step_index == spurious:
                    failure = _spurious_failure(step_index)
                    break
            else:
                step_index = None
                _heal_and_settle(world, schedule.workers)
                states.add(_state(world))
        except ViolationError as seen:
            failure = Failure(
                signature=seen.failure.signature,
                message=seen.failure.message,
                tasks=seen.failure.tasks,
                step=step_index,
            )
        return RunResult(
            schedule=schedule,
            verdict=Verdict.HOLDS if failure is None else Verdict.VIOLATED,
            failure=failure,
            steps_run=steps_run,
            duration_s=time.monotonic() - began,
            waited_s=0.0,
            states_seen=frozenset(states),
            faults=sum(s.action.split("_")[0] in FAULTS for s in schedule.steps[:steps_run]),
            story=(*world.story, *(() if failure is None else (failure.message,))),
        )

    def close(self) -> None:
        """Nothing is held."""

    def _world(self, schedule: Schedule) -> World:
        decided: dict[str, bool] = {}
        rate = self.flakiness.rate_of(run=self.runs, steps=len(schedule.steps))

        def shows(defect: str) -> bool:
            if defect not in self.defects:
                return False
            if defect not in decided:
                # A hit is decided once per run: a race is lost or won as a whole.
                decided[defect] = defect not in self._shown or self._random.random() < rate
                self._shown.add(defect)
            return decided[defect]

        slots = range(1, schedule.workers + 1)
        return World(shows=shows, workers={slot: SimWorker(slot=slot) for slot in slots})

    def _spurious_step(self, steps: int) -> int | None:
        share = self.flakiness.spurious_rate
        if not steps or not share or self._random.random() >= share:
            return None
        return self._random.randrange(steps)


def _spurious_failure(step: int) -> Failure:
    return Failure(signature=SPURIOUS, message="worker-1 exited by itself", tasks=(), step=step)


def _heal_and_settle(world: World, workers: int) -> None:
    """Heal, then wait until the work is done; frozen workers end well and are replaced."""
    world.tell("healing")
    world.server_up = True
    start_database(world)
    for worker in [w for w in world.workers.values() if w.paused]:
        worker.paused = False
        kill(world, worker, graceful=True)
    for slot in range(1, max(1, workers) + 1):
        world.workers.setdefault(slot, SimWorker(slot=slot))
    world.run_dry()
    stuck = world.open_tasks()
    if stuck:
        defect = POISON_PILL if stuck[0].aside else NO_RECOVERY
        message = f"task {stuck[0].number} is still {stuck[0].status.value} at the end"
        raise ViolationError(defect, message, tuple(t.number for t in stuck))


def _state(world: World) -> str:
    statuses = ",".join(sorted(f"{t.status.value}x{t.attempts}" for t in world.tasks if t.present))
    paused = sum(w.paused for w in world.workers.values())
    database = "up" if world.database_up else "down"
    return f"{statuses}|{len(world.workers)}|{paused}|{database}"
