"""Brings workers back that ended, as a service manager or an engine's restart policy would."""

import time
from collections.abc import Collection

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.history import ProcessExit

FIRST_DELAY_S = 0.2
# As Docker's engine begins.
ENGINE_DELAY_S = 0.1
LONGEST_DELAY_S = 3.2


class Restarts:
    """Decides who is started again, and when: soon, and later each time.

    Whom a step ended stays down, unless a step has set the policy and it was not asked politely:
    an engine undoes a kill and not a stop.
    """

    def __init__(self, policy: Restart, *, first_delay_s: float = FIRST_DELAY_S) -> None:
        self._policy = policy
        self._first_delay_s = first_delay_s
        self._of_component: dict[str, Restart] = {}
        self._asked: set[str] = set()
        self._delay_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}

    def policy(self, component: str) -> Restart:
        """Return what holds for a component."""
        return self._of_component.get(component, self._policy)

    def set_policy(self, component: str, policy: Restart) -> bool:
        """Have it hold for a component; False if it does."""
        if self.policy(component) == policy:
            return False
        self._of_component[component] = policy
        if policy == "never":
            self._due_s.pop(component, None)
        return True

    def asked_to_end(self, component: str) -> None:
        """Take note that a component is asked politely, and is meant to stay down."""
        self._asked.add(component)

    def note(self, gone: ProcessExit) -> float | None:
        """Take note of an end; return after how many seconds it is undone, None if it is not."""
        self._due_s.pop(gone.component, None)
        meant = gone.ordered and (
            gone.component in self._asked or gone.component not in self._of_component
        )
        self._asked.discard(gone.component)
        policy = self.policy(gone.component)
        wanted = policy == "always" or (policy == "on-failure" and gone.exit_code != 0)
        if meant or not wanted or not gone.component.startswith("worker-"):
            return None
        delay_s = self._delay_s.get(gone.component, self._first_delay_s)
        self._delay_s[gone.component] = min(2 * delay_s, LONGEST_DELAY_S)
        self._due_s[gone.component] = time.monotonic() + delay_s
        return delay_s

    def due(self, running: Collection[str]) -> list[str]:
        """Return those to start now; whoever runs again meanwhile is not due any more."""
        now_s = time.monotonic()
        for name in [name for name in self._due_s if name in running]:
            del self._due_s[name]
        chosen = [name for name, due_s in self._due_s.items() if due_s <= now_s]
        for name in chosen:
            del self._due_s[name]
        return chosen
