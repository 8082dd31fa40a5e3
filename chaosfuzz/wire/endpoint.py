"""One of the two sockets of a proxied connection."""

import asyncio
import socket
import struct
from enum import IntFlag
from typing import Protocol, cast

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Pause(IntFlag):
    """Why a socket is not read."""

    NOTHING = 0
    BACKPRESSURE = 1
    CONNECTING = 2
    HELD = 4
    FROZEN = 8


_ORDERED = Pause.CONNECTING | Pause.HELD | Pause.FROZEN


class EndpointOwner(Protocol):
    """Is told what happens to an endpoint. It must handle its own errors."""

    def connected(self, endpoint: "Endpoint") -> None:
        """Note that the socket is connected."""
        ...

    def received(self, endpoint: "Endpoint", data: bytes) -> None:
        """Take bytes that arrived."""
        ...

    def ended(self, endpoint: "Endpoint") -> None:
        """Note that the remote end sends no more."""
        ...

    def lost(self, endpoint: "Endpoint", *, broken: bool) -> None:
        """Note that the socket is closed; `broken` if not in order."""
        ...


class Endpoint(asyncio.Protocol):
    """A socket, with the reasons for not reading it.

    If this socket cannot send as fast as bytes are written to it, the opposite one is not read.
    """

    def __init__(self, owner: EndpointOwner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._opposite: Endpoint | None = None
        self._has_ended_writing = False
        self.pauses = Pause.NOTHING
        # Whether bytes that have arrived must not be processed yet. Read for every message, so it
        # is stored instead of computed.
        self.must_wait = False

    def join(self, opposite: "Endpoint") -> None:
        """Set the endpoint whose bytes are written to this one."""
        self._opposite = opposite

    @property
    def is_open(self) -> bool:
        """Whether there is a socket to write to."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def remote_port(self) -> int:
        """The port of the remote end, 0 if it is not known."""
        address = self._transport.get_extra_info("peername") if self._transport else None
        return int(address[1]) if isinstance(address, tuple) else 0

    def pause(self, reason: Pause) -> None:
        """Stop reading, for one more reason."""
        self.pauses |= reason
        self.must_wait = bool(self.pauses & _ORDERED)
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self, reason: Pause) -> None:
        """Remove a reason; read again if none is left."""
        self.pauses &= ~reason
        self.must_wait = bool(self.pauses & _ORDERED)
        if not self.pauses and self._transport is not None:
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send; without effect if the socket is closed."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end_writing(self) -> None:
        """Send what is left and then no more; the other direction stays open."""
        if self.is_open and not self._has_ended_writing and self._transport is not None:
            self._has_ended_writing = True
            self._transport.write_eof()

    def close(self) -> None:
        """Send what is left, then close."""
        if self._transport is not None:
            self._transport.close()

    def abort(self, *, reset: bool = False) -> None:
        """Close at once, dropping what is left; with `reset` the remote end's reads fail."""
        if self._transport is None:
            return
        if reset and self.is_open:
            handle = self._transport.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket (asyncio)."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.connected(self)
        if self.pauses:
            # asyncio starts reading after this call, even if reading was paused during the call.
            asyncio.get_running_loop().call_soon(self._pause_again)

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the owner (asyncio)."""
        self._owner.received(self, data)

    def eof_received(self) -> bool:
        """Keep the socket half open (asyncio)."""
        self._owner.ended(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner (asyncio)."""
        self._transport = None
        self.resume_writing()
        self._owner.lost(self, broken=exc is not None)

    def pause_writing(self) -> None:
        """Pause the opposite endpoint: its bytes arrive faster than they leave (asyncio)."""
        if self._opposite is not None:
            self._opposite.pause(Pause.BACKPRESSURE)

    def resume_writing(self) -> None:
        """Let the opposite endpoint read again (asyncio)."""
        if self._opposite is not None:
            self._opposite.resume(Pause.BACKPRESSURE)

    def _pause_again(self) -> None:
        if self.pauses and self._transport is not None:
            self._transport.resume_reading()
            self._transport.pause_reading()
