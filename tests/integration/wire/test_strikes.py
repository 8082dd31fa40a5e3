"""Kills and pauses at an event, of a process that has several connections."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from integration.wire.harness import WAIT_S, Wire
from integration.wire.inserts import COUNT, SIDES, is_commit, wait_rows

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.targets.keeper import Child, Keeper

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
    rule = wire.rule(
        nth=20,
        matches=lambda event: started and event.statement.verb == "COMMIT",
        intervention=Intervention.FREEZE,
        side=side,
        on_act=lambda _event: started[0].signal(signal.SIGKILL),
    )
    with child(keeper, wire, tmp_path) as process:
        started.append(process)
        event = wire.fired(rule)
        assert process.wait(WAIT_S) == -signal.SIGKILL
    wire.proxy.cut("w")
    wire.wait_balanced()
    # Every round has committed one row by itself and one by the COMMIT.
    complete = event.nth if side is Side.AFTER else event.nth - 1
    wait_rows(wire, "open", complete)
    wait_rows(wire, "new", event.nth)
    wire.proxy.started("w")
    with wire.connect("w") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@SIDES
def test_a_pause_cuts_nothing_and_is_lifted(wire: Wire, keeper: Keeper, tmp_path: Path, side: Side):
    started: list[Child] = []
    rule = wire.rule(
        nth=5,
        matches=lambda event: started and is_commit(event),
        intervention=Intervention.FREEZE,
        side=side,
        on_act=lambda _event: started[0].signal(signal.SIGSTOP),
    )
    with child(keeper, wire, tmp_path) as process:
        started.append(process)
        wire.fired(rule)
        seen = len(wire.events())
        waiting = threading.Thread(target=lambda: wire.connect("w").close())
        waiting.start()
        rows = wire.directly(COUNT)
        assert wire.directly(COUNT) == rows
        assert len(wire.events()) == seen
        assert waiting.is_alive()
        process.signal(signal.SIGCONT)
        wire.proxy.unfreeze("w")
        assert process.wait(60) == 0
        waiting.join(WAIT_S)
        assert not waiting.is_alive()
    assert wire.directly(COUNT) == [(600,)]
    wire.wait_balanced()
