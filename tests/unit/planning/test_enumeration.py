from itertools import islice

from chaosfuzz.actions import all_actions, repaired
from chaosfuzz.domain.moment import Alphabet, EventClass
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.planning import Moments, Pinning, schedules
from chaosfuzz.planning.enumeration import (
    DONE,
    GIVEN_UP,
    LONGER_MS,
    SHORT_LEASE_MS,
    killed_at_work,
    points_of,
    single_faults,
)
from chaosfuzz.planning.everyday import CRASHES, EVERYDAY

CLAIM = EventClass(role="worker", event="UPDATE claim", polled=True)
COMPLETE = EventClass(role="worker", event="UPDATE done", most=2)
BURY = EventClass(role="worker", event="UPDATE failed", failing=True)
POLL = EventClass(role="worker", event="SELECT poll", background=True)
INSERT = EventClass(role="server", event="INSERT tasks")
POST = EventClass(role="client", event="POST /tasks")
ALPHABET = Alphabet(events=(CLAIM, COMPLETE, BURY, POLL, INSERT, POST))


def struck(event: EventClass, life: str = DONE) -> list[tuple[str, str]]:
    steps = [point.step for point in points_of(life, event)]
    return [(step.action, f"{step.at.side} #{step.at.nth}") for step in steps if step and step.at]


def test_a_workers_request_is_struck_on_both_sides_and_held():
    (first, second) = (struck(COMPLETE)[:4], struck(COMPLETE)[4:8])
    kill_and_cut = ["kill_worker", "cut_connection"]
    sides = ["before #1", "after #1"]
    assert first == [(action, side) for side in sides for action in kill_and_cut]
    assert {side for _, side in second} == {"before #2", "after #2"}
    assert struck(COMPLETE)[8:] == [("hold_connection", "before #1")] * 2


def test_a_poll_counts_only_if_it_had_an_effect():
    assert {side for _, side in struck(CLAIM)} == {"after #1"}


def test_a_reply_is_lost_and_a_request_reset():
    assert struck(POST) == [("reset_request", "before #1"), ("lose_reply", "after #1")]


def test_work_that_fails_is_held_but_not_for_long_work():
    assert [action for action, _ in struck(BURY, GIVEN_UP)].count("hold_connection") == 1


def test_every_schedule_does_something_at_every_step():
    for schedule in single_faults(ALPHABET, 1):
        assert repaired(schedule) == schedule


def test_the_seed_decides_the_order_alone():
    one, other = list(single_faults(ALPHABET, 1)), list(single_faults(ALPHABET, 2))
    assert one == list(single_faults(ALPHABET, 1))
    assert one != other
    assert set(one) == set(other)


def test_all_come_again_with_longer_work():
    every = list(single_faults(ALPHABET, 1))
    assert len(set(every)) == len(every)
    rounds = len(every) // len(LONGER_MS)
    shapes = [[step.at for step in schedule.steps] for schedule in every]
    assert shapes[:rounds] == shapes[rounds : 2 * rounds]


def test_who_starts_in_an_outage_comes_first():
    outages = list(islice(single_faults(ALPHABET, 1), 2))
    assert [s.steps[1].action for s in outages] == ["restart_worker", "restart_server"]


def test_what_is_held_is_next():
    single = list(single_faults(ALPHABET, 1))
    held = [any(step.action == "hold_connection" for step in s.steps) for s in single]
    first_round = held[2 : len(held) // len(LONGER_MS)]
    assert any(first_round)
    assert first_round == sorted(first_round, reverse=True)


def test_with_long_leases_who_is_killed_at_work_is_first_and_what_is_held_last():
    single = list(single_faults(ALPHABET, 1, lease_ms=SHORT_LEASE_MS + 1))
    struck = [
        next((s.action for s in schedule.steps if s.at is not None), "outage")
        for schedule in single[: len(single) // len(LONGER_MS)]
    ]
    kills = sum(
        p.step is not None and p.step.action.startswith("kill")
        for event in (CLAIM, COMPLETE, INSERT)
        for p in points_of(DONE, event, most_nth=1)
    )
    assert all(action.startswith("kill") for action in struck[:kills])
    assert not struck[kills].startswith("kill")
    held = [action == "hold_connection" for action in struck]
    assert any(held)
    assert held == sorted(held)


def test_with_long_leases_a_task_at_its_last_attempt_is_struck_too():
    long = list(single_faults(ALPHABET, 1, lease_ms=SHORT_LEASE_MS + 1, max_attempts=3))
    shorter = single_faults(ALPHABET, 1, lease_ms=SHORT_LEASE_MS, max_attempts=3)
    kills = {
        step.at.side
        for schedule in long
        if _loads(schedule) and schedule.steps[0]["failures"] == 2
        for step in schedule.steps
        if step.action == "kill_worker" and step.at and step.at.event == COMPLETE.event
    }
    assert kills == {"before", "after"}
    assert all(schedule.steps[0]["failures"] != 2 for schedule in shorter if _loads(schedule))
    for schedule in long:
        assert repaired(schedule) == schedule


def _loads(schedule: Schedule) -> bool:
    return schedule.steps[0].action == "create_tasks"


def test_background_is_not_struck():
    struck_at = {p.at.event for s in single_faults(ALPHABET, 1) for p in s.steps if p.at}
    assert struck_at == {
        "UPDATE claim",
        "UPDATE done",
        "UPDATE failed",
        "INSERT tasks",
        "POST /tasks",
    }


def drawn(moments: Moments, max_steps: int = 12) -> list[Schedule]:
    actions = tuple(action.name for action in all_actions())
    pinning = Pinning(alphabet=ALPHABET, moments=moments)
    return list(islice(schedules(actions, max_steps, 3, pinning), 20))


def test_every_second_schedule_of_a_search_is_a_single_fault():
    single = list(single_faults(ALPHABET, 3))
    pinned = [s for s in single if any(step.at is not None for step in s.steps)]
    both = drawn(Moments.BOTH)[len(CRASHES) :]
    assert both[1::2] == single[: len(both) // 2]
    assert drawn(Moments.LOGICAL)[1::2] == pinned[:10]
    assert set(both[::2]) <= set(EVERYDAY)
    assert not set(drawn(Moments.LOGICAL)) & {*CRASHES, *EVERYDAY}


def test_with_long_leases_a_search_begins_with_workers_that_are_killed_at_work():
    actions = tuple(action.name for action in all_actions())
    pinning = Pinning(alphabet=ALPHABET, moments=Moments.BOTH)
    found = schedules(actions, 12, 3, pinning, lease_ms=SHORT_LEASE_MS + 1)
    kills = list(killed_at_work(ALPHABET, 3))
    assert list(islice(found, 3)) == kills
    assert set(islice(found, len(CRASHES))) == set(CRASHES)
    assert next(found) in EVERYDAY
    assert not set(kills) & set(drawn(Moments.BOTH)[: len(CRASHES) + 3])


def test_a_search_by_the_clock_has_none():
    assert not set(drawn(Moments.CLOCK)) & set(single_faults(ALPHABET, 3))


def test_no_single_fault_is_longer_than_asked_for():
    assert max(len(schedule.steps) for schedule in drawn(Moments.LOGICAL, 2)) == 2
