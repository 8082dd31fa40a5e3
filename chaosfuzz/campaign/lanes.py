"""Runs work on several lanes side by side."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Self, TypeVar

from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.fault import Journal
from chaosfuzz.domain.stop import StopReason, StopSignal
from chaosfuzz.domain.target import Runner

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lanes:
    """A context manager of `count` lanes of one setup, each with a runner and a thread.

    Entering opens all lanes in parallel; if a lane cannot be opened, the others are closed and its
    error is raised. Leaving waits for running work and closes all lanes; leaving by an exception
    sets `stop` first.
    """

    def __init__(
        self, setup: Setup, count: int, logs: Path, journal: Journal, stop: StopSignal
    ) -> None:
        self.count = count
        self._open = lambda lane: setup.runner(lane, logs, journal, stop)
        self._stop = stop
        self._undo = ExitStack()
        self._free: list[Runner] = []

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._pool = ThreadPoolExecutor(self.count, "lane")
            opening = [self._pool.submit(self._open, lane) for lane in range(self.count)]
            undo.callback(_close_opened, opening)
            undo.callback(self._pool.shutdown)
            wait(opening)
            self._free = [future.result() for future in opening]
            self._undo = undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stop.set(StopReason.OVER)
        self._undo.close()

    @property
    def first(self) -> Runner:
        """The first free runner. Use it only while no submitted work is running."""
        return self._free[0]

    def submit(self, work: Callable[[Runner], Result]) -> Future[Result]:
        """Call `work` with a runner on a lane's thread as soon as a lane is free."""
        return self._pool.submit(self._with_runner, work)

    def map(
        self, work: Callable[[Runner, Item], Result], items: Iterable[Item]
    ) -> Iterator[Result]:
        """Yield `work(runner, item)` for each item, in order; an error of `work` ends it."""
        return self._pool.map(lambda item: self._with_runner(lambda r: work(r, item)), items)

    def _with_runner(self, work: Callable[[Runner], Result]) -> Result:
        # There are as many threads as runners, so a runner is free.
        runner = self._free.pop()
        try:
            return work(runner)
        finally:
            self._free.append(runner)


def _close_opened(opening: list[Future[Runner]]) -> None:
    with ExitStack() as closing:
        for future in opening:
            if future.exception() is None:
                closing.callback(future.result().close)
