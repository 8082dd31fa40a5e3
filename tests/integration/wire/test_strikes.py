"""Kills and pauses at an event, of a process that has several connections."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire
from integration.wire.inserts import COUNT, SIDES, insert, is_commit, is_insert, wait_rows

from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.wire import (
    Side,
    Strike,
)

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
