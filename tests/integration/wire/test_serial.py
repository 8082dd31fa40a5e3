"""One request at a time, in an order that follows from the seed."""

import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.wire import Cut, Habits, Patience, Rule, RuleController, SerialController

WORKERS = ("first", "second")
QUICK = Patience(settle_ms=1, collect_ms=2, attention_ms=0)


class Staff:
    """Who is at work: a worker is, unless its request waits for its turn."""

    def __init__(self) -> None:
        self.serial: SerialController | None = None
        self.threads: list[threading.Thread] = []

    def look(self) -> int | None:
        if self.serial is None:
            return None
        # One that has not begun is about to.
        busy = sum(thread.ident is None or thread.is_alive() for thread in self.threads)
        return 0 if busy == self.serial.waiting else None


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)


def work(wire: Wire, component: str, rounds: int):
    with wire.connect(component) as connection:
        for number in range(rounds):
            connection.execute("insert into tasks (payload) values (%s)", [str(number)])


def run(wire: Wire, seed: int, rounds: int = 6) -> tuple[str, ...]:
    staff = Staff()
    for component in WORKERS:
        wire.port(component)
    patience = Patience(
        settle_ms=1, collect_ms=2, attention_ms=0, overdue_ms=10**6, blocked_ms=10**6
    )
    staff.threads = [threading.Thread(target=work, args=(wire, n, rounds)) for n in WORKERS]
    with SerialController(RuleController(), seed, staff.look, Habits(), patience) as serial:
        staff.serial = serial
        wire.proxy.use(serial)
        for thread in staff.threads:
            thread.start()
        for thread in staff.threads:
            thread.join(WAIT_S)
        assert not any(thread.is_alive() for thread in staff.threads)
        assert serial.blocked == serial.hurried == 0
        return serial.order


def test_the_order_follows_from_the_seed(wire: Wire):
    first = run(wire, 7)
    assert len(first) == 2 * 7
    assert run(wire, 7) == first
    assert {run(wire, seed) for seed in (8, 9, 10)} != {first}


@pytest.fixture
def asleep(wire: Wire) -> Iterator[SerialController]:
    """Everybody always sleeps: each request goes as soon as it has come."""
    rules = RuleController()
    with SerialController(rules, 1, lambda: 0, patience=QUICK) as serial:
        wire.proxy.use(serial)
        yield serial


def test_a_request_that_waits_for_a_lock_does_not_hold_up_the_others(
    wire: Wire, asleep: SerialController
):
    wire.directly("insert into tasks (status) values ('new')")
    with wire.connect("first", autocommit=False) as holder, wire.connect("second") as other:
        holder.execute("update tasks set status = 'locked'")
        thread = threading.Thread(target=other.execute, args=["update tasks set status = 'x'"])
        thread.start()
        wait_until(lambda: asleep.blocked > 0)
        holder.commit()
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert wire.directly("select status from tasks") == [("x",)]


def test_nothing_goes_while_somebody_is_at_work_unless_it_has_waited_too_long(wire: Wire):
    patience = Patience(settle_ms=1, attention_ms=0, overdue_ms=40)
    with SerialController(RuleController(), 1, lambda: None, patience=patience) as serial:
        wire.proxy.use(serial)
        work(wire, "first", 2)
        assert serial.hurried == len(serial.order) == 3


def test_nothing_goes_until_the_harness_waits(wire: Wire):
    patience = Patience(settle_ms=1, collect_ms=2, attention_ms=1000 * WAIT_S, overdue_ms=10**6)
    with SerialController(RuleController(), 1, lambda: 0, patience=patience) as serial:
        wire.proxy.use(serial)
        thread = threading.Thread(target=work, args=(wire, "first", 1))
        thread.start()
        wait_until(lambda: serial.waiting == 1)
        assert serial.order == ()
        serial.pause_harness()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert len(serial.order) == 2


def test_whoever_is_kept_still_is_not_drawn(wire: Wire, asleep: SerialController):
    asleep.keep_still("first")
    thread = threading.Thread(target=work, args=(wire, "first", 1))
    thread.start()
    wait_until(lambda: asleep.waiting == 1)
    work(wire, "second", 2)
    assert all(request.startswith("second ") for request in asleep.order)
    asleep.let_on("first")
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert len(asleep.order) == 3 + 2


def test_what_is_armed_while_a_request_waits_strikes_it(wire: Wire):
    rules = RuleController()
    with SerialController(rules, 1, lambda: 0, patience=QUICK) as serial:
        wire.proxy.use(serial)
        with wire.connect("first") as connection:
            serial.keep_still("first")
            failed: list[Exception] = []

            def insert() -> None:
                try:
                    connection.execute("insert into tasks (payload) values ('1')")
                except psycopg.OperationalError as error:
                    failed.append(error)

            thread = threading.Thread(target=insert)
            thread.start()
            wait_until(lambda: serial.waiting == 1)
            is_insert = Rule(matches=lambda e: e.statement.verb == "INSERT", intervention=Cut())
            rules.add(is_insert)
            serial.let_on("first")
            thread.join(WAIT_S)
    assert len(failed) == 1
    assert [event.statement.verb for event in rules.fired(is_insert)] == ["INSERT"]
    assert wire.directly("select count(*) from tasks") == [(0,)]


def test_a_request_that_is_cut_off_while_it_waits_never_came(wire: Wire):
    rules = RuleController()
    with SerialController(rules, 1, lambda: 0, patience=QUICK) as serial:
        wire.proxy.use(serial)
        serial.keep_still("first")
        refused: list[Exception] = []

        def connect() -> None:
            try:
                wire.connect("first")
            except psycopg.OperationalError as error:
                refused.append(error)

        thread = threading.Thread(target=connect)
        thread.start()
        wait_until(lambda: serial.waiting == 1)
        wire.proxy.cut("first")
        thread.join(WAIT_S)
        assert serial.waiting == 0
    assert len(refused) == 1
    assert rules.trace() == ()


def test_what_goes_wrong_in_it_is_raised_and_holds_nobody_up(wire: Wire):
    def look() -> int:
        message = "no eyes"
        raise LookupError(message)

    with SerialController(RuleController(), 1, look, patience=QUICK) as serial:
        wire.proxy.use(serial)
        work(wire, "first", 1)
        with pytest.raises(InfrastructureError, match="no eyes"):
            serial.check()
        serial.check()


def test_what_waits_goes_when_it_is_closed(wire: Wire, asleep: SerialController):
    asleep.keep_still("first")
    thread = threading.Thread(target=work, args=(wire, "first", 3))
    thread.start()
    wait_until(lambda: asleep.waiting == 1)
    asleep.close()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert wire.directly("select count(*) from tasks") == [(3,)]


def test_who_asks_after_a_while_of_itself_is_known_to_come_by_a_timer(
    wire: Wire, asleep: SerialController
):
    with wire.connect("first") as connection:
        connection.execute("select 1 from tasks")
        answered_s = time.monotonic()
        # Nothing is waited for here: that time passes is what it is about.
        wait_until(lambda: time.monotonic() - answered_s > 0.05)
        connection.execute("insert into tasks (payload) values ('late')")
    assert any("INSERT" in key for key in asleep.habits.timed)
