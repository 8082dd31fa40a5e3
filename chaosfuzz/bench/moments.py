"""Measures how often defects with a narrow window show.

A fault strikes by the clock (at a random millisecond) or at a moment (a request on the wire).
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from chaosfuzz.actions import create_tasks, cut_connection, hold_connection, wait
from chaosfuzz.campaign.lanes import Lanes
from chaosfuzz.campaign.learning import learn_at_once
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.fault import NoJournal
from chaosfuzz.domain.moment import Alphabet, Moment
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import Runner, TracingRunner
from chaosfuzz.targets.postgres.runtime_directory import scratch_directory

SCHEMA = "chaosfuzz.moments/1"
CLOCK, MOMENT = "clock", "moment"
# Faults by the clock strike from the creation of a task until so long after its work, since the
# requests at its end come soon after its work. Chosen by hand.
AFTER_WORK_MS = 60
CUT, HOLD = cut_connection(worker=1), hold_connection(worker=1)
# Work of a short job in practice, chosen by hand. A shorter task would help the clock, which could
# then miss the window of a defect by a few milliseconds only.
DURATIONS_MS = (50, 100, 200)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The schedule that shows a defect, except for the time of its fault.

    Each task fails in its first `failures` attempts. With `held_ms` the fault lasts for so many
    milliseconds, while a second worker goes on.
    """

    fault: Step
    failures: int = 0
    held_ms: int = 0


# Defects whose window is about a millisecond.
NARROW: dict[str, Experiment] = {
    "commit-reply-lost-reruns": Experiment(fault=CUT),
    "cut-connection-forgets-task": Experiment(fault=CUT),
    "retry-counts-twice-on-lost-reply": Experiment(fault=CUT, failures=2),
    "claim-two-statements": Experiment(fault=HOLD, held_ms=300),
    # Longer than the lease of 600 ms.
    "result-written-after-lease-lost-by-late-commit": Experiment(fault=HOLD, held_ms=900),
    "transaction-left-open-after-error": Experiment(fault=HOLD, held_ms=900),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A schedule that was run, and whether the defect showed.

    `arm` is CLOCK or MOMENT, `number` the schedule's seed. `missed`: its moment never came.
    """

    defect: str
    arm: str
    number: int
    shown: bool
    missed: bool


@dataclass(frozen=True, kw_only=True)
class DefectCounts:
    """In how many schedules of each arm a defect showed."""

    defect: str
    clock: int
    clock_schedules: int
    moment: int
    moment_schedules: int
    moments_never_came: int

    @property
    def ratio(self) -> float:
        """The rate by moment divided by the rate by clock, which counts at least one schedule."""
        clock = max(1, self.clock) / self.clock_schedules
        return round(self.moment / self.moment_schedules / clock, 1)


def compose(experiment: Experiment, seed: int, alphabet: Alphabet | None) -> Schedule:
    """Return a schedule with one fault, whose time `seed` draws.

    Without an alphabet the fault strikes by the clock, at any millisecond of a task's life. With an
    alphabet it strikes before or after any request of a worker that is not background.
    """
    chance = random.Random(seed)
    held_ms = experiment.held_ms
    load = create_tasks(  # With two workers, enough tasks that worker 1 takes some.
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


@dataclass
class MomentBench:
    """Runs both arms for each defect, alternating between them on the same lanes."""

    defects: tuple[str, ...]
    schedules: int
    lanes: int
    stop: StopSignal
    samples: list[Sample] = field(default_factory=list, init=False)

    def run(self) -> Iterator[Sample]:
        """Yield each sample at once.

        Raises InfrastructureError if a lane cannot be started, and Stopped if the stop signal was
        set.
        """
        for defect in self.defects:
            for sample in self._samples_of(defect):
                self.samples.append(sample)
                yield sample

    def counts(self) -> tuple[DefectCounts, ...]:
        """Return the counts so far, one for each defect that has a sample."""
        schedules = Counter((s.defect, s.arm) for s in self.samples)
        hits = Counter((s.defect, s.arm) for s in self.samples if s.shown)
        missed = Counter(s.defect for s in self.samples if s.missed)
        return tuple(
            DefectCounts(
                defect=defect,
                clock=hits[defect, CLOCK],
                clock_schedules=schedules[defect, CLOCK],
                moment=hits[defect, MOMENT],
                moment_schedules=schedules[defect, MOMENT],
                moments_never_came=missed[defect],
            )
            for defect in dict.fromkeys(s.defect for s in self.samples)
        )

    def _samples_of(self, defect: str) -> Iterator[Sample]:
        experiment = NARROW[defect]
        setup = Setup(defects=(defect,))
        with (
            scratch_directory("bench moments") as logs,
            Lanes(setup, self.lanes, logs, NoJournal(), self.stop) as lanes,
        ):
            first = lanes.first
            if not isinstance(first, TracingRunner):
                raise InfrastructureError(
                    cause="the default target has no proxy, so no fault can strike at a moment",
                    remedy="report this as a fault of chaosfuzz",
                )
            alphabet = learn_at_once(first, Setup().description)

            def take(runner: Runner, work: tuple[str, int]) -> Sample:
                arm, number = work
                drawn_from = None if arm == CLOCK else alphabet
                result = runner.run(compose(experiment, number, drawn_from))
                return Sample(
                    defect=defect,
                    arm=arm,
                    number=number,
                    shown=result.failure is not None,
                    missed=bool(result.missed),
                )

            numbers = range(1, self.schedules + 1)
            work = [(arm, number) for number in numbers for arm in (CLOCK, MOMENT)]
            yield from lanes.map(take, work)


def document(counts: tuple[DefectCounts, ...]) -> dict[str, object]:
    """Return the measurement as JSON values in the form of SCHEMA."""
    return {"schema": SCHEMA, "defects": [{**asdict(s), "ratio": s.ratio} for s in counts]}
