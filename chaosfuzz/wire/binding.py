"""Decode the bodies of Bind and DataRow messages.

Bodies are stored as received and decoded only when their values are needed.
"""

import struct

Value = str | bytes | None

_read_count = struct.Struct("!H").unpack_from
_read_size = struct.Struct("!i").unpack_from


def split_bind(body: bytes) -> tuple[bytes, bytes]:
    """Return the names of portal and prepared statement of a Bind body."""
    portal_end = body.index(0)
    return body[:portal_end], body[portal_end + 1 : body.index(0, portal_end + 1)]


def parameters(body: bytes) -> tuple[Value, ...]:
    """Return a Bind body's parameters: text format as str, binary as bytes, NULL as None.

    Of a body over 64 kB only the beginning is stored; the parameters that are complete in it are
    returned.
    """
    try:
        return _parameters(body)[0]
    except struct.error:
        return ()


def result_formats(body: bytes) -> tuple[int, ...]:
    """Return the result formats of a Bind body (0 text, 1 binary).

    A single format holds for all columns; no format means text.
    """
    try:
        _values, offset = _parameters(body)
        return _formats(body, offset)[0]
    except struct.error:
        return ()


def row(body: bytes, formats: tuple[int, ...]) -> tuple[Value, ...] | None:
    """Return the values of a DataRow body; None if the body is incomplete."""
    try:
        (count,) = _read_count(body)
        values, _offset = _values(body, 2, count, formats)
    except struct.error:
        return None
    return values if len(values) == count else None


def _parameters(body: bytes) -> tuple[tuple[Value, ...], int]:
    portal, statement = split_bind(body)
    formats, offset = _formats(body, len(portal) + len(statement) + 2)
    (count,) = _read_count(body, offset)
    return _values(body, offset + 2, count, formats)


def _formats(body: bytes, offset: int) -> tuple[tuple[int, ...], int]:
    (count,) = _read_count(body, offset)
    return struct.unpack_from(f"!{count}H", body, offset + 2), offset + 2 + 2 * count


def _values(
    body: bytes, offset: int, count: int, formats: tuple[int, ...]
) -> tuple[tuple[Value, ...], int]:
    values: list[Value] = []
    for index in range(count):
        if offset + 4 > len(body):
            break
        (size,) = _read_size(body, offset)
        offset += 4
        if size < 0:
            values.append(None)
            continue
        if offset + size > len(body):
            break
        value = body[offset : offset + size]
        offset += size
        is_binary = formats[index if len(formats) > 1 else 0] if formats else 0
        values.append(value if is_binary else value.decode("utf-8", "replace"))
    return tuple(values), offset
