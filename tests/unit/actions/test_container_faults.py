"""Container faults over a system that only takes notes."""

import pytest

from chaosfuzz.actions import (
    ActionContext,
    Step,
    disconnect_worker,
    exhaust_memory,
    fill_disk,
    heal_all,
    limit_cpu,
    limit_memory,
    lose_packets,
    partition_server,
    partition_worker,
    perform,
    skew_clock,
)
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.moment import CLIENT


class Notebook:
    """Has all abilities; `broken` is what is in force."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.killed: list[str] = []

    def worker_names(self) -> list[str]:
        return ["worker-1"]

    def unplug(self, component: str) -> bool:
        return self._begin(f"unplugged {component}")

    def plug(self, component: str) -> bool:
        return self._end(f"unplugged {component}")

    def partition(self, component: str, peer: str) -> bool:
        return self._begin(f"filtered {component}")

    def lose_packets(self, component: str, percent: int) -> bool:
        return self._begin(f"filtered {component}")

    def stop_filtering(self, component: str) -> bool:
        return self._end(f"filtered {component}")

    def reset_connections(self, component: str) -> bool:
        return True

    def limit_cpu(self, component: str, percent: int) -> bool:
        return self._begin(f"limited {component}")

    def limit_memory(self, component: str, megabytes: int) -> bool:
        return False

    def lift_limits(self, component: str) -> bool:
        return self._end(f"limited {component}")

    def exhaust_memory(self, component: str) -> bool:
        self.killed.append(component)
        return True

    def fill_disk(self) -> bool:
        return self._begin("full")

    def free_disk(self) -> bool:
        return self._end("full")

    def skew_clock(self, component: str, ms: int) -> bool:
        return self._begin(f"skewed {component}") if ms else self._end(f"skewed {component}")

    def _begin(self, what: str) -> bool:
        fresh = what not in self.broken
        self.broken.add(what)
        return fresh

    def _end(self, what: str) -> bool:
        known = what in self.broken
        self.broken.discard(what)
        return known


LASTING = [
    (disconnect_worker(worker=1), FaultKind.CUT_OFF, "worker-1"),
    (partition_worker(worker=1), FaultKind.CUT_OFF, "worker-1"),
    (partition_server(peer=0), FaultKind.CUT_OFF, "server-1"),
    (partition_server(peer=1), FaultKind.CUT_OFF, CLIENT),
    (lose_packets(worker=1), FaultKind.CUT_OFF, "worker-1"),
    (limit_cpu(worker=1), FaultKind.SLOWED, "worker-1"),
    (fill_disk(), FaultKind.DISK_FULL, "database"),
    (skew_clock(worker=1), FaultKind.CLOCK_WRONG, "worker-1"),
]


def context_of(system: object) -> ActionContext:
    history = History(began_ns=0)
    return ActionContext(system=system, history=history, watch=lambda *_, **__: False)  # type: ignore[arg-type]


@pytest.mark.parametrize(("step", "kind", "component"), LASTING)
def test_a_fault_is_in_the_history_from_before_it_takes_effect_until_it_is_healed(
    step: Step, kind: FaultKind, component: str
) -> None:
    system = Notebook()
    context = context_of(system)
    assert perform(step, context).applied
    (fault,) = context.history.faults
    assert (fault.kind, fault.component, fault.ended_ns) == (kind, component, None)
    assert system.broken
    heal_all(context)
    assert not system.broken
    assert context.history.faults[0].ended_ns is not None


def test_a_fault_that_did_not_take_effect_is_not_in_force() -> None:
    context = context_of(Notebook())
    assert not perform(limit_memory(worker=1), context).applied
    assert not context.history.fault_in_force(FaultKind.SLOWED)


def test_a_worker_killed_for_memory_counts_as_killed() -> None:
    system = Notebook()
    context = context_of(system)
    perform(exhaust_memory(worker=1), context)
    assert system.killed == ["worker-1"]
    assert [fault.kind for fault in context.history.faults] == [FaultKind.KILLED]


class Powerless:
    """Has a worker and no ability."""

    def worker_names(self) -> list[str]:
        return ["worker-1"]


@pytest.mark.parametrize("step", [step for step, _, _ in LASTING], ids=str)
def test_a_target_without_the_ability_says_so(step: Step) -> None:
    with pytest.raises(UsageError, match=f"cannot do {step.action}"):
        perform(step, context_of(Powerless()))
