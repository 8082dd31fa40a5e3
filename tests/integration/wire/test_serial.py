"""One request at a time, in an order that follows from the seed."""

import threading
import time

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire

from chaosfuzz.wire import Cut, Rule, RuleController, SerialController

WORKERS = ("first", "second")


def work(wire: Wire, component: str, rounds: int):
    with wire.connect(component) as connection:
        for number in range(rounds):
            connection.execute("insert into tasks (payload) values (%s)", [str(number)])


def run(wire: Wire, seed: int, rounds: int = 6) -> tuple[str, ...]:
    with SerialController(RuleController(), seed, WORKERS, patience_ms=300) as serial:
        for component in WORKERS:
            wire.port(component)
        wire.proxy.use(serial)
        threads = [threading.Thread(target=work, args=(wire, name, rounds)) for name in WORKERS]
        for thread in threads:
            thread.start()
        # Whoever is done first is no longer waited for; its last requests are in the order.
        while all(thread.is_alive() for thread in threads):
            threading.Event().wait(0.002)
        serial.expect([n for n, t in zip(WORKERS, threads, strict=True) if t.is_alive()])
        for thread in threads:
            thread.join(WAIT_S)
        assert not any(thread.is_alive() for thread in threads)
        assert serial.blocked == 0
        return serial.order


def test_the_order_follows_from_the_seed(wire: Wire):
    first = run(wire, 7)
    assert len(first) == 2 * 7
    assert run(wire, 7) == first
    assert {run(wire, seed) for seed in (8, 9, 10)} != {first}


def test_a_request_that_waits_for_a_lock_does_not_hold_up_the_others(wire: Wire):
    wire.directly("insert into tasks (status) values ('new')")
    with SerialController(RuleController(), 1, (), patience_ms=1, blocked_ms=30) as serial:
        wire.proxy.use(serial)
        with wire.connect("first", autocommit=False) as holder, wire.connect("second") as other:
            holder.execute("update tasks set status = 'locked'")
            thread = threading.Thread(target=other.execute, args=["update tasks set status = 'x'"])
            thread.start()
            deadline = time.monotonic() + WAIT_S
            while not serial.blocked:
                assert time.monotonic() < deadline
            holder.commit()
            thread.join(WAIT_S)
            assert not thread.is_alive()
    assert wire.directly("select status from tasks") == [("x",)]


def test_moments_strike_in_serial_order_too(wire: Wire):
    rule = Rule(matches=lambda event: event.statement.verb == "INSERT", intervention=Cut())
    rules = RuleController([rule])
    with SerialController(rules, 1, (), patience_ms=1) as serial:
        wire.proxy.use(serial)
        with pytest.raises(psycopg.OperationalError):
            work(wire, "first", 1)
    assert [event.statement.verb for event in rules.fired(rule)] == ["INSERT"]
    assert wire.directly("select count(*) from tasks") == [(0,)]
