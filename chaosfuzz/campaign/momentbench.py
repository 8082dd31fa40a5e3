"""How often narrow defects show: faults by the clock against faults at moments."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from chaosfuzz.campaign.learning import learn_at_once
from chaosfuzz.campaign.nojournal import NoJournal
from chaosfuzz.campaign.scratch import scratch_directory
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.moment import Alphabet, Moment
from chaosfuzz.domain.schedule import Schedule, Step, make_step
from chaosfuzz.domain.target import Runner, RunResult, TracingRunner

SCHEMA = "chaosfuzz.moments/1"
CLOCK, MOMENT = "clock", "moment"
NARROW = (
    "commit-reply-lost-reruns",
    "retry-counts-twice-on-lost-reply",
    "cut-connection-forgets-task",
    "effect-then-complete-in-two-commits",
)
EXACTLY_ONCE = frozenset({"effect-then-complete-in-two-commits"})
# The clock's faults strike somewhere in the life of a task, as the moment's do.
LATEST_MS = 150


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


def compose(seed: int, alphabet: Alphabet | None) -> Schedule:
    """Return a task's life with one fault in it: by the clock, or at a moment of the alphabet."""
    chance = random.Random(seed)
    load = make_step(
        "create_tasks", count=1, duration_ms=chance.choice((0, 20, 60)), failures=seed % 2
    )
    fault = make_step(chance.choice(("kill_worker", "cut_connection")), worker=1)
    if alphabet is None:
        wait = make_step("wait", ms=chance.randint(1, LATEST_MS))
        return Schedule(workers=1, steps=(load, wait, fault))
    return Schedule(workers=1, steps=(load, _pinned(fault, load, alphabet, chance)))


def _pinned(fault: Step, load: Step, alphabet: Alphabet, chance: random.Random) -> Step:
    failing = load["failures"] > 0
    events = [e for e in alphabet.of("worker") if not e.background and (failing or not e.failing)]
    event = chance.choice(events)
    return fault.pinned(Moment(event=event.event, side=chance.choice(event.sides)))


class MomentBench:
    """Runs both arms over each defect, in turns on the same lanes."""

    def __init__(
        self, defects: tuple[str, ...], schedules: int, lanes: int, stop: threading.Event
    ) -> None:
        self._defects = defects
        self._schedules = schedules
        self._lanes = lanes
        self._stop = stop
        self._samples: list[Sample] = []

    def run(self) -> Iterator[Sample]:
        """Yield every sample as it is taken.

        Raises InfrastructureError if a lane cannot be started, KeyboardInterrupt if stopped.
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
        mode = "exactly-once-effect" if defect in EXACTLY_ONCE else "at-least-once"
        setup = Setup(defects=(defect,), mode=mode)
        with ExitStack() as stack:
            logs = stack.enter_context(scratch_directory("bench moments"))
            free: list[Runner] = []
            for lane in range(self._lanes):
                free.append(setup.runner(lane, logs, NoJournal(), self._stop))
                stack.callback(free[-1].close)
            if not isinstance(free[0], TracingRunner):
                message = "the target has no moments"
                raise InfrastructureError(message)
            alphabet = learn_at_once(free[0])
            pool = stack.enter_context(ThreadPoolExecutor(self._lanes, "lane"))

            def take(work: tuple[str, int]) -> Sample:
                arm, number = work
                runner = free.pop()
                try:
                    result = runner.run(compose(number, None if arm == CLOCK else alphabet))
                finally:
                    free.append(runner)
                return _sample(defect, arm, number, result)

            numbers = range(1, self._schedules + 1)
            work = [(arm, number) for number in numbers for arm in (CLOCK, MOMENT)]
            yield from pool.map(take, work)


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
