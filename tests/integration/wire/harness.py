"""A proxy in front of a real database, with what tests ask of it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from chaosfuzz.targets.postgres import Cluster
from chaosfuzz.wire import Phase, Proxy, Rule, RuleController, TraceEntry

WAIT_S = 10.0


@dataclass
class Wire:
    """A proxy in front of a database that is fresh for the test."""

    proxy: Proxy
    cluster: Cluster
    database: str
    controller: RuleController = field(default_factory=RuleController)
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.proxy.use(self.controller)

    def port(self, component: str) -> int:
        if component not in self.ports:
            upstream = ("127.0.0.1", self.cluster.port)
            self.ports[component] = self.proxy.listen(component, upstream)
        return self.ports[component]

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

    def rule(self, **fields: object) -> Rule:
        rule = Rule(**fields)
        self.controller.add(rule)
        return rule

    def fired(self, rule: Rule):
        event = self.controller.wait_fired(rule, WAIT_S)
        assert event is not None, f"never came: {self.story()}"
        return event

    def ends(self, component: str = "worker-1") -> list[tuple[str, str]]:
        """Return key and completion of all events in order of their end, once they have ended.

        A client has its answer an instant before that.
        """
        self.wait_balanced()
        return [
            (entry.key, entry.detail)
            for entry in self.controller.trace()
            if entry.phase is Phase.ENDED and entry.component == component
        ]

    def wait_ended(self, matches: Callable[[TraceEntry], bool]) -> None:
        assert self.controller.wait_ended(matches, WAIT_S), self.story()

    def wait_balanced(self) -> None:
        """Wait until every event that arrived has ended, and see that it did so once."""
        self.controller.wait_ended(lambda _: not self.open_events(), WAIT_S)
        assert self.open_events() == {}

    def open_events(self) -> dict[object, int]:
        counts: Counter[object] = Counter()
        for entry in self.controller.trace():
            if entry.phase is not Phase.ACTED:
                name = (entry.component, entry.incarnation, entry.key, entry.nth)
                counts[name] += 1 if entry.phase is Phase.ARRIVED else -1
        return {name: count for name, count in counts.items() if count}

    def story(self) -> str:
        return "\n".join(
            f"{e.component}/{e.connection} {e.phase.value} {e.key} #{e.nth} {e.detail}"
            for e in self.controller.trace()
        )
