"""Shrinks a failing schedule, measures how often it fails, and saves it as a case."""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from chaosfuzz.campaign.events import CaseSaved, Event, ShrinkingOn
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
# A failure found on containers is looked for on processes so often, and confirmed so often there.
LOOKS = 8
CONFIRMATIONS = 10


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """How much to spend on shrinking, and where cases go.

    `shrink` false saves as found. `again` is the case that is being reduced further, if one is.
    `confirm` counts how often what is left fails elsewhere.
    """

    setup: Setup
    store: CaseStore
    budget: Budget
    shrink: bool = True
    again: Case | None = None
    confirm: Callable[[Schedule, Signature], Confirmed | None] | None = None

    def save_unshrunk(self, sighting: Sighting) -> CaseSaved:
        """Save a schedule as it was found, with how often it failed."""
        failure = sighting.result.failure
        assert failure is not None
        shrunk = Shrunk(
            schedule=sighting.result.schedule,
            failure=failure,
            rate=sighting.rate,
            calibration=sighting.rate,
            needed=(),
            executions=0,
            confirmations=0,
            exhausted=True,
        )
        return self._save(shrunk, sighting.result, story_of(sighting.result))

    def known_limit(self, signature: Signature) -> tuple[Case, Path] | None:
        """Return a saved case that shows a documented limit of the target, None if none does."""
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
        """Yield progress, then the saved case; with an alphabet, faults may be pinned to it."""
        found = sighting.result
        assert found.failure is not None
        keeper = _LastFailure(runner.run, found)
        progress: queue.SimpleQueue[ShrinkProgress | None] = queue.SimpleQueue()
        reducer = Reducer(
            keeper,
            self.budget if self.shrink else Budget(executions=0, time_s=0),
            on_progress=progress.put,
            alphabet=alphabet,
        )
        worker = _Background(lambda: reducer.shrink(found.schedule, keeper.failure), progress)
        worker.start()
        while (step := progress.get()) is not None:
            yield ShrinkingOn(progress=step)
        try:
            shrunk = worker.result()
        except InfrastructureError:
            yield self._save(keeper.unshrunk(), found, story_of(keeper.kept))
            raise
        looks = sighting.rate.attempts - 1
        shrunk = replace(shrunk, executions=shrunk.executions + looks)
        yield self._save(shrunk, found, story_of(keeper.kept))

    def _save(self, shrunk: Shrunk, found: RunResult, story: tuple[str, ...]) -> CaseSaved:
        case = Case(
            title=shrunk.failure.message,
            target=self.setup.description.name,
            defects=self.setup.defects,
            contract=self.setup.contract,
            signature=shrunk.failure.signature,
            schedule=shrunk.schedule,
            # Nothing measured: what is known is that it failed when it was found.
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
        # A planted defect is meant to fail, and so is a release that stays as it is; a bug of the
        # user's own system is to hold once fixed.
        shows = self.setup.defects or self.setup.description.released
        return Verdict.VIOLATED if shows else Verdict.HOLDS

    def _original_steps(self, found: RunResult) -> int:
        return self.again.found.steps if self.again is not None else len(found.schedule.steps)


def shows_on(runner: Runner, setup: Setup, sighting: Sighting) -> Sighting | None:
    """Return the same failure of the same schedule as a quicker runner shows it, None if not."""
    assert sighting.result.failure is not None
    wanted = sighting.result.failure.signature
    offered = setup.check().actions
    if any(step.action not in offered for step in sighting.result.schedule.steps):
        return None
    for number in range(1, LOOKS + 1):
        try:
            result = runner.run(sighting.result.schedule).showing(wanted)
        except Stopped:
            return None
        if result.failure is not None and result.failure.signature == wanted:
            return Sighting(result=result, rate=Rate(violations=1, attempts=number))
    return None


def reduce_elsewhere(
    reduction: Reduction,
    setup: Setup,
    quick: Runner,
    slow: Runner,
    sighting: Sighting,
    alphabet: Alphabet | None,
) -> Iterator[Event]:
    """Reduce on the quick runner and confirm on the slow one; on that alone if only it fails."""
    seen = shows_on(quick, setup, sighting)
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


class _LastFailure:
    """Runs schedules and remembers the newest failing result of the signature, for its story."""

    def __init__(self, run: Callable[[Schedule], RunResult], found: RunResult) -> None:
        assert found.failure is not None
        self._run = run
        self.failure = found.failure
        self.kept = found
        self.executions = 0

    def __call__(self, schedule: Schedule) -> RunResult:
        self.executions += 1
        result = self._run(schedule).showing(self.failure.signature)
        if result.failure is not None and result.failure.signature == self.failure.signature:
            shorter = len(schedule.steps) <= len(self.kept.schedule.steps)
            self.kept = result if shorter else self.kept
        return result

    def unshrunk(self) -> Shrunk:
        """Return the shortest schedule that failed so far, for when reduction broke off."""
        assert self.kept.failure is not None
        return Shrunk(
            schedule=self.kept.schedule,
            failure=self.kept.failure,
            rate=FOUND_ONCE,
            calibration=FOUND_ONCE,
            needed=(),
            executions=self.executions,
            confirmations=0,
            exhausted=True,
        )


class _Background(threading.Thread):
    """Runs the reduction beside the consumer of its progress."""

    def __init__(
        self, work: Callable[[], Shrunk], progress: "queue.SimpleQueue[ShrinkProgress | None]"
    ) -> None:
        super().__init__(name="shrinking", daemon=True)
        self._work = work
        self._progress = progress
        self._shrunk: Shrunk | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._shrunk = self._work()
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer's thread
            self._error = error
        finally:
            self._progress.put(None)

    def result(self) -> Shrunk:
        """Return what came out, or raise what went wrong."""
        if self._error is not None:
            raise self._error
        assert self._shrunk is not None
        return self._shrunk
