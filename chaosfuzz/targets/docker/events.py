"""What the engine reports of a run's containers: ends, and kills for lack of memory."""

import threading
import time
from collections import defaultdict
from typing import Any

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.engine import Engine

# Chosen by hand: the engine reports an end within milliseconds unless the machine is overloaded.
DEATH_TIMEOUT_S = 20.0
# Chosen by hand: the thread ends as soon as its stream is closed.
_JOIN_TIMEOUT_S = 5.0
# Shells and the engine add this to the number of a signal to make an exit code.
_SIGNALLED = 128


class EventStream:
    """A thread that listens to the events of the containers that have a label.

    Raises InfrastructureError if the engine gives no stream of events.
    """

    def __init__(self, engine: Engine, label: str) -> None:
        self._stream = engine.events({"label": label, "type": "container"})
        self._changed = threading.Condition()
        self._exit_codes: dict[str, list[int]] = defaultdict(list)
        self._out_of_memory: dict[str, list[float]] = defaultdict(list)
        self._problem = ""
        self._is_closed = False
        self._thread = threading.Thread(target=self._listen, name="docker-events", daemon=True)
        self._thread.start()

    def exit_code(self, identity: str, number: int) -> int:
        """Wait until a container has ended for the nth time; return its exit code then.

        The exit code is negative for a signal.

        Raises InfrastructureError if the engine does not report it within 20 s, or reports no more.
        """
        with self._changed:
            codes = self._exit_codes[identity]
            self._changed.wait_for(lambda: len(codes) >= number or self._problem, DEATH_TIMEOUT_S)
            if len(codes) >= number:
                code = codes[number - 1]
                return _SIGNALLED - code if code > _SIGNALLED else code
        problem = self._problem or f"no report of its end within {DEATH_TIMEOUT_S:g} s"
        raise InfrastructureError(
            cause=(
                f"the Docker engine does not tell the exit code of the container {identity[:12]}: "
                f"{problem}"
            ),
            remedy="look at the engine's log, restart dockerd and run again",
        )

    def deaths(self, identity: str) -> int:
        """Return how often a container has ended so far."""
        with self._changed:
            return len(self._exit_codes[identity])

    def out_of_memory(self, identity: str) -> tuple[float, ...]:
        """Return when the engine reported kills for lack of memory, in monotonic seconds."""
        with self._changed:
            return tuple(self._out_of_memory[identity])

    def close(self) -> None:
        """Close the stream and end the thread."""
        self._is_closed = True
        self._stream.close()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _listen(self) -> None:
        try:
            for event in self._stream:
                self._record(event)
            problem = "its stream of events has ended"
        except Exception as error:  # noqa: BLE001 - `exit_code` raises it
            problem = str(error) or type(error).__name__
        with self._changed:
            if not self._is_closed:
                self._problem = f"{problem} ({time.strftime('%H:%M:%S')})"
            self._changed.notify_all()

    def _record(self, event: dict[str, Any]) -> None:
        identity, action = str(event.get("id")), event.get("status")
        with self._changed:
            if action == "die":
                self._exit_codes[identity].append(int(event["Actor"]["Attributes"]["exitCode"]))
            elif action == "oom":
                self._out_of_memory[identity].append(time.monotonic())
            self._changed.notify_all()
