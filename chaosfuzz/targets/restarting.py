"""Decides when ended workers start again, as a service manager or a container engine would."""

import time
from collections.abc import Collection

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.history import ProcessExit

# Chosen by hand, as is the longest delay: doubled four times, the first delay reaches it.
FIRST_DELAY_S = 0.2
# The first delay of Docker's engine, which doubles it too.
ENGINE_DELAY_S = 0.1
LONGEST_DELAY_S = 3.2


class Restarts:
    """Decides which workers start again, and when: the delay doubles at each end of a worker.

    `policy` holds for every worker whose policy no step has set. A worker that a step ended stays
    down, with one exception: if a step had set its policy, a SIGKILL is undone and a graceful
    shutdown is not, as a container engine does it. Delays are in seconds.
    """

    def __init__(self, policy: Restart, *, first_delay_s: float = FIRST_DELAY_S) -> None:
        self._policy = policy
        self._first_delay_s = first_delay_s
        self._policies: dict[str, Restart] = {}
        self._shut_down: set[str] = set()
        self._delay_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}

    def policy(self, component: str) -> Restart:
        """Return the policy that holds for a component."""
        return self._policies.get(component, self._policy)

    def set_policy(self, component: str, policy: Restart) -> bool:
        """Set a component's policy; return False if it holds already. `never` cancels a restart."""
        if self.policy(component) == policy:
            return False
        self._policies[component] = policy
        if policy == "never":
            self._due_s.pop(component, None)
        return True

    def asked_to_end(self, component: str) -> None:
        """Record that a step shuts a component down gracefully, so that it stays down."""
        self._shut_down.add(component)

    def note(self, ended: ProcessExit) -> float | None:
        """Record an end; return the seconds until the worker starts again, None if it stays down.

        Only workers start again, `on-failure` after an exit code that is not 0.
        """
        name = ended.component
        self._due_s.pop(name, None)
        stays_down = ended.ordered and (name in self._shut_down or name not in self._policies)
        self._shut_down.discard(name)
        policy = self.policy(name)
        wanted = policy == "always" or (policy == "on-failure" and ended.exit_code != 0)
        if stays_down or not wanted or not name.startswith("worker-"):
            return None
        delay_s = self._delay_s.get(name, self._first_delay_s)
        self._delay_s[name] = min(2 * delay_s, LONGEST_DELAY_S)
        self._due_s[name] = time.monotonic() + delay_s
        return delay_s

    def due(self, running: Collection[str]) -> list[str]:
        """Return the workers to start now, each once; forget those that run again by themselves."""
        now_s = time.monotonic()
        pending = {name: due_s for name, due_s in self._due_s.items() if name not in running}
        self._due_s = {name: due_s for name, due_s in pending.items() if due_s > now_s}
        return [name for name in pending if name not in self._due_s]
