"""A TCP port of one's own, kept also while nothing listens on it."""

import contextlib
import random
import socket
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError

_LOWEST_PORT = 15000
_ATTEMPTS = 200
_DEFAULT_EPHEMERAL_LOWEST = 32768


class ReservedPort:
    """A port on 127.0.0.1, bound without listening.

    Connecting to it is refused, nobody else is given it, and a server that sets SO_REUSEADDR
    (as PostgreSQL does) can still listen on it.

    Raises:
        InfrastructureError: the port is taken, or no free one was found.

    """

    host = "127.0.0.1"

    def __init__(self, number: int | None = None) -> None:
        if number is not None:
            self._socket = _bind(number)
            self.number = number
            return
        generator = random.SystemRandom()
        highest = _ephemeral_lowest() - 1
        for _ in range(_ATTEMPTS):
            # Outside the ephemeral range, where a client of a stopped server may reach itself.
            choice = generator.randint(_LOWEST_PORT, highest) if highest > _LOWEST_PORT else 0
            with contextlib.suppress(InfrastructureError):
                _bind(choice, shared=False).close()
                self._socket = _bind(choice)
                self.number = int(self._socket.getsockname()[1])
                return
        raise InfrastructureError(
            cause=f"no free port on 127.0.0.1 in {_ATTEMPTS} attempts",
            remedy="close some servers or run fewer lanes (--lanes)",
        )

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _bind(number: int, *, shared: bool = True) -> socket.socket:
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if shared:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", number))
    except OSError as error:
        holder.close()
        message = f"port {number} on 127.0.0.1 cannot be used: {error.strerror}"
        raise InfrastructureError(cause=message, remedy="choose another port") from error
    return holder


def _ephemeral_lowest() -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return _DEFAULT_EPHEMERAL_LOWEST
