"""Orders to the supervisor: one JSON line each way over a unix socket."""

import socket
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.postgres import StopMode
from chaosfuzz.targets.standing.plan import Refusal
from chaosfuzz.targets.standing.state import State
from chaosfuzz.targets.standing.status import Status

Verb = Literal["status", "start", "end", "add-workers", "scale", "stop-db", "start-db", "down"]
TIMEOUT_S = 120.0
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be done; which of the others count depends on the verb."""

    verb: Verb
    service: str = ""
    graceful: bool = False
    mode: StopMode = "fast"
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class Response:
    """How things are after an order, or why it was not carried out."""

    status: Status | None = None
    refusal: Refusal | None = None


_ORDERS = TypeAdapter(Order)
_RESPONSES = TypeAdapter(Response)


def give_order(state: State, order: Order) -> Status:
    """Give an order and wait until it has been carried out.

    Raises:
        UsageError: it cannot be carried out as things are.
        InfrastructureError: it failed, or the supervisor does not answer.

    """
    hint = f"end it with `kill -9 {state.pid}`, then run: chaosfuzz clean"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(state.socket_path))
            connection.sendall(_ORDERS.dump_json(order) + b"\n")
            response = _RESPONSES.validate_json(_read_line(connection))
    except (OSError, ValidationError) as error:
        cause = str(error) or type(error).__name__
        raise InfrastructureError(
            cause=f"the supervisor (pid {state.pid}) does not answer: {cause}", remedy=hint
        ) from error
    if response.refusal is not None:
        raise response.refusal.error()
    return response.status or Status(services=())


def read_order(connection: socket.socket) -> Order:
    """Return the order that comes over a connection; raises ValueError or OSError."""
    return _ORDERS.validate_json(_read_line(connection))


def respond(connection: socket.socket, response: Response) -> None:
    """Send the response; raises OSError if nobody waits for it any more."""
    connection.sendall(_RESPONSES.dump_json(response) + b"\n")


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        received = connection.recv(65536)
        if not received or len(line) > MAX_LINE_BYTES:
            reason = "the connection ended"
            raise ConnectionError(reason)
        line += received
    return line
