"""Single faults at each request in the life of one task, a schedule each."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from chaosfuzz.actions import (
    create_tasks,
    cut_connection,
    cut_server,
    hold_connection,
    kill_server,
    kill_worker,
    lose_reply,
    reset_request,
    restart_server,
    restart_worker,
    start_database,
    stop_database,
    wait,
)
from chaosfuzz.domain.moment import Alphabet, EventClass, Moment
from chaosfuzz.domain.schedule import Schedule, Step

# Between one and two heartbeat intervals of the reference system.
WORK_MS = 150
# The later requests of one kind in a task's life mostly open the same window. Chosen by hand.
MOST_NTH = 3
# The lease of the reference system; other targets pass theirs.
LEASE_MS = 600
MOST_MS = 5000
# If leases are longer than this, the schedules that hold a connection for longer than a lease
# take more time than all others together. Chosen by hand.
SHORT_LEASE_MS = 2000
# All schedules are repeated with this much more work. Chosen by hand.
LONGER_MS = (0, 50, 150)
# Each of two workers gets one, whichever is quicker, and two tasks wait.
HELD_TASKS = 4

DONE, DONE_AT_SECOND, GIVEN_UP = "done", "done at the second attempt", "given up"
DONE_AT_LAST = "done at the last attempt"
LIVES: dict[str, Step] = {
    DONE: create_tasks(count=1, duration_ms=WORK_MS),
    DONE_AT_SECOND: create_tasks(count=1, failures=1),
    GIVEN_UP: create_tasks(count=1, failures=9),
}
STRIKES: dict[str, tuple[Step, ...]] = {
    "worker": (kill_worker(worker=1), cut_connection(worker=1)),
    "server": (kill_server(), cut_server()),
    "client": (lose_reply(), reset_request()),
}
HOLD = hold_connection(worker=1)
# Components that start while the database is down.
OUTAGES = tuple(
    (stop_database(mode=0), restart, start_database(), LIVES[DONE])
    for restart in (restart_worker(worker=1), restart_server())
)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A life of a task with a fault at one of its moments, or with no fault."""

    life: str
    schedule: Schedule

    @property
    def step(self) -> Step | None:
        """The step that strikes; None if no fault does."""
        return next((step for step in self.schedule.steps if step.at is not None), None)

    @property
    def is_held(self) -> bool:
        """Whether the fault holds a connection, so that another worker acts in the meantime."""
        return self.step is not None and self.step.kind is hold_connection

    @property
    def work_ms(self) -> int:
        """How long each task of the life works, in ms."""
        return self.schedule.steps[0]["duration_ms"]


def lives_of(takes: Collection[str] | None, max_attempts: int) -> dict[str, Step]:
    """Return the lives that a task of a target can have, each with the step that creates it.

    Arguments:
        takes: arguments of creations that the target heeds; None: all.
        max_attempts: how often the target tries a task; 0: without limit.

    """
    lives = {DONE: LIVES[DONE]}
    if takes is None or "failures" in takes:
        if max_attempts != 1:
            lives[DONE_AT_SECOND] = LIVES[DONE_AT_SECOND]
        if 0 < max_attempts <= LIVES[GIVEN_UP]["failures"]:
            lives[GIVEN_UP] = LIVES[GIVEN_UP]
    return lives


def points_of(
    life: str, event: EventClass, *, most_nth: int = MOST_NTH, lease_ms: int = LEASE_MS
) -> Iterator[Point]:
    """Yield the points at an event of a life: each fault that strikes there, then the holds.

    Only the connections of workers are held.
    """
    for nth in range(1, min(event.most, most_nth) + 1):
        for side in event.sides:
            moment = Moment(event=event.event, nth=nth, side=side)
            for strike in STRIKES.get(event.role, ()):
                if strike.kind.side in {None, side}:
                    steps = (LIVES[life], strike.pinned(moment))
                    yield Point(life=life, schedule=Schedule(workers=1, steps=steps))
    if event.role == "worker":
        yield from _held(life, event, lease_ms)


def single_faults(
    alphabet: Alphabet, seed: int, *, lease_ms: int = LEASE_MS, max_attempts: int = 0
) -> Iterator[Schedule]:
    """Yield the points at all events that work brings about, in an order that the seed draws.

    - First come starts in an outage of the database, which are few; then the holds, because drawn
      schedules seldom hold a connection at the right moment for long enough.
    - With leases longer than SHORT_LEASE_MS, kills during work come first, also of a task that is
      done at its last attempt, after which no retry repairs anything; holds come last.
    - All of them come three times, with longer work each time, since not every failure shows every
      time.

    `lease_ms` and `max_attempts` are the target's; 0 attempts: without limit.
    """
    points = [
        point
        for event in alphabet.events
        for life in ((DONE_AT_SECOND, GIVEN_UP) if event.failing else (DONE,))
        for point in (
            () if event.background else points_of(life, event, most_nth=1, lease_ms=lease_ms)
        )
    ]
    if lease_ms > SHORT_LEASE_MS and max_attempts > 1:
        points += [_at_last(p, max_attempts) for p in points if p.life == DONE and _strikes(p)]
    random.Random(seed).shuffle(points)
    points += [Point(life=DONE, schedule=Schedule(workers=1, steps=steps)) for steps in OUTAGES]
    points.sort(key=_turn if lease_ms <= SHORT_LEASE_MS else _turn_with_long_leases)
    for longer_ms in LONGER_MS:
        for schedule in dict.fromkeys(point.schedule for point in points):
            longer: dict[int, Step | None] = {
                index: step.having(duration_ms=min(step["duration_ms"] + longer_ms, MOST_MS))
                for index, step in enumerate(schedule.steps)
                if step.created
            }
            yield schedule.edited(longer)


def killed_at_work(alphabet: Alphabet, seed: int) -> Iterator[Schedule]:
    """Yield a kill of the worker at each request of a task's work, in an order of the seed's."""
    schedules = [
        point.schedule
        for event in alphabet.of("worker")
        if not event.background and not event.failing
        for point in points_of(DONE, event, most_nth=1)
        if point.step is not None and point.step.kind is kill_worker
    ]
    random.Random(seed).shuffle(schedules)
    yield from schedules


def _turn(point: Point) -> int:
    if point.step is None:
        return 0
    return 1 if point.is_held else 2


def _turn_with_long_leases(point: Point) -> int:
    if not _strikes(point):
        return 5 if point.step is not None else 4
    assert point.step is not None
    if point.life not in {DONE, DONE_AT_LAST}:
        return 3
    if point.step.kind not in {kill_worker, kill_server}:
        return 2
    return 0 if point.life == DONE else 1


def _strikes(point: Point) -> bool:
    return point.step is not None and not point.is_held


def _at_last(point: Point, max_attempts: int) -> Point:
    """Return the point with a task that fails at every attempt but the last."""
    load, strike = point.schedule.steps
    load = load.having(failures=max_attempts - 1)
    return Point(life=DONE_AT_LAST, schedule=replace(point.schedule, steps=(load, strike)))


def _held(life: str, event: EventClass, lease_ms: int) -> Iterator[Point]:
    """Yield holds of 1.5 leases: with short work and, if it succeeds, with work of 2.5 leases.

    Long work loses its lease during the execution. Neither time exceeds MOST_MS.
    """
    held_ms = min(lease_ms + lease_ms // 2, MOST_MS)
    long_work_ms = min(2 * lease_ms + lease_ms // 2, MOST_MS)
    moment = Moment(event=event.event, side=event.sides[0])
    held = wait(ms=held_ms)
    loads = [LIVES[life].having(count=HELD_TASKS)]
    if life == DONE:
        loads.append(LIVES[life].having(duration_ms=long_work_ms, count=HELD_TASKS))
    for load in loads:
        steps = (load, HOLD.pinned(moment), held)
        yield Point(life=life, schedule=Schedule(workers=2, steps=steps))
