"""What the engine tells by itself of a run's containers: ends, and lack of memory."""

import threading
import time
from collections import defaultdict

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.engine import Engine

_BUSY_S = 5.0


class EventStream:
    """A thread that listens to the events of containers with a label."""

    def __init__(self, engine: Engine, label: str) -> None:
        self._stream = engine.events({"label": label, "type": "container"})
        self._changed = threading.Condition()
        self._exit_codes: dict[str, list[int]] = defaultdict(list)
        self._out_of_memory: dict[str, list[float]] = defaultdict(list)
        self._ended = ""
        self._is_closed = False
        self._thread = threading.Thread(target=self._listen, name="docker-events", daemon=True)
        self._thread.start()

    def exit_code(self, identity: str, number: int, timeout_s: float) -> int | None:
        """Wait until a container has ended for the nth time; return its exit code then.

        None at the deadline. Raises InfrastructureError if the engine tells no more.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._exit_codes[identity]) >= number or self._ended, timeout_s
            )
            codes = self._exit_codes[identity]
            if len(codes) >= number:
                return codes[number - 1]
        if self._ended:
            raise InfrastructureError(
                cause=f"the Docker engine stopped reporting events: {self._ended}",
                remedy="look at the engine's log, restart dockerd and run again",
            )
        return None

    def deaths(self, identity: str) -> int:
        """Return how often a container has ended so far."""
        with self._changed:
            return len(self._exit_codes[identity])

    def out_of_memory(self, identity: str) -> tuple[float, ...]:
        """Return when the kernel killed something of a container for memory, monotonic seconds."""
        with self._changed:
            return tuple(self._out_of_memory[identity])

    def close(self) -> None:
        """End the thread."""
        self._is_closed = True
        self._stream.close()
        self._thread.join(_BUSY_S)

    def _listen(self) -> None:
        try:
            for event in self._stream:
                self._take(event)
            why = "the stream has ended"
        except Exception as error:  # noqa: BLE001 - told to whoever waits for an event
            why = str(error) or type(error).__name__
        with self._changed:
            if not self._is_closed:
                self._ended = f"{why} ({time.strftime('%H:%M:%S')})"
            self._changed.notify_all()

    def _take(self, event: dict[str, object]) -> None:
        identity, action = str(event.get("id")), event.get("status")
        with self._changed:
            if action == "die":
                actor = event.get("Actor")
                attributes = actor.get("Attributes") if isinstance(actor, dict) else None
                code = attributes.get("exitCode") if isinstance(attributes, dict) else None
                self._exit_codes[identity].append(int(str(code or 0)))
            elif action == "oom":
                self._out_of_memory[identity].append(time.monotonic())
            self._changed.notify_all()
