"""Cutting a byte stream into PostgreSQL v3 messages, reading only what is wanted."""

import struct
from collections.abc import Iterable

RETAINED_BYTES = 64 * 1024
HEADER_BYTES = 5
_MAXIMUM_MESSAGE_BYTES = 1 << 30
_read_length = struct.Struct("!I").unpack_from


class DesyncError(Exception):
    """The bytes cannot be what the protocol allows here: the proxy has lost its place."""


def wanted_kinds(kinds: Iterable[str]) -> bytes:
    """Return a table by message type byte, with 1 for the types to be read."""
    codes = {ord(kind) for kind in kinds}
    return bytes(code in codes for code in range(256))


class Framer:
    """Holds bytes that are not yet handed on and walks over the messages in them.

    A wanted message is waited for until it is complete or `RETAINED_BYTES` of it are there, so
    that a body of many megabytes streams through: then only its beginning can be read.
    """

    __slots__ = ("_data", "_position", "end", "start", "wanted")

    def __init__(self, wanted: bytes) -> None:
        self.wanted = wanted
        self.start = 0
        self.end = 0
        self._data = b""
        self._position = 0

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._data = self._data + data if self._data else data

    def take(self) -> int:
        """Step to the next wanted message; return its type, 0 if more bytes are needed.

        It lies from `start` to `end`, which is beyond the bytes at hand if it is not complete.

        Raises:
            DesyncError: a length that no message can have.

        """
        data, position, wanted = self._data, self._position, self.wanted
        size = len(data)
        while size - position >= HEADER_BYTES:
            kind = data[position]
            length = _read_length(data, position + 1)[0]
            if not 4 <= length <= _MAXIMUM_MESSAGE_BYTES:
                message = f"a message of type {kind:#04x} and length {length}"
                raise DesyncError(message)
            end: int = position + 1 + length
            if wanted[kind]:
                if end > size and size - position < RETAINED_BYTES:
                    break
                self.start, self.end, self._position = position, end, end
                return kind
            position = end
        self._position = position
        return 0

    def body(self) -> bytes:
        """Return the body of the message last taken, or as much of it as is there."""
        return self._data[self.start + HEADER_BYTES : self.end]

    def byte(self) -> int:
        """Return the first byte of the body of the message last taken."""
        return self._data[self.start + HEADER_BYTES]

    @property
    def looked_at(self) -> int:
        """How many of the bytes at hand belong to messages already walked over."""
        return min(self._position, len(self._data))

    def release(self, until: int) -> bytes:
        """Hand on the bytes at hand before the offset `until`; later offsets move down by it."""
        data = self._data
        if until >= len(data):
            released, self._data = data, b""
        else:
            released, self._data = data[:until], data[until:]
        moved = len(released)
        self._position -= moved
        self.start -= moved
        self.end -= moved
        return released

    def release_all(self) -> bytes:
        """Hand on everything, also an incomplete message: the stream has ended."""
        return self.release(len(self._data))
