"""Runs scenarios on the reference system: wires the parts, yields events."""

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.api import check_api
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.checking import InvariantJudge
from chaosfuzz.domain.contract import BreakerBounds
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.scenario import Count, Grade, ScenarioResult
from chaosfuzz.domain.stop import Stopped, StopReason, StopSignal
from chaosfuzz.execution.stalls import StallMonitor
from chaosfuzz.scenarios import ApiCheck, Level, Pace, Scenario, ScenarioRunner, Seams
from chaosfuzz.scenarios.builtin import foundation
from chaosfuzz.scenarios.levels import BREAKER_FAILURES, BREAKER_OPEN_S, BREAKER_SUCCESSES
from chaosfuzz.scenarios.runner import planned
from chaosfuzz.standing.administration import Administration
from chaosfuzz.targets.process.lane import ProcessLane
from chaosfuzz.targets.process.tuning import Tuning

FOUNDATION = Scenario(
    name="foundation", summary=(foundation.__doc__ or "").rstrip("."), plan=foundation
)
_TICK_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Began:
    """A scenario begins; so many of how many."""

    scenario: Scenario
    number: int
    of: int


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How things stand; with `stays` a line of the log, else one that the next replaces."""

    line: str
    stays: bool


@dataclass(frozen=True, kw_only=True)
class Done:
    """A scenario has been graded."""

    result: ScenarioResult


ScenarioEvent = Began | Shown | Done


@dataclass(frozen=True, kw_only=True)
class ScenarioPlan:
    """Which scenarios to run, at which level and how fast."""

    setup: Setup
    scenarios: tuple[Scenario, ...]
    level: Level
    speed: float
    out: Path
    port: int | None = None

    def into(self, out: Path) -> "ScenarioPlan":
        """Return the plan with the directory of its run."""
        return replace(self, out=out)

    def check(self) -> None:
        """Raise UsageError for anything unknown, and for a scenario that makes no sense."""
        self.setup.check()
        for scenario in self.scenarios:
            planned(scenario, self.level)

    @property
    def tuning(self) -> Tuning:
        """How the reference system is set: breakers as in the guide, leases as for fuzzing."""
        pace = Pace(speed=self.speed)
        return Tuning(
            defects=self.setup.defects,
            mode=self.setup.mode,
            port=self.port,
            breaker=BreakerBounds(
                failures=BREAKER_FAILURES,
                open_ms=round(1000 * pace.seconds(BREAKER_OPEN_S)),
                successes=BREAKER_SUCCESSES,
            ),
            handler_scale=pace.seconds(1.0),
        )


class ScenarioCampaign:
    """One run of `chaosfuzz scenario`; iterate over `run()` for its events."""

    def __init__(self, plan: ScenarioPlan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._stop = StopSignal()
        self._events: queue.SimpleQueue[ScenarioEvent] = queue.SimpleQueue()

    def stop(self, reason: StopReason = StopReason.OVER) -> None:
        """Ask the scenario that runs to end; none follows."""
        self._stop.set(reason)

    def run(self) -> Iterator[ScenarioEvent]:
        """Yield events to the end. Ends early, with what finished, when asked to stop.

        Raises:
            UsageError: something unknown was asked for, or a scenario cannot run as it is.
            InfrastructureError: the system cannot be started.

        """
        with ThreadPoolExecutor(1, "scenario") as pool:
            try:
                running = pool.submit(self._run)
                while not (running.done() and self._events.empty()):
                    try:
                        yield self._events.get(timeout=_TICK_S)
                    except queue.Empty:
                        continue
            finally:
                self.stop()
            running.result()

    def _run(self) -> None:
        plan = self._plan
        judge = InvariantJudge(plan.setup.chosen_invariants())
        with ExitStack() as stack:
            lane = ProcessLane(0, plan.out / "logs", plan.tuning)
            stack.callback(lane.close)
            stalls = stack.enter_context(closing(StallMonitor()))
            seams = Seams(
                lane=lane,
                judge=judge,
                journal=self._journal,
                stalls=stalls,
                stop=self._stop,
                check_api=_check_api,
                task_counts=lambda dsn, tag: Administration(dsn).task_stats(tag),
                show=lambda line: self._events.put(Shown(line=line, stays=False)),
                say=lambda line: self._events.put(Shown(line=line, stays=True)),
            )
            runner = ScenarioRunner(seams, Pace(speed=plan.speed), plan.setup.seed)
            self._run_all(runner)

    def _run_all(self, runner: ScenarioRunner) -> None:
        scenarios = (FOUNDATION, *self._plan.scenarios)
        for number, scenario in enumerate(scenarios):
            self._events.put(Began(scenario=scenario, number=number, of=len(scenarios) - 1))
            try:
                result = runner.run(scenario, self._plan.level)
            except Stopped:
                return
            except ChaosfuzzError as error:
                if scenario is FOUNDATION:
                    raise
                result = self._not_run(scenario, f"{error.cause}; {error.remedy}")
            self._events.put(Done(result=result))
            if scenario is FOUNDATION and not result.grade.passed:
                self._skip_rest(result)
                return

    def _skip_rest(self, foundation_result: ScenarioResult) -> None:
        """A system that cannot do one task undisturbed fails whatever else was to be tried."""
        failed = foundation_result.grade is Grade.FAIL
        grade = Grade.FAIL if failed else Grade.ERROR
        for scenario in self._plan.scenarios:
            why = f"not run, the foundation check gave {foundation_result.why}"
            self._events.put(Done(result=self._not_run(scenario, why, grade)))

    def _not_run(self, scenario: Scenario, why: str, grade: Grade = Grade.ERROR) -> ScenarioResult:
        return ScenarioResult(
            name=scenario.name,
            level=self._plan.level.number,
            grade=grade,
            why=why,
            duration_s=0.0,
        )


def _check_api(base_url: str) -> ApiCheck:
    checks = list(check_api(base_url))
    if not checks:
        message = f"no check of the API at {base_url} was made"
        raise InfrastructureError(cause=message, remedy="report it as a defect of chaosfuzz")
    passed = sum(check.passed for check in checks)
    problems = tuple(f"{c.number} {c.name}: {c.detail}" for c in checks if not c.passed)
    return ApiCheck(count=Count(good=passed, of=len(checks)), problems=problems)
