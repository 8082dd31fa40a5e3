"""A proxy in front of a real database, with what tests ask of it."""

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import psycopg

from chaosfuzz.targets.postgres import Cluster
from chaosfuzz.wire import LaneWire
from chaosfuzz.wire.event import Event
from chaosfuzz.wire.rules import Rule

WAIT_S = 10.0


def sql(event: Event) -> str:
    return event.text.decode("utf-8", "replace")


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@dataclass
class Proxied:
    """A proxy, with rules of the test's own and what came of them."""

    proxy: LaneWire
    acted: dict[Rule, "queue.SimpleQueue[Event]"] = field(default_factory=dict)

    def rule(self, **fields: object) -> Rule:
        """Add a rule; `on_act` is called as well as noted."""
        seen: queue.SimpleQueue[Event] = queue.SimpleQueue()
        told = fields.pop("on_act", lambda _event: None)

        def on_act(event: Event) -> None:
            seen.put(event)
            told(event)

        rule = Rule(on_act=on_act, **fields)
        self.acted[rule] = seen
        self.run(partial(self.proxy._controller.add, rule))
        return rule

    def run(self, function: Callable[[], object]) -> object:
        return self.proxy._loop.run(function)

    def fired(self, rule: Rule) -> Event:
        """Return the event at which the rule has acted."""
        return self.acted[rule].get(timeout=WAIT_S)

    def has_fired(self, rule: Rule) -> bool:
        return not self.acted[rule].empty()

    def release(self, rule: Rule) -> None:
        self.run(rule.release)

    def events(self) -> tuple[Event, ...]:
        return self.run(lambda: self.proxy._controller.events)

    def wait_balanced(self) -> None:
        """Wait until every event that arrived has ended.

        A client has its answer an instant before that.
        """
        wait_until(lambda: all(event.status is not None for event in self.events()))

    def ends(self, component: str = "worker-1") -> list[tuple[str, str]]:
        """Return key and completion of all events in order of arrival, once they have ended."""
        self.wait_balanced()
        return [(e.key, e.completion) for e in self.events() if e.component == component]


@dataclass
class Wire(Proxied):
    """A proxy in front of a database that is fresh for the test."""

    cluster: Cluster = field(kw_only=True)
    database: str = field(kw_only=True)

    def port(self, component: str) -> int:
        return self.proxy.route(component, ("127.0.0.1", self.cluster.port))

    def dsn(self, component: str = "worker-1") -> str:
        return psycopg.conninfo.make_conninfo(
            host="127.0.0.1", port=self.port(component), user="postgres", dbname=self.database
        )

    def connect(self, component: str = "worker-1", *, autocommit: bool = True):
        return psycopg.connect(self.dsn(component), autocommit=autocommit)

    def directly(self, statement: str):
        """Run a statement past the proxy."""
        with psycopg.connect(self.cluster.dsn(self.database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None
