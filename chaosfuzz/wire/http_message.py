"""The head of an HTTP message, and how long the body is that follows it (RFC 9112)."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Self

_LINE_END = re.compile(rb"\r?\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^ ]+) HTTP/1\.[01]")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: .*)?", re.DOTALL)
_SWITCHING_PROTOCOLS = 101
_WITHOUT_BODY = frozenset({204, 304})
_MAXIMUM_LENGTH_DIGITS = 18


_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class NotHttpError(Exception):
    """Bytes that are no message of HTTP/1.1; they are forwarded without being understood."""


class Extent(Enum):
    """How far a body goes when no number says so."""

    CHUNKED = "chunked"
    UNTIL_END = "until end"
    TUNNEL = "tunnel"


Body = int | Extent


def check_beginning(block: bytes) -> None:
    """Refuse the beginning of a head that no message can have.

    Raises:
        NotHttpError: a first line of another protocol, or bytes that are no text.

    """
    line, end, _rest = block.partition(b"\n")
    line = line.removesuffix(b"\r")
    is_first = _REQUEST_LINE.fullmatch(line) or _STATUS_LINE.fullmatch(line)
    if _CONTROL.search(line) or (end and not is_first):
        message = f"{line[:80]!r} begins no message"
        raise NotHttpError(message)


@dataclass(frozen=True, kw_only=True)
class Head:
    """First line and fields as they came, names in lower case; repeated fields are a list."""

    line: bytes
    fields: dict[bytes, bytes]

    @classmethod
    def parse(cls, block: bytes) -> Self:
        """Read a head without its empty line.

        Raises:
            NotHttpError: a line that is no field.

        """
        first, *lines = _LINE_END.split(block)
        fields: dict[bytes, bytes] = {}
        name = b""
        for line in lines:
            if line[:1] in (b" ", b"\t") and name:
                fields[name] += b" " + line.strip()
                continue
            found = _FIELD.fullmatch(line)
            if found is None:
                message = f"{line[:80]!r} is no field"
                raise NotHttpError(message)
            name = found[1].lower()
            fields[name] = b", ".join(filter(None, (fields.get(name), found[2])))
        return cls(line=first, fields=fields)

    def request(self) -> tuple[str, str]:
        """Return method and target. Raises NotHttpError if it is no request."""
        found = _REQUEST_LINE.fullmatch(self.line)
        if found is None:
            message = f"{self.line[:80]!r} is no request line"
            raise NotHttpError(message)
        return found[1].decode(), found[2].decode("utf-8", "replace")

    def status(self) -> int:
        """Return the status code. Raises NotHttpError if it is no response."""
        found = _STATUS_LINE.fullmatch(self.line)
        if found is None:
            message = f"{self.line[:80]!r} is no status line"
            raise NotHttpError(message)
        return int(found[1])

    def request_body(self) -> Body:
        """Return the extent of a request's body. Raises NotHttpError if nobody can tell."""
        if b"transfer-encoding" in self.fields:
            if not self._is_chunked:
                message = "a request whose body has no end"
                raise NotHttpError(message)
            return Extent.CHUNKED
        return self._length() or 0

    def response_body(self, method: str) -> Body:
        """Return the extent of the body of a response to a method. Raises NotHttpError."""
        status = self.status()
        if status == _SWITCHING_PROTOCOLS or (method == "CONNECT" and 200 <= status < 300):
            return Extent.TUNNEL
        if status < 200 or status in _WITHOUT_BODY or method == "HEAD":
            return 0
        if b"transfer-encoding" in self.fields:
            return Extent.CHUNKED if self._is_chunked else Extent.UNTIL_END
        length = self._length()
        return Extent.UNTIL_END if length is None else length

    @property
    def _is_chunked(self) -> bool:
        codings = self.fields[b"transfer-encoding"].lower().split(b",")
        return codings[-1].strip() == b"chunked"

    def _length(self) -> int | None:
        if b"content-length" not in self.fields:
            return None
        lengths = {length.strip() for length in self.fields[b"content-length"].split(b",")}
        (length, *others) = lengths
        if others or not length.isdigit() or len(length) > _MAXIMUM_LENGTH_DIGITS:
            message = f"{self.fields[b'content-length'][:80]!r} is no length"
            raise NotHttpError(message)
        return int(length)
