"""Inserts through the proxy, and what the database has of them."""

import time

import pytest
from integration.wire.harness import WAIT_S, Wire

from chaosfuzz.domain.moment import Side
from chaosfuzz.wire.event import Event

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


def wait_rows(wire: Wire, status: str, count: int):
    deadline = time.monotonic() + WAIT_S
    query = f"select count(*) from tasks where status = '{status}'"
    while wire.directly(query) != [(count,)]:
        assert time.monotonic() < deadline, (status, wire.directly(query), count)


def wait_gone(wire: Wire, session: str):
    deadline = time.monotonic() + WAIT_S
    while wire.directly(session):
        assert time.monotonic() < deadline, "the session stays"
