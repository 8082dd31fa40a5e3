"""Kills workers at random and starts them again, in an order that a seed gives."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaosfuzz.targets.standing import Order, Status


@dataclass(frozen=True, kw_only=True)
class ChaosPlan:
    """Between `low_s` and `high_s` from one kill to the next; each worker is down for `down_s`."""

    seed: int
    duration_s: float
    low_s: float
    high_s: float
    down_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ChaosEvent:
    """What happened to a worker; `at_s` counts from the beginning."""

    at_s: float
    worker: str
    what: str
    pid: int | None = None


class WorkerChaos:
    """Strikes until the time is over or `stop` is set; whoever is down then is started again.

    The seed gives pauses and choices; who can be chosen depends on who runs.
    """

    def __init__(
        self, plan: ChaosPlan, give: Callable[[Order], Status], stop: threading.Event
    ) -> None:
        self._plan = plan
        self._give = give
        self._stop = stop
        self._random = random.Random(plan.seed)
        self._began_s = time.monotonic()

    def run(self) -> Iterator[ChaosEvent]:
        """Yield each kill and each start.

        Raises:
            UsageError: nothing is up.
            InfrastructureError: a worker cannot be killed or started.

        """
        plan = self._plan
        self._began_s = time.monotonic()
        self._give(Order(verb="status"))
        while True:
            pause_s = self._random.uniform(plan.low_s, plan.high_s)
            pick = self._random.random()
            if self._elapsed_s() + pause_s > plan.duration_s:
                self._stop.wait(max(0.0, plan.duration_s - self._elapsed_s()))
                return
            if self._stop.wait(pause_s):
                return
            status = self._give(Order(verb="status"))
            running = status.running_workers()
            if running:
                worker = running[int(pick * len(running))]
                yield from self._strike(worker, _pid(status, worker))

    def _strike(self, worker: str, pid: int | None) -> Iterator[ChaosEvent]:
        self._give(Order(verb="end", service=worker))
        killed = ChaosEvent(at_s=self._elapsed_s(), worker=worker, what="killed", pid=pid)
        try:
            yield killed
            self._stop.wait(self._plan.down_s)
        finally:
            status = self._give(Order(verb="start", service=worker))
        started_pid = _pid(status, worker)
        yield ChaosEvent(at_s=self._elapsed_s(), worker=worker, what="started", pid=started_pid)

    def _elapsed_s(self) -> float:
        return round(time.monotonic() - self._began_s, 3)


def _pid(status: Status, worker: str) -> int | None:
    return next((state.pid for state in status.services if state.name == worker), None)
