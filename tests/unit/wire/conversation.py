"""Valid conversations of a client and a server, as bytes, with what is to be seen in them."""

import struct
from dataclasses import dataclass

from pygwire.messages import Bind, Close, Describe, Execute, Flush, Parse, Query, Sync


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", 4 + len(body)) + body


def complete(tag: str) -> bytes:
    return message(b"C", tag.encode() + b"\0")


def error(sqlstate: str) -> bytes:
    return message(b"E", b"SERROR\0C" + sqlstate.encode() + b"\0Mfailed\0\0")


def ready(status: bytes = b"I") -> bytes:
    return message(b"Z", status)


def row(*values: bytes) -> bytes:
    body = struct.pack("!H", len(values))
    for value in values:
        body += struct.pack("!i", len(value)) + value
    return message(b"D", body)


NOTICE = message(b"N", b"SNOTICE\0C00000\0Mheard\0\0")
NOTIFICATION = message(b"A", struct.pack("!I", 7) + b"news\0payload\0")
PARAMETER = message(b"S", b"TimeZone\0UTC\0")
COLUMNS = message(b"T", struct.pack("!H", 0))
BOUND = message(b"1") + message(b"2")
COPY_IN = message(b"G", b"\0\0\1\0\0")
COPY_OUT = message(b"H", b"\0\0\1\0\0")

STARTUP = struct.pack("!II", 22, 3 << 16) + b"user\0someone\0\0"
GREETING = message(b"R", struct.pack("!I", 0)) + PARAMETER + message(b"K", b"12345678") + ready()


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Steps of (is it the client's, bytes), and the ends of events: SQL and completion."""

    steps: tuple[tuple[bool, bytes], ...]
    ends: tuple[tuple[str, str], ...]


def extended(sql: str, *, name: str = "", value: bytes = b"1") -> bytes:
    return b"".join(
        part.to_wire()
        for part in (
            Parse(statement=name, query=sql),
            Bind(portal=name, statement=name, param_values=[value, None]),
            Describe(kind="P", name=name),
            Execute(portal=name),
        )
    )


def simple_query(tags: tuple[str, ...], value: bytes) -> Exchange:
    sql = f"select {len(value)}"
    reply = b"".join(COLUMNS + row(value, value) + NOTICE + complete(tag) for tag in tags)
    return Exchange(
        steps=((True, Query(query_string=sql).to_wire()), (False, reply + ready())),
        ends=((sql, ";".join(tags)),),
    )


def failed_query(sqlstate: str) -> Exchange:
    return Exchange(
        steps=((True, message(b"Q", b"broken\0")), (False, error(sqlstate) + ready())),
        ends=(("broken", sqlstate),),
    )


def extended_query(value: bytes, name: str) -> Exchange:
    sql = f"update tasks set a = '{name}x'"
    close = Close(kind="S", name=name).to_wire() + Sync().to_wire()
    reply = BOUND + COLUMNS + row(value) + PARAMETER + complete("UPDATE 1") + ready()
    return Exchange(
        steps=(
            (True, extended(sql, name=name, value=value) + Sync().to_wire()),
            (False, reply),
            (True, close),
            (False, message(b"3") + ready()),
        ),
        ends=((sql, "UPDATE 1"),),
    )


def transaction() -> Exchange:
    statements = (("begin", "BEGIN"), ("delete from a", "DELETE 1"), ("commit", "COMMIT"))
    requests = b"".join(extended(sql) for sql, _tag in statements)
    replies = b"".join(BOUND + message(b"n") + complete(tag) for _sql, tag in statements)
    return Exchange(
        steps=((True, requests + Sync().to_wire()), (False, replies + ready())), ends=statements
    )


def failed_pipeline(skipped: int) -> Exchange:
    """Describe a pipeline in which the second fails and undoes the first."""
    requests = extended("insert one") + extended("insert two") + extended("insert three") * skipped
    replies = BOUND + complete("INSERT 0 1") + error("23505") + ready()
    return Exchange(
        steps=((True, requests + Sync().to_wire()), (False, replies)),
        ends=(
            ("insert two", "23505"),
            *[("insert three", "SKIPPED")] * skipped,
            ("insert one", "23505"),
        ),
    )


def prepared_with_flush() -> Exchange:
    parse = Parse(statement="p", query="select 1").to_wire() + Flush().to_wire()
    rest = Bind(portal="", statement="p").to_wire() + Execute(portal="", max_rows=1).to_wire()
    reply = message(b"2") + row(b"1") + message(b"s") + ready()
    return Exchange(
        steps=(
            (True, parse),
            (False, message(b"1")),
            (True, rest + Sync().to_wire()),
            (False, reply),
        ),
        ends=(("select 1", ""),),
    )


def copy_in(data: bytes, *, fails: bool) -> Exchange:
    sql = "copy a from stdin"
    sent = message(b"d", data) * 2 + (message(b"f", b"why\0") if fails else message(b"c"))
    end = error("57014") if fails else complete("COPY 2")
    return Exchange(
        steps=(
            (True, extended(sql) + Sync().to_wire()),
            (False, BOUND + COPY_IN),
            (True, sent + Sync().to_wire()),
            (False, end + ready()),
        ),
        ends=((sql, "57014" if fails else "COPY 2"),),
    )


def copy_out(data: bytes) -> Exchange:
    sql = "copy a to stdout"
    reply = COPY_OUT + message(b"d", data) + message(b"c") + complete("COPY 1") + ready()
    return Exchange(
        steps=((True, message(b"Q", sql.encode() + b"\0")), (False, reply)), ends=((sql, "COPY 1"),)
    )


def function_call() -> Exchange:
    return Exchange(
        steps=(
            (True, message(b"F", b"\0\0\0\1\0\0\0\0\0\0")),
            (False, message(b"V", b"\xff\xff\xff\xff") + ready()),
        ),
        ends=(("", ""),),
    )


def spoken_to_while_idle() -> Exchange:
    return Exchange(steps=((False, NOTIFICATION + NOTICE + PARAMETER),), ends=())
