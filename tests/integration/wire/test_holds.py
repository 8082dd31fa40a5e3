"""Requests and replies that are kept back for a while."""

import threading
import time

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire
from integration.wire.inserts import COUNT, INSERT, SIDES, insert, is_commit, is_insert, wait_count

from chaosfuzz.wire import (
    Cut,
    Delay,
    Hold,
    Intervention,
    Phase,
    Release,
    Side,
)


@SIDES
def test_a_delay_is_felt_and_harmless(wire: Wire, side: Side):
    rule = wire.rule(matches=is_insert, intervention=Delay(delay_ms=100, side=side))
    started = time.monotonic()
    insert(wire)
    assert time.monotonic() - started >= 0.1
    wire.fired(rule)
    assert wire.directly(COUNT) == [(1,)]


def test_a_hold_until_another_commits(wire: Wire):
    release = Release()
    held = wire.rule(
        component="second",
        matches=lambda event: event.statement.verb == "SELECT",
        intervention=Hold(release=release, deadline_ms=60_000),
    )
    wire.controller.add_listener(
        lambda event: release.set() if event.component == "first" and is_commit(event) else None
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
    assert not wire.fired(held).expired


def test_a_hold_that_nobody_releases_ends_at_its_deadline(wire: Wire):
    held = wire.rule(matches=is_insert, intervention=Hold(release=Release(), deadline_ms=20))
    insert(wire)
    assert wire.fired(held).expired
    assert wire.directly(COUNT) == [(1,)]


@pytest.mark.parametrize("then", [Cut(), Cut(side=Side.AFTER)], ids=["before", "after"])
def test_a_hold_ends_in_another_intervention(wire: Wire, then: Intervention):
    release = Release()
    release.set()
    wire.rule(matches=is_insert, intervention=Hold(release=release, deadline_ms=60_000, then=then))
    with pytest.raises(psycopg.OperationalError):
        insert(wire)
    wait_count(wire, 1 if then.side is Side.AFTER else 0)
    acted = [entry.detail for entry in wire.controller.trace() if entry.phase is Phase.ACTED]
    assert acted == ["Hold before", f"Cut {then.side.value}"]


def test_a_held_reply_is_delivered_in_order(wire: Wire):
    release = Release()
    rule = wire.rule(
        matches=is_insert,
        intervention=Hold(release=release, deadline_ms=60_000, side=Side.AFTER),
    )
    with wire.connect("w") as connection:
        threading.Thread(target=lambda: (wire.fired(rule), release.set())).start()
        with connection.pipeline():
            cursors = [connection.execute("select %s::int", [n]) for n in range(5)]
            cursors.append(connection.execute(f"{INSERT} returning 5"))
            cursors += [connection.execute("select %s::int", [n]) for n in range(6, 10)]
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(10)]
    wire.wait_balanced()


def test_a_held_reply_of_megabytes_arrives_whole(wire: Wire):
    query = "select n, repeat('x', 1000) from generate_series(1, 5000) n"
    rule = wire.rule(
        matches=lambda event: event.sql == query,
        intervention=Hold(release=Release(), deadline_ms=50, side=Side.AFTER),
    )
    with wire.connect("w") as connection:
        rows = connection.execute(query).fetchall()
    assert wire.fired(rule).completion == "SELECT 5000"
    assert [number for number, _text in rows] == list(range(1, 5001))


def test_requests_that_pile_up_behind_a_hold_are_forwarded_in_order(wire: Wire):
    release = Release()
    rule = wire.rule(
        matches=lambda event: event.parameters()[:1] == ("3",),
        intervention=Hold(release=release, deadline_ms=60_000),
    )
    releasing = threading.Thread(target=lambda: (wire.fired(rule), release.set()))
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
