"""Read the packets that a client sends before the first message."""

import struct
from dataclasses import dataclass
from enum import Enum

_CANCEL, _SSL, _GSS = 80877102, 80877103, 80877104
_TLS_HANDSHAKE = 0x16
# The server's own limit (MAX_STARTUP_PACKET_LENGTH).
_MAXIMUM_PACKET_BYTES = 10_000
_read_header = struct.Struct("!II").unpack_from


class Opening(Enum):
    """Kinds of startup packet. REFUSE: the server would close at once."""

    START = "start"
    CANCEL = "cancel"
    ENCRYPT = "encrypt"
    REFUSE = "refuse"


@dataclass(frozen=True, kw_only=True)
class StartupPacket:
    """One packet as it arrived; REFUSE has no bytes."""

    opening: Opening
    raw: bytes = b""


class StartupReader:
    """Collect startup packets; after START or CANCEL, `rest` has the bytes of messages."""

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self.rest += data

    def take(self) -> StartupPacket | None:
        """Return the next packet, None if it is not complete.

        A TLS handshake that no request announces is refused: the proxy has no certificate.
        """
        if self.rest and self.rest[0] == _TLS_HANDSHAKE:
            return StartupPacket(opening=Opening.REFUSE)
        if len(self.rest) < 8:
            return None
        length, code = _read_header(self.rest)
        if not 8 <= length <= _MAXIMUM_PACKET_BYTES:
            return StartupPacket(opening=Opening.REFUSE)
        if len(self.rest) < length:
            return None
        raw, self.rest = self.rest[:length], self.rest[length:]
        return StartupPacket(opening=_opening_of(code), raw=raw)


def _opening_of(code: int) -> Opening:
    if code in (_SSL, _GSS):
        return Opening.ENCRYPT
    if code == _CANCEL:
        return Opening.CANCEL
    # Server and client negotiate the minor version; other major versions have other messages.
    return Opening.START if code >> 16 == 3 else Opening.REFUSE
