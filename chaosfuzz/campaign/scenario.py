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
from chaosfuzz.scenarios import ApiCheck, Level, Pace, Scenario, ScenarioParts, ScenarioRunner
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
class ScenarioBegan:
    """A scenario begins, as `number` of `of` scenarios; the foundation check has number 0."""

    scenario: Scenario
    number: int
    of: int


@dataclass(frozen=True, kw_only=True)
class ProgressLine:
    """A line on the progress. With `stays` it is kept, else the next line replaces it."""

    line: str
    stays: bool


@dataclass(frozen=True, kw_only=True)
class ScenarioDone:
    """A scenario has been graded, or was not run; then the grade is FAIL or ERROR."""

    result: ScenarioResult


ScenarioEvent = ScenarioBegan | ProgressLine | ScenarioDone


@dataclass(frozen=True, kw_only=True)
class ScenarioPlan:
    """The scenarios to run, their level, and the speed: 2 halves all times of the guide.

    `port` is that of the HTTP server; None for any free port.
    """

    setup: Setup
    scenarios: tuple[Scenario, ...]
    level: Level
    speed: float
    out: Path
    port: int | None = None

    def into(self, out: Path) -> "ScenarioPlan":
        """Return the plan with this directory for its results."""
        return replace(self, out=out)

    def check(self) -> None:
        """Raise UsageError for anything unknown, and for a scenario that its level cannot plan."""
        self.setup.check()
        for scenario in self.scenarios:
            planned(scenario, self.level)

    @property
    def tuning(self) -> Tuning:
        """The reference system's settings: the guide's breaker, at `speed`; leases as for fuzz."""
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
        """Set the stop signal: the running scenario ends ungraded, and none follows."""
        self._stop.set(reason)

    def run(self) -> Iterator[ScenarioEvent]:
        """Run the foundation check, then each scenario, and yield their events.

        An error in a scenario becomes its grade ERROR. If the foundation check does not pass, the
        scenarios are not run: they get FAIL if the check failed, else ERROR. When stopped, the
        events end with the last graded scenario.

        Raises:
            UsageError: an invariant is unknown.
            InfrastructureError: the system cannot be started, or the foundation check broke.

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
            parts = ScenarioParts(
                lane=lane,
                judge=judge,
                journal=self._journal,
                stalls=stalls,
                stop=self._stop,
                check_api=_check_api,
                task_counts=lambda dsn, tag: Administration(dsn).task_stats(tag),
                show=lambda line: self._events.put(ProgressLine(line=line, stays=False)),
                say=lambda line: self._events.put(ProgressLine(line=line, stays=True)),
            )
            runner = ScenarioRunner(parts, Pace(speed=plan.speed), plan.setup.seed)
            self._run_all(runner)

    def _run_all(self, runner: ScenarioRunner) -> None:
        scenarios = (FOUNDATION, *self._plan.scenarios)
        for number, scenario in enumerate(scenarios):
            self._events.put(ScenarioBegan(scenario=scenario, number=number, of=len(scenarios) - 1))
            try:
                result = runner.run(scenario, self._plan.level)
            except Stopped:
                return
            except ChaosfuzzError as error:
                if scenario is FOUNDATION:
                    raise
                result = self._not_run(scenario, f"{error.cause}; {error.remedy}")
            self._events.put(ScenarioDone(result=result))
            if scenario is FOUNDATION and not result.grade.passed:
                self._skip_rest(result)
                return

    def _skip_rest(self, foundation_result: ScenarioResult) -> None:
        """Grade every scenario as not run: FAIL if the foundation check failed, else ERROR."""
        failed = foundation_result.grade is Grade.FAIL
        grade = Grade.FAIL if failed else Grade.ERROR
        for scenario in self._plan.scenarios:
            why = f"not run, because of the foundation check: {foundation_result.why}"
            self._events.put(ScenarioDone(result=self._not_run(scenario, why, grade)))

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
