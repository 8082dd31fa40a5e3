"""Shrinks a failing schedule, measures how often it fails, and saves it as a case."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from chaosfuzz.campaign.events import CaseSaved, Event, ShrinkProgressed
from chaosfuzz.campaign.failures import Sighting
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.case import Case, Confirmed, Found, Rate
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import Stopped
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.reporting.story import story_of
from chaosfuzz.shrinking import Budget, Reducer, ShrinkProgress, Shrunk

FOUND_ONCE = Rate(violations=1, attempts=1)
# A failure found on containers gets so many runs to show on processes; the reduced schedule is
# then run so often on containers. Chosen by hand.
REPRODUCTION_RUNS = 8
CONFIRMATIONS = 10


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """Shrinks failures within `budget` and saves them as cases in `store`.

    Without `shrink` schedules are saved as found. `again` is the saved case that is reduced
    further, if one is: the new case takes over its expectation and origin. `confirm` measures how
    often the reduced schedule fails on the slower setup that the failure was found on.
    """

    setup: Setup
    store: CaseStore
    budget: Budget
    shrink: bool = True
    again: Case | None = None
    confirm: Callable[[Schedule, Signature], Confirmed | None] | None = None

    def save_unshrunk(self, sighting: Sighting) -> CaseSaved:
        """Save the schedule as it was found, with the rate of the sighting."""
        found = sighting.result
        return self._save(_unshrunk(found, sighting.rate), found, story_of(found))

    def known_documented_limit(self, signature: Signature) -> tuple[Case, Path] | None:
        """Return a saved case of this target with this documented limit, and its path.

        None if there is none; files that are not cases are skipped.
        """
        for path in self.store.find():
            with suppress(UsageError):
                case = self.store.load(path)
                is_it = case.target == self.setup.description.name and case.signature == signature
                if is_it and case.documented:
                    return case, path
        return None

    def reduce(
        self, runner: Runner, sighting: Sighting, alphabet: Alphabet | None = None
    ) -> Iterator[Event]:
        """Shrink on a thread of its own; yield each execution's progress, then the saved case.

        With an alphabet, faults by the clock may be pinned to its events. If the harness fails,
        the shortest failing schedule so far is saved and yielded, then InfrastructureError raised.
        """
        found = sighting.result
        runs = _RecordedRuns(runner.run, found)
        progress: queue.SimpleQueue[ShrinkProgress | None] = queue.SimpleQueue()
        reducer = Reducer(
            runs,
            self.budget if self.shrink else Budget(executions=0, time_s=0),
            on_progress=progress.put,
            alphabet=alphabet,
        )
        outcome: Future[Shrunk] = Future()

        def shrink() -> None:
            try:
                outcome.set_result(reducer.shrink(found.schedule, runs.failure))
            except BaseException as error:  # noqa: BLE001 - raised again by outcome.result
                outcome.set_exception(error)
            finally:
                progress.put(None)

        threading.Thread(target=shrink, name="shrinking", daemon=True).start()
        while (step := progress.get()) is not None:
            yield ShrinkProgressed(progress=step)
        shortest = runs.shortest
        try:
            shrunk = outcome.result()
        except InfrastructureError:
            unshrunk = _unshrunk(shortest, FOUND_ONCE, runs.executions)
            yield self._save(unshrunk, found, story_of(shortest))
            raise
        executions = shrunk.executions + sighting.rate.attempts - 1
        yield self._save(replace(shrunk, executions=executions), found, story_of(shortest))

    def _save(self, shrunk: Shrunk, found: RunResult, story: tuple[str, ...]) -> CaseSaved:
        case = Case(
            title=shrunk.failure.message,
            target=self.setup.description.name,
            defects=self.setup.defects,
            contract=self.setup.contract,
            signature=shrunk.failure.signature,
            schedule=shrunk.schedule,
            # Without a measurement the one failing run of the search is the rate.
            reproduces=shrunk.rate if shrunk.rate.attempts else FOUND_ONCE,
            found=Found(
                date=datetime.now(UTC).date().isoformat(),
                seed=self.setup.seed,
                steps=self._original_steps(found),
                executions_to_shrink=shrunk.executions,
            ),
            expect=Verdict.VIOLATED if shrunk.failure.documented else self._expect(),
            needed=shrunk.needed,
            on=self.setup.on,
            confirmed=self._confirmed(shrunk),
            profile=self.setup.description.profile,
            documented=shrunk.failure.documented,
        )
        return CaseSaved(
            case=case,
            path=self.store.save(case),
            failure=shrunk.failure,
            original_steps=self._original_steps(found),
            executions_to_shrink=shrunk.executions,
            exhausted=shrunk.exhausted,
            story=story,
            others=tuple(signature for signature, _ in shrunk.others),
        )

    def _confirmed(self, shrunk: Shrunk) -> Confirmed | None:
        if self.confirm is not None:
            return self.confirm(shrunk.schedule, shrunk.failure.signature)
        same = self.again is not None and self.again.schedule == shrunk.schedule
        return self.again.confirmed if self.again is not None and same else None

    def _expect(self) -> Verdict:
        if self.again is not None:
            return self.again.expect
        # A planted defect and a released version stay as they are, so the case is to fail. A bug
        # of the user's own system gets fixed, so the case is to hold.
        stays = self.setup.defects or self.setup.description.released
        return Verdict.VIOLATED if stays else Verdict.HOLDS

    def _original_steps(self, found: RunResult) -> int:
        return self.again.found.steps if self.again is not None else len(found.schedule.steps)


def reproduce_on(runner: Runner, setup: Setup, sighting: Sighting) -> Sighting | None:
    """Run the schedule on another runner until the same failure shows, and return that result.

    None if the setup of that runner lacks an action of the schedule, if none of REPRODUCTION_RUNS
    runs shows the failure, or if the run was stopped. The rate counts the runs up to the first
    that fails.
    """
    assert sighting.result.failure is not None
    wanted = sighting.result.failure.signature
    offered = setup.check().actions
    if any(step.action not in offered for step in sighting.result.schedule.steps):
        return None
    for number in range(1, REPRODUCTION_RUNS + 1):
        try:
            result = runner.run(sighting.result.schedule).showing(wanted)
        except Stopped:
            return None
        if result.failure is not None and result.failure.signature == wanted:
            return Sighting(result=result, rate=Rate(violations=1, attempts=number))
    return None


def reduce_on_quick_target(
    reduction: Reduction,
    setup: Setup,
    quick: Runner,
    slow: Runner,
    sighting: Sighting,
    alphabet: Alphabet | None,
) -> Iterator[Event]:
    """Reduce on the quick runner, then run the result on the slow one to confirm it.

    `setup` is that of the quick runner. If the failure does not show on the quick runner, all is
    done on the slow one.
    """
    seen = reproduce_on(quick, setup, sighting)
    if seen is None:
        yield from reduction.reduce(slow, sighting, alphabet)
        return

    def confirm(schedule: Schedule, signature: Signature) -> Confirmed | None:
        runs: list[RunResult] = []
        with suppress(Stopped):
            while len(runs) < CONFIRMATIONS:
                runs.append(slow.run(schedule))
        failures = [result.showing(signature).failure for result in runs]
        same = sum(f is not None and f.signature == signature for f in failures)
        rate = Rate(violations=same, attempts=len(failures))
        return Confirmed(on=reduction.setup.on, rate=rate) if failures else None

    yield from replace(reduction, setup=setup, confirm=confirm).reduce(quick, seen, alphabet)


class _RecordedRuns:
    """Runs schedules; counts `executions` and keeps the `shortest` result with the failure.

    Of results with equally many steps the newest is kept.
    """

    def __init__(self, run: Callable[[Schedule], RunResult], found: RunResult) -> None:
        assert found.failure is not None
        self._run = run
        self.failure = found.failure
        self.shortest = found
        self.executions = 0

    def __call__(self, schedule: Schedule) -> RunResult:
        self.executions += 1
        result = self._run(schedule).showing(self.failure.signature)
        is_own = result.failure is not None and result.failure.signature == self.failure.signature
        if is_own and len(schedule.steps) <= len(self.shortest.schedule.steps):
            self.shortest = result
        return result


def _unshrunk(result: RunResult, rate: Rate, executions: int = 0) -> Shrunk:
    """Return a failing result as it is, in the form of a reduction that was cut short."""
    assert result.failure is not None
    return Shrunk(
        schedule=result.schedule,
        failure=result.failure,
        rate=rate,
        calibration=rate,
        needed=(),
        executions=executions,
        confirmations=0,
        exhausted=True,
    )
