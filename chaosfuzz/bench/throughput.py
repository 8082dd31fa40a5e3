"""Measures how many schedules a minute a lane runs, and the time of each phase.

A warm lane keeps its PostgreSQL cluster for all schedules; a cold lane starts one for each.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from time import monotonic

from chaosfuzz.actions import (
    create_tasks,
    kill_server,
    kill_worker,
    pause_worker,
    resume_worker,
    start_database,
    start_server,
    start_worker,
    stop_database,
    terminate_backend,
    wait_idle,
)
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.checking import InvariantJudge
from chaosfuzz.domain.case import PROCESS
from chaosfuzz.domain.fault import NoJournal
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.targets.postgres.runtime_directory import scratch_directory

SCHEMA = "chaosfuzz.throughput/1"
WORKERS = 2
# Schedules that an arm runs in a row, chosen by hand.
BLOCK = 5
WARM, COLD = "warm", "cold"
PHASES = ("open", "steps", "observe and check", "close", "waits", "settle")
WAITING = ("waits", "settle")
_WARM_UP_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A schedule that was run: the seconds of each phase, and whether every invariant held.

    `arm` is WARM or COLD, `number` the schedule's seed.
    """

    arm: str
    number: int
    phases_s: tuple[tuple[str, float], ...]
    holds: bool

    @property
    def busy_s(self) -> float:
        """Seconds of all phases except waits and settling."""
        return sum(seconds for phase, seconds in self.phases_s if phase not in WAITING)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Means over the samples of an arm.

    `held` counts the schedules without a violation. `per_minute` leaves waits and settling out.
    """

    name: str
    schedules: int
    held: int
    lane_start_s: float
    per_minute: float
    per_minute_with_waits: float
    mean_s: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both arms over the same schedules. `ratio` is warm.per_minute / cold.per_minute."""

    on: str
    steps: int
    workers: int
    warm: Arm
    cold: Arm
    ratio: float

    def document(self) -> dict[str, object]:
        """Return the comparison as JSON values in the form of SCHEMA."""
        return {"schema": SCHEMA, **asdict(self)}


def compose(seed: int) -> Schedule:
    """Return a schedule of 15 steps with a server restart and a database stop among them.

    The seed draws the order, the worker of each fault and the mode of the database stop. The server
    is killed because its graceful shutdown sleeps for 100 to 200 ms.
    """
    chance = random.Random(seed)
    killed, paused, cut = (chance.randint(1, WORKERS) for _ in range(3))
    blocks: list[list[Step]] = [
        [kill_server(), start_server()],
        [stop_database(mode=chance.randrange(3)), start_database()],
        [kill_worker(worker=killed), start_worker(worker=killed)],
        [pause_worker(worker=paused), resume_worker(worker=paused)],
        [terminate_backend(worker=cut)],
        [create_tasks(count=1, duration_ms=10)],
        [create_tasks(count=1, lost_reply=1)],
        [create_tasks(count=2)],
        [create_tasks(count=1)],
        [wait_idle()],
    ]
    chance.shuffle(blocks)
    first = create_tasks(count=2)
    return Schedule(workers=WORKERS, steps=(first, *(step for block in blocks for step in block)))


@dataclass
class Throughput:
    """Runs the same schedules in both arms, which alternate after every BLOCK schedules.

    Alternating exposes both arms to the same load of the machine. Blocks keep several schedules of
    a lane in a row, as in use. `on` is the place of the components (processes or containers).
    """

    schedules: int
    stop: StopSignal
    on: str = PROCESS
    samples: list[Sample] = field(default_factory=list, init=False)
    lane_start_s: dict[str, float] = field(default_factory=dict, init=False)

    def run(self) -> Iterator[Sample]:
        """Yield each sample at once. Both lanes are closed at the end.

        Raises InfrastructureError if a lane cannot be started, and Stopped if the stop signal was
        set.
        """
        judge = InvariantJudge(Setup().chosen_invariants())
        with ExitStack() as stack:
            logs = stack.enter_context(scratch_directory("bench throughput"))
            runners = {
                arm: self._runner(arm, logs, judge, stack)
                for arm in (WARM, COLD)
                if not self.stop.is_set()
            }
            self.stop.check()
            # The first schedule fills the caches of interpreter and kernel. It is not counted.
            runners[WARM].run(compose(_WARM_UP_SEED))
            for block in range(0, self.schedules, BLOCK):
                numbers = range(block + 1, min(block + BLOCK, self.schedules) + 1)
                for arm in (WARM, COLD) if block % (2 * BLOCK) == 0 else (COLD, WARM):
                    for number in numbers:
                        sample = _sample(arm, number, runners[arm].run(compose(number)))
                        self.samples.append(sample)
                        yield sample

    def comparison(self) -> Comparison:
        """Return the means so far. Each arm needs at least one sample."""
        warm, cold = self._arm(WARM), self._arm(COLD)
        return Comparison(
            on=self.on,
            steps=len(compose(_WARM_UP_SEED).steps),
            workers=WORKERS,
            warm=warm,
            cold=cold,
            ratio=round(warm.per_minute / cold.per_minute, 2),
        )

    def _runner(
        self, arm: str, logs: Path, judge: InvariantJudge, stack: ExitStack
    ) -> ScheduleRunner:
        began = monotonic()
        # Both arms run the same system, with every component behind the proxy.
        setup = Setup(on=self.on)
        lane = setup.lane(0, logs) if arm == WARM else setup.cold_lane(0, logs)
        self.lane_start_s[arm] = monotonic() - began
        runner = ScheduleRunner(lane, judge, NoJournal(), self.stop)
        stack.callback(runner.close)
        return runner

    def _arm(self, name: str) -> Arm:
        samples = [sample for sample in self.samples if sample.arm == name]
        busy_s = sum(sample.busy_s for sample in samples)
        whole_s = sum(seconds for sample in samples for _, seconds in sample.phases_s)
        return Arm(
            name=name,
            schedules=len(samples),
            held=sum(sample.holds for sample in samples),
            lane_start_s=round(self.lane_start_s[name], 4),
            per_minute=round(60 * len(samples) / busy_s, 1),
            per_minute_with_waits=round(60 * len(samples) / whole_s, 1),
            mean_s={
                phase: round(fmean(dict(sample.phases_s)[phase] for sample in samples), 4)
                for phase in PHASES
            },
        )


def _sample(arm: str, number: int, result: RunResult) -> Sample:
    phases = dict(result.phases_s)
    phases["observe and check"] = result.duration_s - sum(phases.values())
    return Sample(
        arm=arm,
        number=number,
        phases_s=tuple((name, phases[name]) for name in PHASES),
        holds=result.verdict is Verdict.HOLDS,
    )
