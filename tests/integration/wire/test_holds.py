"""Requests and replies that are kept back for a while."""

import threading
import time

from integration.wire.harness import WAIT_S, Wire, sql
from integration.wire.inserts import COUNT, INSERT, SIDES, insert, is_commit, is_insert

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention

HOLD = Intervention.HOLD


@SIDES
def test_a_hold_is_felt_harmless_and_ends_by_itself(wire: Wire, side: Side):
    rule = wire.rule(matches=is_insert, intervention=HOLD, side=side, hold_ms=100)
    started = time.monotonic()
    insert(wire)
    assert time.monotonic() - started >= 0.1
    wire.fired(rule)
    assert wire.directly(COUNT) == [(1,)]


def test_a_hold_until_another_commits(wire: Wire):
    held = wire.rule(
        matches=lambda event: event.component == "second" and event.statement.verb == "SELECT",
        intervention=HOLD,
        hold_ms=60_000,
    )
    wire.rule(
        matches=lambda event: event.component == "first" and is_commit(event),
        intervention=HOLD,
        side=Side.AFTER,
        on_act=lambda _event: held.release(),
    )
    found = []

    def count() -> None:
        with wire.connect("second") as connection:
            found.append(connection.execute(COUNT, prepare=True).fetchone())

    thread = threading.Thread(target=count)
    thread.start()
    wire.fired(held)
    insert(wire, transaction=True, component="first")
    thread.join(WAIT_S)
    assert found == [(1,)]


def test_a_hold_that_is_released_before_it_begins_ends_at_once(wire: Wire):
    rule = wire.rule(matches=is_insert, intervention=HOLD, hold_ms=60_000)
    wire.release(rule)
    insert(wire)
    wire.fired(rule)
    assert wire.directly(COUNT) == [(1,)]


def test_a_held_reply_is_delivered_in_order(wire: Wire):
    rule = wire.rule(matches=is_insert, intervention=HOLD, side=Side.AFTER, hold_ms=60_000)
    with wire.connect("w") as connection:
        threading.Thread(target=lambda: (wire.fired(rule), wire.release(rule))).start()
        with connection.pipeline():
            cursors = [connection.execute("select %s::int", [n]) for n in range(5)]
            cursors.append(connection.execute(f"{INSERT} returning 5"))
            cursors += [connection.execute("select %s::int", [n]) for n in range(6, 10)]
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(10)]
    wire.wait_balanced()


def test_a_held_reply_of_megabytes_arrives_whole(wire: Wire):
    query = "select n, repeat('x', 1000) from generate_series(1, 5000) n"
    rule = wire.rule(
        matches=lambda event: sql(event) == query,
        intervention=HOLD,
        side=Side.AFTER,
        hold_ms=50,
    )
    with wire.connect("w") as connection:
        rows = connection.execute(query).fetchall()
    assert wire.fired(rule).completion == "SELECT 5000"
    assert [number for number, _text in rows] == list(range(1, 5001))


def test_requests_that_pile_up_behind_a_hold_are_forwarded_in_order(wire: Wire):
    rule = wire.rule(
        matches=lambda event: event.parameters()[:1] == ("3",),
        intervention=HOLD,
        hold_ms=60_000,
    )
    releasing = threading.Thread(target=lambda: (wire.fired(rule), wire.release(rule)))
    releasing.start()
    with wire.connect("w") as connection, connection.pipeline() as pipeline:
        for number in range(200):
            insert_both = "insert into tasks (status, payload) values (%s, %s)"
            connection.execute(insert_both, [str(number), "y" * 10_000])
        pipeline.sync()
    releasing.join(WAIT_S)
    found = wire.directly("select status from tasks order by id")
    assert found == [(str(number),) for number in range(200)]
    wire.wait_balanced()
