"""What events rules count, and what is told when something fails."""

import contextlib
import socket
from contextlib import closing

import psycopg
import pytest
from integration.wire.harness import Wire, sql
from integration.wire.inserts import INSERT, insert, is_insert, wait_rows

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.wire import LaneWire
from chaosfuzz.wire.alphabet import had_effect
from chaosfuzz.wire.event import Event


def test_a_new_incarnation_counts_anew(wire: Wire):
    insert(wire)
    insert(wire)
    wire.proxy.started("w")
    insert(wire)
    assert [event.nth for event in wire.events() if is_insert(event)] == [1, 2, 1]


def test_a_connection_that_outlives_its_incarnation_is_not_counted(wire: Wire):
    with wire.connect("w") as connection:
        connection.execute(INSERT)
        wire.proxy.started("w")
        connection.execute(INSERT)
        insert(wire)
    assert [event.nth for event in wire.events() if is_insert(event)] == [1, 0, 1]


def test_a_claim_that_found_something_is_told_from_polls_in_vain(wire: Wire):
    claim = "update tasks set status = 'running' where status = 'new'"
    rule = wire.rule(
        nth=2,
        matches=lambda event: sql(event) == claim,
        counts_at_end=lambda event: had_effect(event.completion),
        intervention=Intervention.CUT,
        side=Side.AFTER,
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


def test_a_moment_that_never_came_is_visible(wire: Wire):
    never = wire.rule(nth=3, matches=is_insert, intervention=Intervention.CUT)
    skipped = wire.rule(
        matches=lambda event: sql(event) == "delete from tasks",
        intervention=Intervention.CUT,
        side=Side.AFTER,
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
    assert not wire.has_fired(never)
    assert not wire.has_fired(skipped)


def test_an_action_that_fails_is_the_harness_failing(wire: Wire):
    def action(_: Event) -> None:
        raise ProcessLookupError("on purpose")

    rule = wire.rule(matches=is_insert, intervention=Intervention.FREEZE, on_act=action)
    with pytest.raises(psycopg.OperationalError):
        insert(wire)
    wire.fired(rule)
    with pytest.raises(InfrastructureError, match="on purpose"):
        wire.proxy.check()
    wire.proxy.check()


def test_a_controller_that_fails_is_the_harness_failing(wire: Wire):
    def fail(event: Event) -> bool:
        raise OSError(f"at {event.key}")

    wire.rule(matches=fail, intervention=Intervention.CUT)
    with pytest.raises(psycopg.OperationalError):
        insert(wire)
    with pytest.raises(InfrastructureError, match="at CONNECT"):
        wire.proxy.check()


def test_ports_stay_until_the_proxy_is_closed(wire: Wire):
    port = wire.port("w")
    assert wire.port("w") == port
    wire.proxy.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pytest.raises(InfrastructureError, match="closed"):
        wire.port("w")


def test_an_address_that_is_not_this_machine_s_is_named():
    with (
        closing(LaneWire("192.0.2.1")) as proxy,
        pytest.raises(InfrastructureError, match=r"192\.0\.2\.1"),
    ):
        proxy.route("w", "/nowhere")
