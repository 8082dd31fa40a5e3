"""The injectors of container faults over a system that only takes notes."""

import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.fault import Injector
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.moment import CLIENT
from chaosfuzz.domain.schedule import make_step
from chaosfuzz.faults.containers import ClockSkew, DiskFilling, Filtering, Limits, Unplugging


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
    (Unplugging(), make_step("disconnect_worker", worker=1), FaultKind.CUT_OFF, "worker-1"),
    (Filtering(), make_step("partition_worker", worker=1), FaultKind.CUT_OFF, "worker-1"),
    (Filtering(), make_step("partition_server", peer=0), FaultKind.CUT_OFF, "server-1"),
    (Filtering(), make_step("partition_server", peer=1), FaultKind.CUT_OFF, CLIENT),
    (Filtering(), make_step("lose_packets", worker=1), FaultKind.CUT_OFF, "worker-1"),
    (Limits(), make_step("limit_cpu", worker=1), FaultKind.SLOWED, "worker-1"),
    (DiskFilling(), make_step("fill_disk"), FaultKind.DISK_FULL, "database"),
    (ClockSkew(), make_step("skew_clock", worker=1), FaultKind.CLOCK_WRONG, "worker-1"),
]


@pytest.mark.parametrize(("injector", "step", "kind", "component"), LASTING)
def test_a_fault_is_in_the_history_from_before_it_takes_effect_until_it_is_healed(
    injector: Injector, step: object, kind: FaultKind, component: str
) -> None:
    system, history = Notebook(), History(began_ns=0)
    assert injector.perform(step, system, history).applied  # type: ignore[arg-type]
    (fault,) = history.faults
    assert (fault.kind, fault.component, fault.ended_ns) == (kind, component, None)
    assert system.broken
    injector.heal(system, history)  # type: ignore[arg-type]
    assert not system.broken
    assert history.faults[0].ended_ns is not None


def test_what_did_not_take_effect_is_not_in_force() -> None:
    system, history = Notebook(), History(began_ns=0)
    done = Limits().perform(make_step("limit_memory", worker=1), system, history)  # type: ignore[arg-type]
    assert not done.applied
    assert not history.fault_in_force(FaultKind.SLOWED)


def test_one_killed_for_memory_counts_as_killed() -> None:
    system, history = Notebook(), History(began_ns=0)
    Limits().perform(make_step("exhaust_memory", worker=1), system, history)  # type: ignore[arg-type]
    assert system.killed == ["worker-1"]
    assert [fault.kind for fault in history.faults] == [FaultKind.KILLED]


def test_a_target_without_the_ability_says_so() -> None:
    for injector, step, _, _ in LASTING:
        with pytest.raises(UsageError, match="cannot do it"):
            injector.perform(step, object(), History(began_ns=0))  # type: ignore[arg-type]
