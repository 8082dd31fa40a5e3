import pytest

from chaosfuzz.domain.history import ProcessExit
from chaosfuzz.targets import restarting
from chaosfuzz.targets.restarting import Restarts


def gone(code: int = 1, *, ordered: bool = False, component: str = "worker-1") -> ProcessExit:
    return ProcessExit(component=component, pid=1, exit_code=code, ordered=ordered)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(restarting.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("policy", "code", "back"),
    [
        ("always", 0, True),
        ("always", 1, True),
        ("on-failure", 0, False),
        ("on-failure", 1, True),
        ("on-failure", -9, True),
        ("never", 1, False),
    ],
)
def test_the_policy_decides_who_comes_back(clock: list[float], policy: str, code: int, back: bool):
    restarts = Restarts(policy)  # type: ignore[arg-type]
    restarts.note(gone(code))
    clock[0] = 60.0
    assert restarts.due(()) == (["worker-1"] if back else [])
    assert restarts.due(()) == []


def test_nobody_comes_back_who_was_ended_or_is_no_worker(clock: list[float]):
    restarts = Restarts("always")
    restarts.note(gone(ordered=True))
    restarts.note(gone(component="server-1"))
    clock[0] = 60.0
    assert restarts.due(()) == []


def test_each_time_it_takes_longer_up_to_a_bound(clock: list[float]):
    restarts = Restarts("always")
    waited = []
    for _ in range(7):
        restarts.note(gone())
        began = clock[0]
        while not restarts.due(()):
            clock[0] += 0.0625
        waited.append(clock[0] - began)
    assert waited == [0.25, 0.4375, 0.8125, 1.625, 3.25, 3.25, 3.25]


def test_whoever_was_started_meanwhile_is_not_due(clock: list[float]):
    restarts = Restarts("always")
    restarts.note(gone())
    clock[0] = 1.0
    assert restarts.due({"worker-1"}) == []
    assert restarts.due(()) == []


@pytest.mark.parametrize("policy", ["on-failure", "always"])
def test_a_policy_set_by_a_step_undoes_kills_and_no_stops(clock: list[float], policy: str):
    restarts = Restarts("never")
    assert restarts.set_policy("worker-1", policy)  # type: ignore[arg-type]
    assert not restarts.set_policy("worker-1", policy)  # type: ignore[arg-type]
    assert restarts.note(gone(-9, ordered=True)) == restarting.FIRST_DELAY_S
    clock[0] = 60.0
    assert restarts.due(()) == ["worker-1"]
    restarts.asked_to_end("worker-1")
    assert restarts.note(gone(-9, ordered=True)) is None
    assert restarts.note(gone(-9, ordered=True)) is not None
    assert restarts.set_policy("worker-1", "never")
    clock[0] = 120.0
    assert restarts.due(()) == []
