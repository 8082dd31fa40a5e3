"""How many schedules a minute a lane runs, warm against cold, and where the time goes."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
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
BLOCK = 5
WARM, COLD = "warm", "cold"
PHASES = ("open", "steps", "observe and check", "close", "waits", "settle")
WAITING = ("waits", "settle")
_WARM_UP_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One schedule in one arm: seconds by phase, and whether every promise held."""

    arm: str
    number: int
    phases_s: tuple[tuple[str, float], ...]
    holds: bool

    @property
    def busy_s(self) -> float:
        """Seconds without waits and settling."""
        return sum(seconds for phase, seconds in self.phases_s if phase not in WAITING)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """All samples of one way to run schedules."""

    name: str
    schedules: int
    held: int
    lane_start_s: float
    per_minute: float
    per_minute_with_waits: float
    mean_s: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both arms over the same schedules in one run; ratios are of rates with waits excluded."""

    on: str
    steps: int
    workers: int
    warm: Arm
    cold: Arm
    ratio: float

    def document(self) -> dict[str, object]:
        """Return it as plain values of the published shape."""
        return {"schema": SCHEMA, **asdict(self)}


def compose(seed: int) -> Schedule:
    """Return a schedule of 15 steps with a server restart and a database stop among them.

    The seed decides the order, which worker suffers and how the database is stopped. Nothing
    waits long: the server is killed, as its graceful end sleeps for 100 to 200 ms.
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


class Throughput:
    """Alternates the arms every few schedules, so that both meet the same machine.

    Not after each one: in use the schedules of a lane follow one another.
    """

    def __init__(self, schedules: int, stop: StopSignal, on: str = PROCESS) -> None:
        self._on = on
        self._schedules = schedules
        self._stop = stop
        self._samples: list[Sample] = []
        self._lane_start_s: dict[str, float] = {}

    def run(self) -> Iterator[Sample]:
        """Yield every sample as it is taken.

        Raises:
            InfrastructureError: a lane cannot be started.
            Stopped: it was asked to stop; everything is closed then.

        """
        judge = InvariantJudge(Setup().chosen_invariants())
        with ExitStack() as stack:
            logs = stack.enter_context(scratch_directory("bench throughput"))
            runners = {
                arm: self._runner(arm, logs, judge, stack)
                for arm in (WARM, COLD)
                if not self._stop.is_set()
            }
            self._stop.check()
            # Caches of the interpreter and of the kernel are filled before anything counts.
            runners[WARM].run(compose(_WARM_UP_SEED))
            for block in range(0, self._schedules, BLOCK):
                numbers = range(block + 1, min(block + BLOCK, self._schedules) + 1)
                for arm in (WARM, COLD) if block % (2 * BLOCK) == 0 else (COLD, WARM):
                    for number in numbers:
                        sample = _sample(arm, number, runners[arm].run(compose(number)))
                        self._samples.append(sample)
                        yield sample

    def comparison(self) -> Comparison:
        """Sum up what was measured so far; at least one schedule in each arm."""
        warm, cold = self._arm(WARM), self._arm(COLD)
        return Comparison(
            on=self._on,
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
        # The same system in both, every component behind its proxy.
        setup = Setup(on=self._on)
        lane = setup.lane(0, logs) if arm == WARM else setup.cold_lane(0, logs)
        self._lane_start_s[arm] = monotonic() - began
        runner = ScheduleRunner(lane, judge, NoJournal(), self._stop)
        stack.callback(runner.close)
        return runner

    def _arm(self, name: str) -> Arm:
        samples = [sample for sample in self._samples if sample.arm == name]
        busy_s = sum(sample.busy_s for sample in samples)
        whole_s = sum(seconds for sample in samples for _, seconds in sample.phases_s)
        return Arm(
            name=name,
            schedules=len(samples),
            held=sum(sample.holds for sample in samples),
            lane_start_s=round(self._lane_start_s[name], 4),
            per_minute=round(60 * len(samples) / busy_s, 1),
            per_minute_with_waits=round(60 * len(samples) / whole_s, 1),
            mean_s={phase: round(_mean(samples, phase), 4) for phase in PHASES},
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


def _mean(samples: Sequence[Sample], phase: str) -> float:
    return sum(dict(sample.phases_s)[phase] for sample in samples) / len(samples)
