"""What events rules count, and what is told when something fails."""

import contextlib
import socket

import psycopg
import pytest
from integration.wire.harness import Wire
from integration.wire.inserts import INSERT, insert, is_insert, wait_rows

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.wire import (
    Cut,
    Event,
    Rule,
    Side,
    Strike,
)
from chaosfuzz.wire.alphabet import is_fruitful


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
