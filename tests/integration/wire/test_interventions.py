"""What each intervention does to the database and to the client."""

import contextlib
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.wire import (
    Cut,
    Delay,
    Event,
    Hold,
    Intervention,
    Phase,
    Release,
    Rule,
    Side,
    Strike,
    Zombie,
)
from chaosfuzz.wire.alphabet import is_fruitful

INSERT = "insert into tasks (status) values ('new')"
COUNT = "select count(*) from tasks"
SIDES = pytest.mark.parametrize("side", Side)


def is_insert(event: Event) -> bool:
    return event.statement.verb == "INSERT"


def is_commit(event: Event) -> bool:
    return event.statement.verb == "COMMIT"


def insert(wire: Wire, *, transaction: bool = False, simple: bool = False, component: str = "w"):
    with wire.connect(component, autocommit=not transaction) as connection:
        if simple:
            connection.execute(f"{INSERT}; select 1")
        else:
            connection.execute(INSERT, [], prepare=True)


def wait_count(wire: Wire, count: int):
    deadline = time.monotonic() + WAIT_S
    while wire.directly(COUNT) != [(count,)]:
        assert time.monotonic() < deadline, wire.directly(COUNT)


@SIDES
def test_a_cut_at_commit(wire: Wire, side: Side):
    rule = wire.rule(matches=is_commit, intervention=Cut(side=side))
    with pytest.raises(psycopg.OperationalError):
        insert(wire, transaction=True)
    wire.fired(rule)
    wire.wait_balanced()
    wait_count(wire, 1 if side is Side.AFTER else 0)
    assert wire.ends("w")[-1][1] == ("COMMIT" if side is Side.AFTER else "CUT")


@SIDES
@pytest.mark.parametrize("simple", [True, False])
def test_a_cut_at_a_statement_that_commits_by_itself(wire: Wire, side: Side, simple: bool):
    rule = wire.rule(matches=is_insert, intervention=Cut(side=side))
    with pytest.raises(psycopg.OperationalError):
        insert(wire, simple=simple)
    wire.fired(rule)
    wait_count(wire, 1 if side is Side.AFTER else 0)


def test_a_cut_after_a_statement_in_a_transaction_undoes_it(wire: Wire):
    rule = wire.rule(matches=is_insert, intervention=Cut(side=Side.AFTER))
    with pytest.raises(psycopg.OperationalError):
        insert(wire, transaction=True)
    assert wire.fired(rule).completion == "INSERT 0 1"
    wait_count(wire, 0)


def test_rows_of_a_reply_that_is_cut_are_not_delivered(wire: Wire):
    wire.rule(matches=is_insert, intervention=Cut(side=Side.AFTER))
    with wire.connect("w") as connection:
        cursor = connection.cursor()
        with pytest.raises(psycopg.OperationalError):
            next(cursor.stream("insert into tasks default values returning id"))
    wait_count(wire, 1)


@SIDES
def test_the_client_is_told_of_a_cut_at_once(wire: Wire, side: Side):
    wire.rule(matches=lambda event: event.key == "CONNECT", intervention=Cut(side=side))
    with pytest.raises(psycopg.OperationalError):
        wire.connect("w")
    with wire.connect("w") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


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


@SIDES
def test_a_zombie_session_lives_on_without_its_client(wire: Wire, side: Side):
    with wire.connect("w", autocommit=False) as connection:
        pid = connection.info.backend_pid
        connection.execute(INSERT)
        update = "update tasks set status = 'lost'"
        wire.rule(matches=lambda event: event.sql == update, intervention=Zombie(side=side))
        with pytest.raises(psycopg.OperationalError):
            connection.execute(update)
    wire.wait_balanced()
    session = f"select state from pg_stat_activity where pid = {pid}"
    assert wire.directly(session) == [("idle in transaction",)]
    wire.proxy.cut_all("w")
    wait_gone(wire, session)
    assert wire.directly(COUNT) == [(0,)]


def test_a_zombie_session_outlives_the_kill_of_its_component(wire: Wire):
    with wire.connect("w", autocommit=False) as connection:
        pid = connection.info.backend_pid
        wire.rule(matches=is_insert, intervention=Zombie(side=Side.AFTER))
        with pytest.raises(psycopg.OperationalError):
            connection.execute(INSERT)
    killed = wire.rule(
        matches=lambda event: event.sql == COUNT, intervention=Strike(action=lambda _: None)
    )
    with wire.connect("w") as connection, pytest.raises(psycopg.OperationalError):
        connection.execute(COUNT)
    wire.fired(killed)
    session = f"select state from pg_stat_activity where pid = {pid}"
    assert wire.directly(session) == [("idle in transaction",)]
    wire.proxy.cut_all("w")
    wait_gone(wire, session)


def wait_gone(wire: Wire, session: str):
    deadline = time.monotonic() + WAIT_S
    while wire.directly(session):
        assert time.monotonic() < deadline, "the session stays"


CHILD = """
import sys
import psycopg
with psycopg.connect(sys.argv[1], autocommit=True) as one, psycopg.connect(sys.argv[1]) as two:
    for number in range(300):
        two.execute("insert into tasks (status) values ('open')")
        one.execute("insert into tasks (status) values ('new')")
        two.commit()
"""


@contextlib.contextmanager
def child(keeper: Keeper, wire: Wire, directory: Path) -> Iterator[Child]:
    wire.port("w")
    started = keeper.execute(
        [sys.executable, "-c", CHILD, wire.dsn("w")], log_path=directory / "child.log"
    )
    try:
        yield started
    finally:
        started.kill_tree()
        started.wait(WAIT_S)
        started.close()


@SIDES
def test_a_kill_is_atomic_for_the_database(wire: Wire, keeper: Keeper, tmp_path: Path, side: Side):
    started: list[Child] = []
    strike = Strike(action=lambda _: started[0].signal(signal.SIGKILL), side=side)
    rule = wire.rule(
        nth=20,
        matches=lambda event: started and event.statement.verb == "COMMIT",
        intervention=strike,
    )
    with child(keeper, wire, tmp_path) as process:
        started.append(process)
        event = wire.fired(rule)
        assert process.wait(WAIT_S) == -signal.SIGKILL
    wire.wait_balanced()
    # Every round has committed one row by itself and one by the COMMIT.
    complete = event.nth if side is Side.AFTER else event.nth - 1
    wait_rows(wire, "open", complete)
    wait_rows(wire, "new", event.nth)
    with pytest.raises(psycopg.OperationalError):
        wire.connect("w")
    assert wire.proxy.new_incarnation("w") == 1
    with wire.connect("w") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def wait_rows(wire: Wire, status: str, count: int):
    deadline = time.monotonic() + WAIT_S
    query = f"select count(*) from tasks where status = '{status}'"
    while wire.directly(query) != [(count,)]:
        assert time.monotonic() < deadline, (status, wire.directly(query), count)


@SIDES
def test_a_pause_cuts_nothing_and_is_lifted(wire: Wire, keeper: Keeper, tmp_path: Path, side: Side):
    started: list[Child] = []
    strike = Strike(action=lambda _: started[0].signal(signal.SIGSTOP), side=side, abort=False)
    rule = wire.rule(nth=5, matches=lambda event: started and is_commit(event), intervention=strike)
    with child(keeper, wire, tmp_path) as process:
        started.append(process)
        wire.fired(rule)
        seen = len(wire.controller.trace())
        waiting = threading.Thread(target=lambda: wire.connect("w").close())
        waiting.start()
        rows = wire.directly(COUNT)
        assert wire.directly(COUNT) == rows
        assert len(wire.controller.trace()) == seen
        assert waiting.is_alive()
        process.signal(signal.SIGCONT)
        wire.proxy.thaw("w")
        assert process.wait(60) == 0
        waiting.join(WAIT_S)
        assert not waiting.is_alive()
    assert wire.directly(COUNT) == [(600,)]
    wire.wait_balanced()


def test_a_strike_that_does_not_stay_frozen_goes_on_by_itself(wire: Wire):
    struck = []
    strike = Strike(action=struck.append, abort=False, stay_frozen=False)
    wire.rule(matches=is_insert, intervention=strike)
    insert(wire)
    assert [event.statement.verb for event in struck] == ["INSERT"]
    assert wire.directly(COUNT) == [(1,)]


def test_a_new_incarnation_counts_anew_and_the_total_goes_on(wire: Wire):
    counted = []
    wire.controller.add_listener(
        lambda event: (
            counted.append((event.incarnation, event.nth, event.total))
            if is_insert(event)
            else None
        )
    )
    insert(wire)
    insert(wire)
    wire.proxy.new_incarnation("w")
    insert(wire)
    assert counted == [(0, 1, 1), (0, 2, 2), (1, 1, 3)]


def test_a_claim_that_found_something_is_told_from_polls_in_vain(wire: Wire):
    claim = "update tasks set status = 'running' where status = 'new'"
    rule = wire.rule(
        nth=2,
        matches=lambda event: event.sql == claim,
        if_ended=lambda event: is_fruitful(event.completion),
        intervention=Cut(side=Side.AFTER),
    )
    with wire.connect("w") as connection:
        for found in (0, 1, 0):
            if found:
                wire.directly(INSERT)
            assert connection.execute(claim).rowcount == found
        wire.directly(INSERT)
        with pytest.raises(psycopg.OperationalError):
            connection.execute(claim)
    assert wire.fired(rule).nth == 4
    wait_rows(wire, "running", 2)


def test_a_rule_about_an_end_cannot_act_before():
    with pytest.raises(UsageError, match="if_ended"):
        Rule(if_ended=lambda _: True, intervention=Cut())


def test_a_moment_that_never_came_is_visible(wire: Wire):
    never = wire.rule(nth=3, matches=is_insert, intervention=Cut())
    skipped = wire.rule(
        matches=lambda event: event.sql == "delete from tasks", intervention=Cut(side=Side.AFTER)
    )
    insert(wire)
    with (
        wire.connect("w") as connection,
        contextlib.suppress(psycopg.errors.DivisionByZero),
        connection.pipeline(),
    ):
        connection.execute("select 1/0")
        connection.execute("delete from tasks")
    wire.wait_balanced()
    assert wire.controller.never_came() == (never, skipped)
    assert wire.controller.wait_fired(never, 0) is None


def test_an_action_that_fails_is_the_harness_failing(wire: Wire):
    def action(_: Event) -> None:
        raise ProcessLookupError("on purpose")

    rule = wire.rule(matches=is_insert, intervention=Strike(action=action))
    with pytest.raises(psycopg.OperationalError):
        insert(wire)
    wire.fired(rule)
    with pytest.raises(InfrastructureError, match="on purpose"):
        wire.proxy.check()
    wire.proxy.check()


def test_a_controller_that_fails_is_the_harness_failing(wire: Wire):
    def fail(event: Event) -> bool:
        raise OSError(f"at {event.key}")

    wire.rule(matches=fail, intervention=Cut())
    with pytest.raises(psycopg.OperationalError):
        insert(wire)
    with pytest.raises(InfrastructureError, match="at CONNECT"):
        wire.proxy.check()


def test_ports_are_freed_and_taken_ones_named(wire: Wire):
    port = wire.port("w")
    with pytest.raises(InfrastructureError, match=str(port)):
        wire.proxy.listen("other", "/nowhere", port)
    wire.proxy.close_component("w")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert wire.proxy.listen("other", "/nowhere", port) == port
