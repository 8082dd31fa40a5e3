from collections.abc import Callable

from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.standing.worker_chaos import ChaosPlan, worker_chaos
from chaosfuzz.targets.standing import Order, ServiceState, Status

PLAN = ChaosPlan(seed=7, duration_s=0.4, low_s=0.01, high_s=0.03, down_s=0.0)


class Workers:
    """Three workers that do as they are told."""

    def __init__(self) -> None:
        self.running = {"worker-1", "worker-2", "worker-3"}
        self.orders: list[tuple[str, str]] = []

    def __call__(self, order: Order) -> Status:
        if order.verb != "status":
            self.orders.append((order.verb, order.service))
        if order.verb == "end":
            self.running.remove(order.service)
        elif order.verb == "start":
            self.running.add(order.service)
        return Status(
            services=tuple(
                ServiceState(name=name, condition="running") for name in sorted(self.running)
            )
        )


def torment(give: Callable[[Order], Status], stop: StopSignal | None = None) -> list[str]:
    events = worker_chaos(PLAN, give, stop or StopSignal())
    return [f"{event.worker} {event.what}" for event in events]


def test_the_same_seed_chooses_the_same_workers():
    first, second = torment(Workers()), torment(Workers())
    shorter = min(len(first), len(second))
    assert shorter >= 4
    assert first[:shorter] == second[:shorter]


def test_whoever_was_killed_is_started_again():
    workers = Workers()
    torment(workers)
    assert len(workers.running) == 3
    pairs = zip(workers.orders[::2], workers.orders[1::2], strict=True)
    assert all((a[0], b[0], a[1]) == ("end", "start", b[1]) for a, b in pairs)


def test_told_to_stop_while_one_is_down_it_starts_that_first():
    workers, stop = Workers(), StopSignal()

    def give(order: Order) -> Status:
        if order.verb == "end":
            stop.set()
        return workers(order)

    assert len(torment(give, stop)) == 2
    assert len(workers.running) == 3


def test_without_workers_nothing_is_killed():
    workers = Workers()
    workers.running.clear()
    assert torment(workers) == []
