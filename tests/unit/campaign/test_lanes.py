import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chaosfuzz.campaign.lanes import Lanes
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.fault import Journal, NoJournal
from chaosfuzz.domain.stop import Stopped, StopReason, StopSignal
from chaosfuzz.domain.target import Runner

BROKEN = InfrastructureError(cause="no port is free", remedy="close some servers")


@dataclass
class Lane:
    number: int
    closed: bool = False

    def run(self, schedule: object) -> None:
        raise AssertionError("nothing is run here")

    def close(self) -> None:
        self.closed = True


@dataclass(frozen=True, kw_only=True)
class LaneSetup(Setup):
    opened: list[Lane] = field(default_factory=list)
    broken: int | None = None

    def runner(self, lane: int, logs: Path, journal: Journal, stop: StopSignal) -> Runner:
        if lane == self.broken:
            raise BROKEN
        made = Lane(lane)
        self.opened.append(made)
        return made


def lanes_of(setup: LaneSetup, count: int, stop: StopSignal | None = None) -> Lanes:
    return Lanes(setup, count, Path("logs"), NoJournal(), stop or StopSignal())


def test_each_lane_does_one_thing_at_a_time_and_all_are_closed():
    setup, together = LaneSetup(), threading.Barrier(2, timeout=60)
    busy: set[int] = set()

    def work(lane: Lane, item: int) -> int:
        assert lane.number not in busy
        busy.add(lane.number)
        together.wait()
        busy.remove(lane.number)
        return item

    with lanes_of(setup, 2) as lanes:
        assert list(lanes.map(work, range(10))) == [*range(10)]
        assert not any(lane.closed for lane in setup.opened)
    assert [lane.closed for lane in setup.opened] == [True, True]


def test_a_lane_that_cannot_be_opened_closes_the_others():
    setup = LaneSetup(broken=1)
    with pytest.raises(InfrastructureError, match="no port is free"), lanes_of(setup, 3):
        raise AssertionError("not all lanes are open")
    assert sorted(lane.number for lane in setup.opened) == [0, 2]
    assert all(lane.closed for lane in setup.opened)


def test_the_first_error_asks_the_rest_to_stop_and_is_raised():
    setup, stop = LaneSetup(), StopSignal()
    ended: list[str] = []
    under_way = threading.Event()

    def work(_lane: Lane, item: int) -> None:
        if item == 0:
            assert under_way.wait(60)
            raise BROKEN
        under_way.set()
        try:
            stop.check(within_s=60)
        except Stopped as stopped:
            ended.append(stopped.reason)
            raise

    began = time.monotonic()
    with (
        pytest.raises(InfrastructureError, match="no port is free"),
        lanes_of(setup, 2, stop) as lanes,
    ):
        list(lanes.map(work, range(20)))
    # A lane that became free may have taken one more item before the rest was cancelled.
    assert ended
    assert len(ended) <= 3
    assert set(ended) == {StopReason.OVER}
    assert all(lane.closed for lane in setup.opened)
    assert time.monotonic() - began < 30


def test_leaving_without_an_error_stops_nothing():
    stop = StopSignal()
    with lanes_of(LaneSetup(), 1, stop) as lanes:
        assert lanes.submit(lambda lane: lane.number).result() == 0
    assert not stop.is_set()
