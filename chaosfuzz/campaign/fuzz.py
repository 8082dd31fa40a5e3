"""Runs schedules in lanes until a failure shows again, then has it reduced and saved."""

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
    DocumentedLimitKnown,
    Event,
    FailureFound,
    Learned,
    ScheduleDone,
    Waiting,
)
from chaosfuzz.campaign.failures import DocumentedLimitAsFailure, Sighting, as_failure, look_again
from chaosfuzz.campaign.lanes import Lanes
from chaosfuzz.campaign.learning import learn_at_once, save
from chaosfuzz.campaign.reduction import FOUND_ONCE, Reduction, reduce_on_quick_target
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.action import Role
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped, StopReason, StopSignal
from chaosfuzz.domain.target import Runner, RunResult, TargetDescription, TracingRunner
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.planning import Moments, Pinning, schedules

# All chosen by hand: the pace of Waiting events, the reruns of an undecided schedule, and the
# number of failures that do not show again after which the search ends.
TICK_S = 0.25
UNDECIDED_RERUNS = 2
MAX_RARE = 3


@dataclass(frozen=True, kw_only=True)
class FuzzPlan:
    """The target and the bounds of one fuzz campaign.

    The search ends after `examples` schedules or `time_s` seconds, whichever comes first; None is
    no bound. Documented limits are reduced after that. Failures are shrunk on `shrink_on`, by
    default on `setup`. Without `faults` schedules consist of work and waiting. `schedules` makes
    the schedules once the target's requests are known; then `examples`, `max_steps` and `faults`
    do not apply to them. By default `chaosfuzz.planning` draws them.
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
        """Return the schedules to run; the iterator ends after `examples`, if that is given."""
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
        """Return the actions that schedules are drawn from: all, or work and waiting alone."""
        calm = {Role.LOAD, Role.WAIT}
        return tuple(n for n in description.actions if self.faults or find_action(n).role in calm)


class FuzzCampaign:
    """One run of `chaosfuzz fuzz`; iterate over `run()` for its events."""

    def __init__(self, plan: FuzzPlan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._stop = StopSignal()
        # The first result that showed each documented limit and no broken promise.
        self._documented_limits: dict[Signature, RunResult] = {}

    def stop(self, reason: StopReason = StopReason.OVER) -> None:
        """Set the stop signal: runs end early, and `run` yields no further schedules."""
        self._stop.set(reason)

    def run(self) -> Iterator[Event]:
        """Yield events until a failure has been reduced or the search is over.

        A failure that does not show again is saved unshrunk, and the search goes on, until
        MAX_RARE of them were found; then the first of these is reduced. Documented limits that
        showed are reduced last. Writes cases, alphabet.json and logs.

        Raises:
            UsageError: the setup names something unknown.
            InfrastructureError: the harness failed.

        """
        description = self._plan.setup.check()
        logs = self._plan.out / "logs"
        with Lanes(self._plan.setup, self._plan.lanes, logs, self._journal, self._stop) as lanes:
            pinning = yield from self._learn(lanes.first)
            yield from self._hunt(lanes, self._plan.drawn(description, pinning), pinning)
            yield from self._reduce_documented_limits(lanes.first, pinning)

    def _hunt(self, lanes: Lanes, drawn: Iterator[Schedule], pinning: Pinning) -> Iterator[Event]:
        """Search for a broken promise, and reduce the first one that shows again."""
        began = time.monotonic()
        rare: list[Sighting] = []
        while len(rare) < MAX_RARE:
            found = yield from self._until_failure(lanes, drawn, began)
            if found is None:
                break
            sighting = self._look_at(lanes.first, found)
            yield _failure_found(sighting)
            if not sighting.rare or not self._plan.reduction.shrink:
                yield from self._reduce(lanes.first, sighting, pinning.alphabet)
                return
            yield self._plan.reduction.save_unshrunk(sighting)
            rare.append(sighting)
        # Every failure was rare: reduce the first.
        for sighting in rare[:1]:
            yield from self._reduce(lanes.first, sighting, pinning.alphabet)

    def _reduce(self, runner: Runner, sighting: Sighting, alphabet: Alphabet) -> Iterator[Event]:
        """Reduce a failure on `shrink_on` if that is given and shrinking is on, else on runner."""
        plan = self._plan
        if plan.shrink_on is None or not plan.reduction.shrink:
            yield from plan.reduction.reduce(runner, sighting, alphabet)
            return
        logs = plan.out / "logs"
        with closing(plan.shrink_on.runner(0, logs, self._journal, self._stop)) as quick:
            yield from reduce_on_quick_target(
                plan.reduction, plan.shrink_on, quick, runner, sighting, alphabet
            )

    def _reduce_documented_limits(self, runner: Runner, pinning: Pinning) -> Iterator[Event]:
        """Reduce and save each documented limit that showed and has no saved case yet."""
        for signature, seen in self._documented_limits.items():
            if self._stop.is_set():
                return
            result = as_failure(seen, signature)
            known = self._plan.reduction.known_documented_limit(signature)
            if known is not None:
                assert result.failure is not None
                case, path = known
                yield DocumentedLimitKnown(failure=result.failure, case=case, path=path)
                continue
            documented = result.failure.documented if result.failure is not None else ""
            shown = DocumentedLimitAsFailure(runner, signature, documented)
            sighting = self._look_at(shown, result)
            yield _failure_found(sighting)
            if self._plan.reduction.shrink and not sighting.rare:
                yield from self._plan.reduction.reduce(shown, sighting, pinning.alphabet)
            else:
                yield self._plan.reduction.save_unshrunk(sighting)

    def _learn(self, runner: Runner) -> Generator[Event, None, Pinning]:
        """Learn the target's requests and write alphabet.json.

        The empty Pinning is returned (faults come by the clock alone) if the plan wants no moments
        or no faults, if the target has no moments, or if the run was stopped.
        """
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
        """Search until a schedule fails; return its result, None if the search ended before."""
        found = None
        for event in self._search(lanes, drawn, began):
            yield event
            if not isinstance(event, ScheduleDone):
                continue
            for limit in event.result.limits if event.result.failure is None else ():
                self._documented_limits.setdefault(limit.signature, event.result)
            if event.result.failure is not None:
                found = event.result
        return found

    def _search(self, lanes: Lanes, drawn: Iterator[Schedule], began: float) -> Iterator[Event]:
        """Run schedules on all lanes; after a failure, the end of the time or of `drawn`, drain.

        Runs that are under way then are finished; further failures among them are dropped.
        """
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


def _failure_found(sighting: Sighting) -> FailureFound:
    failure = sighting.result.failure
    assert failure is not None
    return FailureFound(failure=failure, schedule=sighting.result.schedule, rate=sighting.rate)


def _run_decided(runner: Runner, schedule: Schedule) -> RunResult:
    """Run a schedule, up to UNDECIDED_RERUNS times again while the verdict is UNKNOWN."""
    for _ in range(UNDECIDED_RERUNS):
        result = runner.run(schedule)
        if result.verdict is not Verdict.UNKNOWN:
            return result
    return runner.run(schedule)
