"""Runs schedules on the simulated queue with defects that show only now and then."""

import random
from dataclasses import dataclass, replace

from chaosfuzz.domain.fault import NoJournal
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Kind, Signature, Verdict
from chaosfuzz.execution import ScheduleRunner
from chaosfuzz.execution.trial import NoJudge
from chaosfuzz.targets.simulated import SimulatedLane

FULL_LENGTH_STEPS = 15
LOWEST_RATE = 0.02
SPURIOUS = Signature(invariant="no_unordered_exit", kind=Kind.WORKER_EXIT.value, role="worker")


@dataclass(frozen=True, kw_only=True)
class Flakiness:
    """Probabilities per run, all between 0 and 1.

    A run that reaches a defect shows it with `rate`, which moves in a straight line to
    `final_rate` over `drift_runs` runs and stays there (None: no drift). A schedule of one step
    shows it `short_factor` times as often as one of 15 steps; lengths between lie between.
    `spurious_rate` is the share of runs that fail at a random step with a signature that no
    schedule causes.
    """

    rate: float = 1.0
    final_rate: float | None = None
    drift_runs: int = 200
    short_factor: float = 1.0
    spurious_rate: float = 0.0

    def rate_of(self, *, run: int, steps: int) -> float:
        """Return the probability that the run with this number shows a defect it reaches."""
        rate = self.rate
        if self.final_rate is not None:
            share = min(1.0, run / max(1, self.drift_runs))
            rate += (self.final_rate - self.rate) * share
        shortness = 1 - min(1.0, steps / FULL_LENGTH_STEPS)
        rate *= 1 - shortness * (1 - self.short_factor)
        return min(1.0, max(LOWEST_RATE, rate))


class FlakyRunner:
    """Implements Runner; the same seed and the same runs give the same results.

    The first run that reaches a defect shows it; `flakiness` says how often later ones do.
    """

    def __init__(
        self, defects: tuple[str, ...] = (), seed: int = 0, flakiness: Flakiness | None = None
    ) -> None:
        self._defects = defects
        self._flakiness = flakiness or Flakiness()
        self._random = random.Random(seed)
        self._runs = 0
        self._rate = 1.0
        self._shown: set[str] = set()
        self._decided: dict[str, bool] = {}
        self._runner = ScheduleRunner(
            SimulatedLane(defects, self._shows),
            NoJudge(),
            NoJournal(),
            StopSignal(),
        )

    def run(self, schedule: Schedule) -> RunResult:
        """Run one schedule."""
        steps = len(schedule.steps)
        self._decided.clear()
        self._rate = self._flakiness.rate_of(run=self._runs, steps=steps)
        self._runs += 1
        spurious = self._spurious_step(steps)
        result = self._runner.run(schedule)
        failure = result.failure
        is_first = failure is None or failure.step is None or failure.step > (spurious or 0)
        if spurious is None or not is_first:
            return result
        message = "worker-1 exited by itself"
        failure = Failure(signature=SPURIOUS, message=message, tasks=(), step=spurious)
        return replace(result, verdict=Verdict.VIOLATED, failure=failure, steps_run=spurious + 1)

    def close(self) -> None:
        """End the runner."""
        self._runner.close()

    def _shows(self, defect: str) -> bool:
        if defect not in self._defects:
            return False
        if defect not in self._decided:
            # A hit is decided once per run: a race is lost or won as a whole.
            first = defect not in self._shown
            self._decided[defect] = first or self._random.random() < self._rate
            self._shown.add(defect)
        return self._decided[defect]

    def _spurious_step(self, steps: int) -> int | None:
        share = self._flakiness.spurious_rate
        if not steps or not share or self._random.random() >= share:
            return None
        return self._random.randrange(steps)
