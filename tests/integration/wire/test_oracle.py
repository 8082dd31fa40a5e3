"""What libpq says went over the wire is what the proxy saw."""

import contextlib
import re
from pathlib import Path

import psycopg
from integration.wire.harness import Wire

from chaosfuzz.wire.event import RequestKind

_TRACED = re.compile(r'^(F|B)\t\d+\t(\w+)(?:\t ?"(.*)")?')


def test_requests_and_completions_are_those_of_libpq(wire: Wire, tmp_path: Path):
    trace = tmp_path / "trace"
    with trace.open("w") as file, wire.connect() as connection:
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        speak(connection)
        connection.pgconn.untrace()
    wire.wait_balanced()
    sent, tags, errors = [], [], []
    for line in trace.read_text().splitlines():
        found = _TRACED.match(line)
        if found and found[2] in ("Query", "Execute"):
            sent.append(found[2].lower())
        elif found and found[2] == "CommandComplete":
            tags.append(found[3])
        elif line.startswith("B") and "ErrorResponse" in line:
            errors.append(re.search(r'C "(\w{5})"', line)[1])
    requests = [event for event in wire.events() if event.kind is not RequestKind.CONNECT]
    assert sorted(event.kind.value for event in requests) == sorted(sent)
    completed = [
        word for event in requests for word in event.completion.split(";") if not word[:1].isdigit()
    ]
    failed = [event.completion for event in requests if event.completion[:1].isdigit()]
    assert sorted(completed) == sorted([*tags, "SKIPPED"])
    assert failed == errors
    assert len(sent) == 30


def speak(connection: psycopg.Connection):
    connection.execute("insert into tasks (status) values ('a'), ('b'); select 1")
    for number in range(8):
        connection.execute("select * from tasks where id = %s", [number])
    with connection.transaction(), connection.pipeline():
        for number in range(15):
            connection.execute("update tasks set payload = %s", [str(number)])
    with contextlib.suppress(psycopg.errors.DivisionByZero), connection.pipeline():
        connection.execute("select 1/0")
        connection.execute("delete from tasks")
    with connection.cursor() as cursor:
        with cursor.copy("copy tasks (payload) from stdin") as copy:
            copy.write_row(["x"])
        with cursor.copy("copy tasks to stdout") as copy:
            assert len(list(copy.rows())) == 3
