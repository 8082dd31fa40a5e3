"""Draws schedules, runs them in lanes, and hands the first failure on to reduction."""

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from chaosfuzz.actions import find_action
from chaosfuzz.campaign.events import (
    Event,
    FailureFound,
    Learned,
    LimitKnown,
    ScheduleDone,
    Waiting,
)
from chaosfuzz.campaign.failures import LimitAsFailure, Sighting, as_failure, look_again
from chaosfuzz.campaign.lanes import Lanes
from chaosfuzz.campaign.learning import learn_at_once, save
from chaosfuzz.campaign.reduction import FOUND_ONCE, Reduction, reduce_elsewhere
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped, StopReason, StopSignal
from chaosfuzz.domain.target import Runner, RunResult, TargetDescription, TracingRunner
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.planning import Moments, Pinning, schedules

TICK_S = 0.25
UNDECIDED_RERUNS = 2
# So many failures that do not show again are enough.
MAX_RARE = 3


@dataclass(frozen=True, kw_only=True)
class FuzzPlan:
    """What to fuzz and for how long; whichever of examples and time is over first ends it.

    `shrink_on` is what failures are shrunk on, None for what they are found on. `schedules` plans
    them for a target once its requests are known; by default `chaosfuzz.planning` does.
    """

    setup: Setup
    examples: int | None
    time_s: float | None
    max_steps: int
    lanes: int
    reduction: Reduction
    out: Path
    moments: Moments = Moments.CLOCK
    shrink_on: Setup | None = None
    faults: bool = True
    schedules: Callable[[TargetDescription, Pinning], Iterator[Schedule]] | None = None

    def drawn(self, description: TargetDescription, pinning: Pinning) -> Iterator[Schedule]:
        """Return the schedules to run, as many as there may be."""
        if self.schedules is not None:
            return self.schedules(description, pinning)
        drawn = schedules(
            self.actions(description),
            self.max_steps,
            self.setup.seed,
            pinning,
            takes=description.takes,
            lease_ms=description.contract.lease_ms,
            max_attempts=description.contract.max_attempts,
        )
        return drawn if self.examples is None else itertools.islice(drawn, self.examples)

    def actions(self, description: TargetDescription) -> tuple[str, ...]:
        """Return what schedules are made of: without faults, of work and waiting alone."""
        calm = {Role.LOAD, Role.WAIT}
        return tuple(n for n in description.actions if self.faults or find_action(n).role in calm)


class FuzzCampaign:
    """One run of `chaosfuzz fuzz`; iterate over `run()` for its events."""

    def __init__(self, plan: FuzzPlan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._stop = StopSignal()
        # The first result that shows each documented limit.
        self._limits: dict[Signature, RunResult] = {}

    def stop(self, reason: StopReason = StopReason.OVER) -> None:
        """Ask lanes to end after what they are doing."""
        self._stop.set(reason)

    def run(self) -> Iterator[Event]:
        """Yield events until a failure is dealt with or the limits are reached.

        A failure that does not show again is saved and the search goes on: the next one may
        shrink and replay better.
        """
        description = self._plan.setup.check()
        logs = self._plan.out / "logs"
        with Lanes(self._plan.setup, self._plan.lanes, logs, self._journal, self._stop) as lanes:
            pinning = yield from self._learn(lanes.first)
            yield from self._hunt(lanes, self._plan.drawn(description, pinning), pinning)
            yield from self._deal_with_limits(lanes.first, pinning)

    def _hunt(self, lanes: Lanes, drawn: Iterator[Schedule], pinning: Pinning) -> Iterator[Event]:
        """Search for a broken promise, and reduce the first that shows again."""
        began = time.monotonic()
        rare: list[Sighting] = []
        while len(rare) < MAX_RARE:
            found = yield from self._until_failure(lanes, drawn, began)
            if found is None:
                break
            sighting = self._look_at(lanes.first, found)
            yield _told(sighting)
            if not sighting.rare or not self._plan.reduction.shrink:
                yield from self._reduce(lanes.first, sighting, pinning.alphabet)
                return
            yield self._plan.reduction.save_unshrunk(sighting)
            rare.append(sighting)
        # Nothing better came along: as small as a rare failure can be made.
        for sighting in rare[:1]:
            yield from self._reduce(lanes.first, sighting, pinning.alphabet)

    def _reduce(self, runner: Runner, sighting: Sighting, alphabet: Alphabet) -> Iterator[Event]:
        """Reduce a failure where it was found, or on what is quicker."""
        plan = self._plan
        if plan.shrink_on is None or not plan.reduction.shrink:
            yield from plan.reduction.reduce(runner, sighting, alphabet)
            return
        logs = plan.out / "logs"
        with closing(plan.shrink_on.runner(0, logs, self._journal, self._stop)) as quick:
            yield from reduce_elsewhere(
                plan.reduction, plan.shrink_on, quick, runner, sighting, alphabet
            )

    def _deal_with_limits(self, runner: Runner, pinning: Pinning) -> Iterator[Event]:
        """Reduce and save each documented limit that was seen, unless a case shows it already."""
        for signature, seen in self._limits.items():
            if self._stop.is_set():
                return
            result = as_failure(seen, signature)
            known = self._plan.reduction.known_limit(signature)
            if known is not None:
                assert result.failure is not None
                case, path = known
                yield LimitKnown(failure=result.failure, case=case, path=path)
                continue
            documented = result.failure.documented if result.failure is not None else ""
            shown = LimitAsFailure(runner, signature, documented)
            sighting = self._look_at(shown, result)
            yield _told(sighting)
            if self._plan.reduction.shrink and not sighting.rare:
                yield from self._plan.reduction.reduce(shown, sighting, pinning.alphabet)
            else:
                yield self._plan.reduction.save_unshrunk(sighting)

    def _learn(self, runner: Runner) -> Generator[Event, None, Pinning]:
        """Learn what requests there are; a target without moments is fuzzed by the clock."""
        clock_only = self._plan.moments is Moments.CLOCK or not self._plan.faults
        description = self._plan.setup.description
        if clock_only or not description.moments or not isinstance(runner, TracingRunner):
            return Pinning()
        try:
            alphabet = learn_at_once(runner, description)
        except Stopped:
            return Pinning()
        save(alphabet, self._plan.out)
        yield Learned(alphabet=alphabet)
        return Pinning(alphabet=alphabet, moments=self._plan.moments)

    def _look_at(self, runner: Runner, found: RunResult) -> Sighting:
        if self._plan.reduction.shrink:
            return look_again(runner, found, self._stop)
        return Sighting(result=found, rate=FOUND_ONCE)

    def _until_failure(
        self, lanes: Lanes, drawn: Iterator[Schedule], began: float
    ) -> Generator[Event, None, RunResult | None]:
        """Search on; return the first failing result, None if the limits came first."""
        found = None
        for event in self._search(lanes, drawn, began):
            yield event
            if not isinstance(event, ScheduleDone):
                continue
            for limit in event.result.limits if event.result.failure is None else ():
                self._limits.setdefault(limit.signature, event.result)
            if event.result.failure is not None:
                found = event.result
        return found

    def _search(self, lanes: Lanes, drawn: Iterator[Schedule], began: float) -> Iterator[Event]:
        """Keep every lane busy until a failure, the limits, or the end of the draw."""
        running: set[Future[RunResult]] = set()
        exhausted = False
        failed = False
        while True:
            over = self._stop.is_set() or (
                self._plan.time_s is not None and time.monotonic() - began >= self._plan.time_s
            )
            while len(running) < lanes.count and not (over or failed or exhausted):
                schedule = next(drawn, None)
                if schedule is None:
                    exhausted = True
                    break
                running.add(lanes.submit(partial(_run_decided, schedule=schedule)))
            if not running:
                return
            done, running = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(future.exception(), Stopped):
                    continue
                result = future.result()
                if failed and result.failure is not None:
                    continue
                failed = failed or result.failure is not None
                yield ScheduleDone(result=result, elapsed_s=time.monotonic() - began)
            if not done:
                yield Waiting(elapsed_s=time.monotonic() - began)


def _told(sighting: Sighting) -> FailureFound:
    failure = sighting.result.failure
    assert failure is not None
    return FailureFound(failure=failure, schedule=sighting.result.schedule, rate=sighting.rate)


def _run_decided(runner: Runner, schedule: Schedule) -> RunResult:
    """Run a schedule, again if it could not be decided: a machine that stood still passes."""
    for _ in range(UNDECIDED_RERUNS):
        result = runner.run(schedule)
        if result.verdict is not Verdict.UNKNOWN:
            return result
    return runner.run(schedule)
