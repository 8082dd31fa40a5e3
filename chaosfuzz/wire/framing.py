"""Find the messages in a stream of PostgreSQL's protocol 3; read those of wanted types only.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct
from collections.abc import Iterable

# Chosen by hand: statements of job systems are shorter.
RETAINED_BYTES = 64 * 1024
HEADER_BYTES = 5
# Two bytes more than PostgreSQL's own limit (PQ_LARGE_MESSAGE_LIMIT).
_MAXIMUM_MESSAGE_BYTES = 1 << 30
_read_length = struct.Struct("!I").unpack_from


class DesyncError(Exception):
    """The protocol does not allow these bytes here: the proxy misread what came before them."""


def wanted_kinds(kinds: Iterable[str]) -> bytes:
    """Return a table with an entry for each message type byte: 1 to read it, 0 to skip it."""
    codes = {ord(kind) for kind in kinds}
    return bytes(code in codes for code in range(256))


class Framer:
    """Walk over the messages of one direction and release the bytes walked over.

    A wanted message is returned once it is complete or `RETAINED_BYTES` of it have arrived. So a
    longer message streams through, and only its beginning can be read.
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
        """Step to the next wanted message; return its type byte, 0 if more bytes are needed.

        The message lies from `start` to `end`. If it is not complete, `end` is beyond the bytes
        that have arrived.

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
        """Return the body of the message last taken, or the part of it that has arrived."""
        return self._data[self.start + HEADER_BYTES : self.end]

    @property
    def looked_at(self) -> int:
        """How many of the unreleased bytes belong to messages already walked over."""
        return min(self._position, len(self._data))

    def release(self, until: int) -> bytes:
        """Return and drop the bytes before the offset `until`; all offsets decrease by it."""
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
        """Return and drop all bytes, also an incomplete message: the stream has ended."""
        return self.release(len(self._data))
