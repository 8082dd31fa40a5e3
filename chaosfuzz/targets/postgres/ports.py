"""Reserves a TCP port, also while no server listens on it."""

import contextlib
import random
import socket
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.components import ServerPlace

# Chosen by hand, above the ports of well-known servers.
_LOWEST_PORT = 15000
_ATTEMPTS = 200
# Linux's default of net.ipv4.ip_local_port_range.
_DEFAULT_EPHEMERAL_LOWEST = 32768


class ReservedPort(ServerPlace):
    """A port on 127.0.0.1 that is bound and not listened on; without `number`, a free one.

    Connections to it are refused, the kernel gives it to no other program, and a server that sets
    SO_REUSEADDR (as PostgreSQL does) can listen on it. The constructor raises InfrastructureError
    if the port is taken or no free one was found.
    """

    def __init__(self, number: int | None = None) -> None:
        self._socket = _bind(number) if number is not None else self._bind_any()
        super().__init__(host="127.0.0.1", number=int(self._socket.getsockname()[1]))

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    @staticmethod
    def _bind_any() -> socket.socket:
        generator = random.SystemRandom()
        highest = _ephemeral_lowest() - 1
        for _ in range(_ATTEMPTS):
            # Below the ephemeral range: the kernel could give a client of the stopped server that
            # very port, and the client would connect to itself.
            choice = generator.randint(_LOWEST_PORT, highest) if highest > _LOWEST_PORT else 0
            with contextlib.suppress(InfrastructureError):
                _bind(choice, shared=False).close()
                return _bind(choice)
        raise InfrastructureError(
            cause=f"no free port on 127.0.0.1 in {_ATTEMPTS} attempts",
            remedy="close some servers or run fewer lanes (--lanes)",
        )


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
