"""One of the two sockets of a connection."""

import asyncio
import socket
import struct
from enum import IntFlag
from typing import Protocol, cast

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Stop(IntFlag):
    """Why a socket is not read."""

    NOTHING = 0
    BACKPRESSURE = 1
    CONNECTING = 2
    HELD = 4
    FROZEN = 8


_DECIDED_TO_WAIT = Stop.CONNECTING | Stop.HELD | Stop.FROZEN


class SideOwner(Protocol):
    """Hears what happens to a side; errors of its own it takes care of itself."""

    def connected(self, side: "Side") -> None:
        """The socket is there."""
        ...

    def received(self, side: "Side", data: bytes) -> None:
        """Bytes arrived."""
        ...

    def ended(self, side: "Side") -> None:
        """The other end sends no more."""
        ...

    def lost(self, side: "Side", *, broken: bool) -> None:
        """The socket is gone."""
        ...


class Side(asyncio.Protocol):
    """A socket with the reasons not to read it. Writing more than it takes stops the peer."""

    def __init__(self, owner: SideOwner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._peer: Side | None = None
        self._has_ended_writing = False
        self.stops = Stop.NOTHING
        # Whether what arrived is to be left alone; asked for every message, so kept at hand.
        self.is_waiting = False

    def join(self, peer: "Side") -> None:
        """Name the side whose bytes are written here."""
        self._peer = peer

    @property
    def is_open(self) -> bool:
        """Whether there is a socket to write to."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def peer_port(self) -> int:
        """The port of the other end, 0 if it is not known."""
        address = self._transport.get_extra_info("peername") if self._transport else None
        return int(address[1]) if isinstance(address, tuple) else 0

    def stop(self, reason: Stop) -> None:
        """Do not read, for one more reason."""
        self.stops |= reason
        self.is_waiting = bool(self.stops & _DECIDED_TO_WAIT)
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self, reason: Stop) -> None:
        """Take back a reason; without any left, read."""
        self.stops &= ~reason
        self.is_waiting = bool(self.stops & _DECIDED_TO_WAIT)
        if not self.stops and self._transport is not None:
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send, if there is still somebody to send to."""
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
        """Close at once, dropping what is left; `reset` makes the other end's reads fail."""
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
        if self.stops:
            # asyncio starts reading after this call, whatever was asked for in it.
            asyncio.get_running_loop().call_soon(self._stop_again)

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
        if self._peer is not None:
            self._peer.go_on(Stop.BACKPRESSURE)
        self._owner.lost(self, broken=exc is not None)

    def pause_writing(self) -> None:
        """Stop the peer: its bytes come faster than they go (asyncio)."""
        if self._peer is not None:
            self._peer.stop(Stop.BACKPRESSURE)

    def resume_writing(self) -> None:
        """Let the peer go on (asyncio)."""
        if self._peer is not None:
            self._peer.go_on(Stop.BACKPRESSURE)

    def _stop_again(self) -> None:
        if self.stops and self._transport is not None:
            self._transport.resume_reading()
            self._transport.pause_reading()
