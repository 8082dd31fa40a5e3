"""Draws schedules, runs them in lanes, and hands the first failure on to reduction."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.campaign.events import Event, FailureFound, ScheduleDone, Waiting
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.planning import schedules

TICK_S = 0.25
UNDECIDED_RERUNS = 2


@dataclass(frozen=True, kw_only=True)
class FuzzPlan:
    """What to fuzz and for how long; whichever of examples and time is over first ends it."""

    setup: Setup
    examples: int | None
    time_s: float | None
    max_steps: int
    lanes: int
    reduction: Reduction | None
    out: Path


class FuzzCampaign:
    """One run of `chaosfuzz fuzz`; iterate over `run()` for its events."""

    def __init__(self, plan: FuzzPlan, journal: Journal) -> None:
        self._plan = plan
        self._journal = journal
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask lanes to end after what they are doing."""
        self._stop.set()

    def run(self) -> Iterator[Event]:
        """Yield events until a failure is dealt with or the limits are reached."""
        description = self._plan.setup.check()
        drawn = schedules(description.actions, self._plan.max_steps, self._plan.setup.seed)
        if self._plan.examples is not None:
            drawn = itertools.islice(drawn, self._plan.examples)
        with ExitStack() as stack:
            stack.callback(self.stop)
            pool = stack.enter_context(ThreadPoolExecutor(self._plan.lanes, "lane"))
            runners = self._start(pool, stack)
            began = time.monotonic()
            failed = None
            for event in self._search(pool, runners, drawn, began):
                yield event
                if isinstance(event, ScheduleDone) and event.result.failure is not None:
                    failed = event.result
            if failed is None:
                return
            assert failed.failure is not None
            yield FailureFound(failure=failed.failure, schedule=failed.schedule)
            if self._plan.reduction is not None:
                yield from self._plan.reduction.reduce(runners[0], failed)

    def _start(self, pool: ThreadPoolExecutor, stack: ExitStack) -> list[Runner]:
        logs = self._plan.out / "logs"
        starting = [
            pool.submit(self._plan.setup.runner, lane, logs, self._journal, self._stop)
            for lane in range(self._plan.lanes)
        ]
        wait(starting)
        for future in starting:
            if future.exception() is None:
                stack.callback(future.result().close)
        return [future.result() for future in starting]

    def _search(
        self,
        pool: ThreadPoolExecutor,
        runners: list[Runner],
        drawn: Iterator[Schedule],
        began: float,
    ) -> Iterator[Event]:
        """Keep every lane busy until a failure, the limits, or the end of the draw."""
        running: dict[Future[RunResult], Runner] = {}
        idle = list(runners)
        exhausted = False
        failed = False
        while True:
            over = self._stop.is_set() or (
                self._plan.time_s is not None and time.monotonic() - began >= self._plan.time_s
            )
            while idle and not (over or failed or exhausted):
                schedule = next(drawn, None)
                if schedule is None:
                    exhausted = True
                    break
                runner = idle.pop()
                running[pool.submit(_run_decided, runner, schedule)] = runner
            if not running:
                return
            done, _ = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
            for future in done:
                idle.append(running.pop(future))
                if self._stop.is_set() and isinstance(future.exception(), KeyboardInterrupt):
                    continue
                result = future.result()
                if failed and result.failure is not None:
                    continue
                failed = failed or result.failure is not None
                yield ScheduleDone(result=result, elapsed_s=time.monotonic() - began)
            if not done:
                yield Waiting(elapsed_s=time.monotonic() - began)


def _run_decided(runner: Runner, schedule: Schedule) -> RunResult:
    """Run a schedule, again if it could not be decided: a machine that stood still passes."""
    for _ in range(UNDECIDED_RERUNS):
        result = runner.run(schedule)
        if result.verdict is not Verdict.UNKNOWN:
            return result
    return runner.run(schedule)
