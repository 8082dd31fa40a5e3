"""The harness's end of the line to a gate, the first process of a container."""

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import wait_readable

SOCKET_NAME = "harness.sock"
_ANSWER_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Program:
    """What a gate runs: a function of a module with an argument, or a command.

    Ready is a command once a line of a file has a word. `remove` are files it must not find, and
    `avoid` pids it must not have. With `may_end` the container lives on after its end.
    """

    entry: str = ""
    argument: str = ""
    argv: Sequence[str] = ()
    ready_file: tuple[str, int, str] | None = None
    remove: Sequence[str] = ()
    avoid: frozenset[int] = frozenset()
    may_end: bool = False

    def order(self) -> dict[str, object]:
        """Return it as a gate reads it."""
        work: dict[str, object] = (
            {"argv": list(self.argv)}
            if self.argv
            else {"entry": self.entry, "argument": self.argument}
        )
        return {
            "do": "run",
            **work,
            "ready_file": self.ready_file,
            "remove": list(self.remove),
            "avoid": sorted(self.avoid),
            "may_end": self.may_end,
        }


class Listener:
    """Where the gate of one container announces itself each time it has started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        # The container's user is nobody in particular.
        directory.chmod(0o777)
        self._listener = socket.socket(socket.AF_UNIX)
        path = directory / SOCKET_NAME
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(1)

    def admit(self, pidfd: int, timeout_s: float) -> "GateLine | None":
        """Wait for the gate; None if its process ends first or it takes too long."""
        ready = wait_readable([self._listener.fileno(), pidfd], timeout_s)
        if self._listener.fileno() not in ready:
            return None
        return GateLine(self._listener.accept()[0], pidfd)

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


class GateLine:
    """A line to one gate. One order at a time; waits end when the container does."""

    def __init__(self, connection: socket.socket, pidfd: int) -> None:
        self._connection = connection
        self._pidfd = pidfd
        self._received = b""
        self._number = 0

    def run(self, program: Program) -> int:
        """Have a program started; return its pid inside the container.

        Raises InfrastructureError if the gate is gone.
        """
        self._send(program.order())
        answer = self._answer("pid", _ANSWER_TIMEOUT_S)
        if answer is None:
            raise InfrastructureError(
                cause=(
                    "the first process of a container did not start its program within "
                    f"{_ANSWER_TIMEOUT_S:g} s"
                ),
                remedy=(
                    "run fewer lanes (--lanes) if the machine is busy; else see the container's log"
                ),
            )
        return answer

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the program says that it is ready; False if not by then."""
        return self._answer("ready", timeout_s) is not None

    def wait_ended(self, timeout_s: float) -> int | None:
        """Wait until a program that may end has; return its exit code, None at the deadline."""
        return self._answer("ended", timeout_s)

    def end(self, timeout_s: float) -> bool:
        """Kill the program, and keep the container; False if the container is gone."""
        with contextlib.suppress(InfrastructureError):
            self._send({"do": "end"})
            return self._answer("ended", timeout_s) is not None
        return False

    def exhaust_memory(self) -> None:
        """Have the gate take memory until the kernel kills it."""
        self._send({"do": "exhaust"})

    def close(self) -> None:
        """Hang up; the gate ends then."""
        self._connection.close()

    def _send(self, order: Mapping[str, object]) -> None:
        self._number += 1
        try:
            self._connection.sendall(
                (json.dumps({**order, "number": self._number}) + "\n").encode()
            )
        except OSError as error:
            raise InfrastructureError(
                cause=f"the first process of a container takes no orders: {error}",
                remedy=(
                    "run again; if it recurs, look in the engine's log for why the container ended"
                ),
            ) from error

    def _answer(self, wanted: str, timeout_s: float) -> int | None:
        """Return what was answered to the last order; answers to former ones are passed over."""
        deadline = time.monotonic() + timeout_s
        while True:
            *lines, self._received = self._received.split(b"\n")
            for index, line in enumerate(lines):
                answer = json.loads(line)
                if answer["number"] == self._number and wanted in answer:
                    self._received = b"\n".join([*lines[index + 1 :], self._received])
                    return int(answer[wanted])
            left_s = deadline - time.monotonic()
            sources = [self._connection.fileno(), self._pidfd]
            ready, _, _ = select.select(sources, [], [], max(0.0, left_s))
            if self._connection.fileno() in ready:
                received = self._receive()
                if not received:
                    return None
                self._received += received
            elif ready or left_s <= 0:
                return None

    def _receive(self) -> bytes:
        try:
            return os.read(self._connection.fileno(), 65536)
        except OSError:
            return b""
