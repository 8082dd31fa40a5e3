"""Kills workers at random and starts them again, in an order that a seed gives."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaosfuzz.targets.standing import Order, Status


@dataclass(frozen=True, kw_only=True)
class ChaosPlan:
    """Kills with pauses between `low_s` and `high_s`; a killed worker is down for `down_s`."""

    seed: int
    duration_s: float
    low_s: float
    high_s: float
    down_s: float = 1.0


@dataclass(frozen=True, kw_only=True)
class ChaosEvent:
    """A worker was `killed` or `started`, `at_s` seconds after the beginning."""

    at_s: float
    worker: str
    what: str
    pid: int | None = None


def worker_chaos(
    plan: ChaosPlan, give: Callable[[Order], Status], stop: threading.Event
) -> Iterator[ChaosEvent]:
    """Kill a random worker and start it again, over and over, and yield each kill and each start.

    Ends when the time is over or `stop` is set. The worker killed last is started again in any
    case, so this may end `down_s` late. Orders go to `give`. The seed decides the pauses and,
    among the workers that run, the choices. Raises UsageError if no system is up,
    InfrastructureError if an order fails.
    """
    generator = random.Random(plan.seed)
    began_s = time.monotonic()

    def event(worker: str, what: str, status: Status) -> ChaosEvent:
        pid = next((state.pid for state in status.services if state.name == worker), None)
        return ChaosEvent(at_s=elapsed_s(), worker=worker, what=what, pid=pid)

    def elapsed_s() -> float:
        return round(time.monotonic() - began_s, 3)

    give(Order(verb="status"))
    while True:
        pause_s = generator.uniform(plan.low_s, plan.high_s)
        choice = generator.random()
        left_s = max(0.0, plan.duration_s - elapsed_s())
        if stop.wait(min(pause_s, left_s)) or pause_s > left_s:
            return
        status = give(Order(verb="status"))
        running = status.running_workers()
        if not running:
            continue
        worker = running[int(choice * len(running))]
        give(Order(verb="end", service=worker))
        try:
            yield event(worker, "killed", status)
            stop.wait(plan.down_s)
        finally:
            status = give(Order(verb="start", service=worker))
        yield event(worker, "started", status)
