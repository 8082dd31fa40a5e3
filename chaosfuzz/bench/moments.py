"""How often narrow defects show: faults by the clock against faults at moments."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from chaosfuzz.actions import create_tasks, cut_connection, hold_connection, wait
from chaosfuzz.campaign.lanes import Lanes
from chaosfuzz.campaign.learning import learn_at_once
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.fault import NoJournal
from chaosfuzz.domain.moment import Alphabet, Moment
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import Runner, RunResult, TracingRunner
from chaosfuzz.targets.postgres.runtime_directory import scratch_directory

SCHEMA = "chaosfuzz.moments/1"
CLOCK, MOMENT = "clock", "moment"
# The clock's faults strike while the work is under way or soon after, as the moment's do.
AFTER_WORK_MS = 60
CUT, HOLD = cut_connection(worker=1), hold_connection(worker=1)
# As long as a short job of the field: what takes no time gives a clock little to miss.
DURATIONS_MS = (50, 100, 200)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What a defect needs besides the right time: a fault, and tasks that fail so often.

    With `held_ms` the fault lasts that long, and a second worker goes on meanwhile.
    """

    fault: Step
    failures: int = 0
    held_ms: int = 0


# Defects in windows of a millisecond or so.
NARROW: dict[str, Experiment] = {
    "commit-reply-lost-reruns": Experiment(fault=CUT),
    "cut-connection-forgets-task": Experiment(fault=CUT),
    "retry-counts-twice-on-lost-reply": Experiment(fault=CUT, failures=2),
    "claim-two-statements": Experiment(fault=HOLD, held_ms=300),
    # Longer than a lease.
    "result-written-after-lease-lost-by-late-commit": Experiment(fault=HOLD, held_ms=900),
    "transaction-left-open-after-error": Experiment(fault=HOLD, held_ms=900),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One schedule of one arm, and whether the defect showed; `missed`: its moment never came."""

    defect: str
    arm: str
    number: int
    shown: bool
    missed: bool


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How often a defect showed in each arm."""

    defect: str
    clock: int
    clock_schedules: int
    moment: int
    moment_schedules: int
    moments_never_came: int

    @property
    def ratio(self) -> float:
        """How many times as often by moment; by the clock at least one is assumed."""
        clock = max(1, self.clock) / self.clock_schedules
        return round(self.moment / self.moment_schedules / clock, 1)


def compose(experiment: Experiment, seed: int, alphabet: Alphabet | None) -> Schedule:
    """Return tasks with one fault: by the clock, or at a request of the alphabet.

    Both arms draw when and nothing else: the clock any millisecond of a task's life, the moment
    any side of any request that work brings about.
    """
    chance = random.Random(seed)
    held_ms = experiment.held_ms
    load = create_tasks(  # Enough that worker 1 has some.
        count=4 if held_ms else 1,
        duration_ms=chance.choice(DURATIONS_MS),
        failures=experiment.failures,
    )
    if alphabet is None:
        latest_ms = load["duration_ms"] + AFTER_WORK_MS
        struck = [wait(ms=chance.randint(1, latest_ms)), experiment.fault]
    else:
        moments = _moments(alphabet, failing=experiment.failures > 0)
        struck = [experiment.fault.pinned(chance.choice(moments))]
    meanwhile = (wait(ms=held_ms),) if held_ms else ()
    return Schedule(workers=2 if held_ms else 1, steps=(load, *struck, *meanwhile))


def _moments(alphabet: Alphabet, *, failing: bool) -> list[Moment]:
    return [
        Moment(event=event.event, side=side)
        for event in alphabet.of("worker")
        for side in event.sides
        if not event.background and (failing or not event.failing)
    ]


class MomentBench:
    """Runs both arms over each defect, in turns on the same lanes."""

    def __init__(
        self, defects: tuple[str, ...], schedules: int, lanes: int, stop: StopSignal
    ) -> None:
        self._defects = defects
        self._schedules = schedules
        self._lanes = lanes
        self._stop = stop
        self._samples: list[Sample] = []

    def run(self) -> Iterator[Sample]:
        """Yield every sample as it is taken.

        Raises InfrastructureError if a lane cannot be started, Stopped if it was asked to stop.
        """
        for defect in self._defects:
            for sample in self._of(defect):
                self._samples.append(sample)
                yield sample

    def shown(self) -> tuple[Shown, ...]:
        """Sum up what was measured so far, by defect."""
        counts = Counter((s.defect, s.arm) for s in self._samples)
        hits = Counter((s.defect, s.arm) for s in self._samples if s.shown)
        missed = Counter(s.defect for s in self._samples if s.missed)
        return tuple(
            Shown(
                defect=defect,
                clock=hits[defect, CLOCK],
                clock_schedules=counts[defect, CLOCK],
                moment=hits[defect, MOMENT],
                moment_schedules=counts[defect, MOMENT],
                moments_never_came=missed[defect],
            )
            for defect in dict.fromkeys(s.defect for s in self._samples)
        )

    def _of(self, defect: str) -> Iterator[Sample]:
        experiment = NARROW[defect]
        setup = Setup(defects=(defect,))
        with (
            scratch_directory("bench moments") as logs,
            Lanes(setup, self._lanes, logs, NoJournal(), self._stop) as lanes,
        ):
            first = lanes.first
            if not isinstance(first, TracingRunner):
                raise InfrastructureError(
                    cause="the target has no moments, so their cost cannot be measured",
                    remedy="run the benchmark on a target with a wire, such as reference",
                )
            alphabet = learn_at_once(first, Setup().description)

            def take(runner: Runner, work: tuple[str, int]) -> Sample:
                arm, number = work
                drawn_from = None if arm == CLOCK else alphabet
                result = runner.run(compose(experiment, number, drawn_from))
                return _sample(defect, arm, number, result)

            numbers = range(1, self._schedules + 1)
            work = [(arm, number) for number in numbers for arm in (CLOCK, MOMENT)]
            yield from lanes.map(take, work)


def document(shown: tuple[Shown, ...]) -> dict[str, object]:
    """Return the measurement as plain values of the published shape."""
    return {"schema": SCHEMA, "defects": [{**asdict(s), "ratio": s.ratio} for s in shown]}


def _sample(defect: str, arm: str, number: int, result: RunResult) -> Sample:
    return Sample(
        defect=defect,
        arm=arm,
        number=number,
        shown=result.failure is not None,
        missed=bool(result.missed),
    )
