"""What cuts and strandeds do to the database and to the client."""

import psycopg
import pytest
from integration.wire.harness import Wire, sql
from integration.wire.inserts import (
    COUNT,
    INSERT,
    SIDES,
    insert,
    is_commit,
    is_insert,
    wait_count,
    wait_gone,
)

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention


@SIDES
def test_a_cut_at_commit(wire: Wire, side: Side):
    rule = wire.rule(matches=is_commit, intervention=Intervention.CUT, side=side)
    with pytest.raises(psycopg.OperationalError):
        insert(wire, transaction=True)
    wire.fired(rule)
    wire.wait_balanced()
    wait_count(wire, 1 if side is Side.AFTER else 0)
    assert wire.ends("w")[-1][1] == ("COMMIT" if side is Side.AFTER else "CUT")


@SIDES
@pytest.mark.parametrize("simple", [True, False])
def test_a_cut_at_a_statement_that_commits_by_itself(wire: Wire, side: Side, simple: bool):
    rule = wire.rule(matches=is_insert, intervention=Intervention.CUT, side=side)
    with pytest.raises(psycopg.OperationalError):
        insert(wire, simple=simple)
    wire.fired(rule)
    wait_count(wire, 1 if side is Side.AFTER else 0)


def test_a_cut_after_a_statement_in_a_transaction_undoes_it(wire: Wire):
    rule = wire.rule(matches=is_insert, intervention=Intervention.CUT, side=Side.AFTER)
    with pytest.raises(psycopg.OperationalError):
        insert(wire, transaction=True)
    assert wire.fired(rule).completion == "INSERT 0 1"
    wait_count(wire, 0)


def test_rows_of_a_reply_that_is_cut_are_not_delivered(wire: Wire):
    wire.rule(matches=is_insert, intervention=Intervention.CUT, side=Side.AFTER)
    with wire.connect("w") as connection:
        cursor = connection.cursor()
        with pytest.raises(psycopg.OperationalError):
            next(cursor.stream("insert into tasks default values returning id"))
    wait_count(wire, 1)


@SIDES
def test_the_client_is_told_of_a_cut_at_once(wire: Wire, side: Side):
    wire.rule(
        matches=lambda event: event.key == "CONNECT", intervention=Intervention.CUT, side=side
    )
    with pytest.raises(psycopg.OperationalError):
        wire.connect("w")
    with wire.connect("w") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


@SIDES
def test_a_stranded_session_lives_on_without_its_client(wire: Wire, side: Side):
    with wire.connect("w", autocommit=False) as connection:
        pid = connection.info.backend_pid
        connection.execute(INSERT)
        update = "update tasks set status = 'lost'"
        wire.rule(
            matches=lambda event: sql(event) == update, intervention=Intervention.STRAND, side=side
        )
        with pytest.raises(psycopg.OperationalError):
            connection.execute(update)
    wire.wait_balanced()
    session = f"select state from pg_stat_activity where pid = {pid}"
    assert wire.directly(session) == [("idle in transaction",)]
    wire.proxy.end_stranded("w")
    wait_gone(wire, session)
    assert wire.directly(COUNT) == [(0,)]


def test_a_stranded_session_outlives_the_kill_of_its_component(wire: Wire):
    with wire.connect("w", autocommit=False) as connection:
        pid = connection.info.backend_pid
        wire.rule(matches=is_insert, intervention=Intervention.STRAND, side=Side.AFTER)
        with pytest.raises(psycopg.OperationalError):
            connection.execute(INSERT)
    with wire.connect("w") as connection:
        wire.proxy.cut("w")
        with pytest.raises(psycopg.OperationalError):
            connection.execute(COUNT)
    session = f"select state from pg_stat_activity where pid = {pid}"
    assert wire.directly(session) == [("idle in transaction",)]
    wire.proxy.end_stranded("w")
    wait_gone(wire, session)
