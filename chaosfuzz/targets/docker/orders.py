"""The connection to a gate (`gate.py`), the first process of a container."""

import contextlib
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper.process_tree import wait_readable

SOCKET_NAME = "harness.sock"
# Chosen by hand: a gate forks and answers within milliseconds.
_ANSWER_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Program:
    """What a gate runs: a command if `argv` is given, else the function `entry` with `argument`.

    `entry` is module:function. A function says itself when it is ready; a command is ready when
    line n of a file is a word (`ready_file`: path, n from 1, word). The gate removes the files
    `remove` before, and chooses a pid that is not in `avoid`. With `may_end` the container lives
    on after the program's end.
    """

    entry: str = ""
    argument: str = ""
    argv: Sequence[str] = ()
    ready_file: tuple[str, int, str] | None = None
    remove: Sequence[str] = ()
    avoid: frozenset[int] = frozenset()
    may_end: bool = False


def listen(directory: Path) -> socket.socket:
    """Make a directory with the unix socket to which the gate of one container connects."""
    directory.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    path = directory / SOCKET_NAME
    listener.bind(str(path))
    listener.listen(1)
    # The container runs as a user without rights here.
    directory.chmod(0o777)
    path.chmod(0o666)
    return listener


def admit(listener: socket.socket, pidfd: int, timeout_s: float) -> "GateLine | None":
    """Wait for the gate to connect; None if its process ends first or it takes too long."""
    ready = wait_readable([listener.fileno(), pidfd], timeout_s)
    return GateLine(listener.accept()[0], pidfd) if listener.fileno() in ready else None


class GateLine:
    """A connection to one gate, for one order at a time.

    Every wait ends early, as at its timeout, when the gate's process ends.
    """

    def __init__(self, connection: socket.socket, pidfd: int) -> None:
        self._connection = connection
        self._pidfd = pidfd
        self._received = b""
        self._number = 0

    def run(self, program: Program) -> int:
        """Have the gate start a program; return its pid inside the container.

        Raises InfrastructureError if the gate is gone or does not answer within 20 seconds.
        """
        self._send({"do": "run", **asdict(program), "avoid": sorted(program.avoid)})
        answer = self._answer("pid", _ANSWER_TIMEOUT_S)
        if answer is None:
            raise InfrastructureError(
                cause=(
                    "the first process of a container did not start its program within "
                    f"{_ANSWER_TIMEOUT_S:g} s"
                ),
                remedy=(
                    "run fewer lanes (--lanes) if the machine is busy; else see why in the "
                    "container's log"
                ),
            )
        return answer

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until the program is ready; return False if it is not in time."""
        return self._answer("ready", timeout_s) is not None

    def wait_ended(self, timeout_s: float) -> int | None:
        """Wait for the end of a program with `may_end`; return its exit code, else None."""
        return self._answer("ended", timeout_s)

    def end(self, timeout_s: float) -> bool:
        """Kill the program and keep the container; return False if the container is gone."""
        with contextlib.suppress(InfrastructureError):
            self._send({"do": "end"})
            return self._answer("ended", timeout_s) is not None
        return False

    def exhaust_memory(self) -> None:
        """Have the gate take memory until the kernel kills it; does not wait."""
        self._send({"do": "exhaust"})

    def close(self) -> None:
        """Close the connection, upon which the gate ends."""
        self._connection.close()

    def _send(self, order: Mapping[str, object]) -> None:
        self._number += 1
        try:
            line = json.dumps({**order, "number": self._number}) + "\n"
            self._connection.sendall(line.encode())
        except OSError as error:
            raise InfrastructureError(
                cause=f"the first process of a container takes no orders: {error}",
                remedy=(
                    "run again; if it recurs, look in the engine's log for why the container ended"
                ),
            ) from error

    def _answer(self, wanted: str, timeout_s: float) -> int | None:
        """Return a number from the answer to the last order, None at the timeout.

        Answers to former orders are skipped.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            *lines, self._received = self._received.split(b"\n")
            for index, line in enumerate(lines):
                answer = json.loads(line)
                if answer["number"] == self._number and wanted in answer:
                    self._received = b"\n".join([*lines[index + 1 :], self._received])
                    return int(answer[wanted])
            left_s = deadline - time.monotonic()
            connection = self._connection.fileno()
            ready = wait_readable([connection, self._pidfd], left_s)
            if connection in ready:
                received = b""
                with contextlib.suppress(OSError):
                    received = os.read(connection, 65536)
                if not received:
                    return None
                self._received += received
            elif ready or left_s <= 0:
                return None
