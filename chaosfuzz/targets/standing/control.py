"""The protocol between commands and the supervisor: one JSON line each way over a unix socket."""

import socket
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError, UsageError
from chaosfuzz.targets.postgres import StopMode
from chaosfuzz.targets.standing.state import State

SERVER = "server"
DATABASE = "database"
ALL_WORKERS = "all-workers"
# Chosen by hand: the longest order starts 16 workers on a busy machine.
TIMEOUT_S = 120.0
MAX_LINE_BYTES = 1 << 20

Condition = Literal["running", "killed", "stopped", "exited"]
Verb = Literal["status", "start", "end", "add-workers", "scale", "stop-db", "start-db", "down"]


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """The state of a service. `exited`: it ended by itself, and nothing starts it again.

    `up_s` is how long it has run, in seconds; `starts` is how often it was started.
    """

    name: str
    condition: Condition
    pid: int | None = None
    exit_code: int | None = None
    up_s: float | None = None
    starts: int = 1


@dataclass(frozen=True, kw_only=True)
class Status:
    """The states of all services, the database first."""

    services: tuple[ServiceState, ...]

    def running(self) -> tuple[str, ...]:
        """Return the names of the server and the workers that run."""
        running = (s.name for s in self.services if s.condition == "running")
        return tuple(name for name in running if name != DATABASE)

    def running_workers(self) -> tuple[str, ...]:
        """Return the names of the workers that run."""
        return tuple(name for name in self.running() if name != SERVER)


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order to the supervisor.

    `start` and `end` heed `service`, `end` also `graceful`, `stop-db` heeds `mode`; `add-workers`
    and `scale` heed `count`.
    """

    verb: Verb
    service: str = ""
    graceful: bool = False
    mode: StopMode = "fast"
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error of the supervisor, as the command receives it."""

    cause: str
    remedy: str
    is_usage: bool

    @staticmethod
    def of(error: ChaosfuzzError) -> "Refusal":
        """Return the refusal that carries an error."""
        is_usage = isinstance(error, UsageError)
        return Refusal(cause=error.cause, remedy=error.remedy, is_usage=is_usage)

    def error(self) -> ChaosfuzzError:
        """Return the error that the refusal carries."""
        kind = UsageError if self.is_usage else InfrastructureError
        return kind(cause=self.cause, remedy=self.remedy)


@dataclass(frozen=True, kw_only=True)
class Response:
    """The answer to an order, or to the start: the status after it, or why it failed."""

    status: Status | None = None
    refusal: Refusal | None = None


_ORDERS = TypeAdapter(Order)
RESPONSES = TypeAdapter(Response)


def give_order(state: State, order: Order) -> Status:
    """Give the supervisor an order and wait until it is carried out; return the status then.

    Raises UsageError if the order cannot be carried out in the present state. Raises
    InfrastructureError if it failed, or if the supervisor does not answer within 120 s.
    """
    hint = f"end it with `kill -9 {state.pid}`, then run: chaosfuzz clean"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(state.socket_path))
            connection.sendall(_ORDERS.dump_json(order) + b"\n")
            response = RESPONSES.validate_json(_read_line(connection))
    except (OSError, ValidationError) as error:
        reason = str(error) or type(error).__name__
        raise InfrastructureError(
            cause=f"the supervisor (pid {state.pid}) does not answer: {reason}", remedy=hint
        ) from error
    if response.refusal is not None:
        raise response.refusal.error()
    return response.status or Status(services=())


def read_order(connection: socket.socket) -> Order:
    """Return the order that comes over a connection; raise ValueError or OSError without one."""
    return _ORDERS.validate_json(_read_line(connection))


def respond(connection: socket.socket, response: Response) -> None:
    """Send the response; raise OSError if the command has gone."""
    connection.sendall(RESPONSES.dump_json(response) + b"\n")


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(65536)
        if not received or len(line) > MAX_LINE_BYTES:
            reason = "the connection ended"
            raise ConnectionError(reason)
        line += received
    return line
