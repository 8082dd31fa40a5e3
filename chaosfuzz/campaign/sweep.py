"""Tries every moment of one task's life: kill and cut, before and after."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.campaign.learning import LIVES, learn, merged, save
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.action import find_action
from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.moment import EventClass, Moment
from chaosfuzz.domain.schedule import Schedule, Step, make_step
from chaosfuzz.domain.target import Runner, RunResult, TracingRunner
from chaosfuzz.domain.verdict import Signature, Verdict

# More of one kind in one task's life are as like as not the same window again.
MOST_NTH = 3
CONFIRMATIONS = 4
NEVER_CAME = "never came"
FAULTS: dict[str, tuple[Step, ...]] = {
    "worker": (make_step("kill_worker", worker=1), make_step("cut_connection", worker=1)),
    "server": (make_step("kill_server"), make_step("cut_server")),
    "client": (make_step("lose_reply"), make_step("reset_request")),
}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One moment of a life with what is done at it; a life alone is one that is not disturbed."""

    life: str
    schedule: Schedule

    @property
    def step(self) -> Step | None:
        """The step that strikes, None if nothing is struck."""
        last = self.schedule.steps[-1]
        return last if last.at is not None else None


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What became of a point: the first run, and of a violation how often it showed."""

    point: Point
    result: RunResult
    rate: Rate

    @property
    def verdict(self) -> str:
        """Return holds, violated, unknown or never came."""
        if self.result.verdict is Verdict.HOLDS and self.result.missed:
            return NEVER_CAME
        return self.result.verdict.value


def points_of(life: str, event: EventClass) -> Iterator[Point]:
    """Yield the points that an event of a life makes."""
    for nth in range(1, min(event.most, MOST_NTH) + 1):
        for side in event.sides:
            for fault in FAULTS.get(event.role, ()):
                if find_action(fault.action).side not in {None, side}:
                    continue
                moment = Moment(event=event.event, nth=nth, side=side)
                steps = (LIVES[life], fault.pinned(moment))
                yield Point(life=life, schedule=Schedule(workers=1, steps=steps))


class Sweep:
    """One sweep; call `learn`, then iterate over `run`."""

    def __init__(
        self, setup: Setup, lanes: int, out: Path, journal: Journal, stop: threading.Event
    ) -> None:
        self._setup = setup
        self._lanes = lanes
        self._out = out
        self._journal = journal
        self._stop = stop
        self._stack = ExitStack()
        self._runners: list[Runner] = []
        self._confirmed: set[Signature] = set()

    def __enter__(self) -> "Sweep":
        logs = self._out / "logs"
        with ExitStack() as undo:
            for lane in range(self._lanes):
                runner = self._setup.runner(lane, logs, self._journal, self._stop)
                undo.callback(runner.close)
                self._runners.append(runner)
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def learn(self) -> tuple[Point, ...]:
        """Return all points, an event's in the first life that has it.

        Raises UsageError if the target has no moments, InfrastructureError if it shows none.
        """
        runner = self._runners[0]
        if not isinstance(runner, TracingRunner):
            message = f"{self._setup.target} has no moments to sweep; use reference"
            raise UsageError(message)
        learned = list(learn(runner))
        save(merged([alphabet for _, alphabet in learned]), self._out)
        points: dict[Step, Point] = {}
        for life, load in LIVES.items():
            points[load] = Point(life=life, schedule=Schedule(workers=1, steps=(load,)))
        for life, alphabet in learned:
            for event in alphabet.events:
                for point in points_of(life, event) if not event.background else ():
                    points.setdefault(point.schedule.steps[-1], point)
        if len(points) == len(LIVES):
            message = "no request was seen in a task's life: is the target idle or broken?"
            raise InfrastructureError(message)
        return tuple(points.values())

    def run(self, points: tuple[Point, ...]) -> Iterator[Swept]:
        """Yield what became of each point, in order."""
        with ThreadPoolExecutor(self._lanes, "lane") as pool:
            # As many threads as runners, so there is always one free.
            free = list(self._runners)

            def work(point: Point) -> Swept | None:
                if self._stop.is_set():
                    return None
                runner = free.pop()
                try:
                    return self._try(runner, point)
                finally:
                    free.append(runner)

            for swept in pool.map(work, points):
                if swept is not None:
                    yield swept

    def _try(self, runner: Runner, point: Point) -> Swept | None:
        try:
            result = runner.run(point.schedule)
            if result.verdict is Verdict.UNKNOWN or (result.missed and result.failure is None):
                result = runner.run(point.schedule)
            if result.failure is None:
                return Swept(point=point, result=result, rate=Rate(violations=0, attempts=1))
            signature = result.failure.signature
            # One sure case of a failure is enough; its other moments are told, not counted.
            runs = 0 if signature in self._confirmed else CONFIRMATIONS
            again = [runner.run(point.schedule).failure for _ in range(runs)]
        except KeyboardInterrupt:
            if self._stop.is_set():
                return None
            raise
        same = sum(f is not None and f.signature == signature for f in again)
        if runs and same == runs:
            self._confirmed.add(signature)
        rate = Rate(violations=1 + same, attempts=1 + len(again))
        return Swept(point=point, result=result, rate=rate)
