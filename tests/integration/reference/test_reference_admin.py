"""The commands as ordinary processes."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from chaosfuzz.reference.__main__ import main

Create = Callable[..., str]
Query = Callable[..., list[dict[str, Any]]]
COMMAND = (sys.executable, "-m", "chaosfuzz.reference")
ROOT = Path(__file__).parents[3]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "REFERENCE_" not in name}
    return {**kept, "PYTHONPATH": str(ROOT)}


def run(*arguments: str, expect: int = 0) -> str:
    """The output of a command, standard error after standard output."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env=environment(),
    )
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    assert done.returncode == expect, output
    return output


@contextlib.contextmanager
def started(*arguments: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has said it is ready; killed at the end if it has not ended."""
    reader, writer = os.pipe()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*COMMAND, *arguments, "--ready-fd", str(writer)],
            pass_fds=[writer],
            stdout=stream,
            stderr=stream,
            env=environment(),
        )
    os.close(writer)
    try:
        assert select.select([reader], [], [], 15)[0]
        assert os.read(reader, 2) == b"R", log.read_text()
        yield process
    finally:
        os.close(reader)
        process.kill()
        process.wait(10)


def test_admin_counts_lists_and_clears(dsn: str, create: Create, query: Query):
    create(metadata='{"tag": "a"}')
    create(status="failed", task_type="email")
    for age in ("10 days", "1 hour"):
        at = query("SELECT clock_timestamp() - %s::interval AS at", age)[0]["at"]
        create(status="completed", completed_at=at)
    admin = ("admin", "--dsn", dsn)
    counts = dict(line.split() for line in run(*admin, "task-stats").splitlines())
    assert counts == {
        "total": "4",
        "pending": "1",
        "running": "0",
        "completed": "2",
        "failed": "1",
        "cancelled": "0",
        "retrying": "0",
    }
    assert run(*admin, "task-stats", "--tag", "a").split()[:2] == ["total", "1"]
    assert run(*admin, "list-tasks", "--status", "failed").split()[1:] == ["email", "failed", "0/3"]
    assert len(run(*admin, "list-tasks", "--limit", "3").splitlines()) == 3
    verbose = run(*admin, "list-tasks", "--task-type", "email", "--verbose")
    assert '"status": "failed"' in verbose
    assert run(*admin, "clear-completed", "--dry-run") == "would delete 1 tasks\n"
    assert run(*admin, "clear-completed") == "deleted 1 tasks\n"
    assert run(*admin, "clear-completed", "--older-than-days", "0") == "deleted 1 tasks\n"
    assert query("SELECT count(*) AS n FROM tasks") == [{"n": 2}]


def test_schema_is_printed_and_applied_again_and_again(dsn: str):
    assert "CREATE TABLE IF NOT EXISTS tasks" in run("schema")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE tasks, task_types CASCADE")
    complaint = run("admin", "--dsn", dsn, "task-stats", expect=3)
    assert 'the database refused: relation "tasks" does not exist' in complaint
    for _ in range(2):
        assert run("schema", "--dsn", dsn, "--apply") == ""
    assert run("admin", "--dsn", dsn, "task-stats").split()[:2] == ["total", "0"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("", 2, "the following arguments are required: command"),
        ("juggle", 2, "invalid choice: 'juggle'"),
        ("server", 2, "dsn is missing"),
        ("worker --dsn nonsense", 2, "dsn is not a connection string"),
        ("worker --dsn host=x --defect typo", 2, "unknown defect typo; known are ack-before-run"),
        ("worker --dsn host=x --mode never", 2, "unknown mode never"),
        ("worker --dsn host=x --concurrency 0", 2, "concurrency must be a number from 1"),
        ("worker --dsn host=x --settings /nowhere", 2, "No such file or directory"),
        ("worker --dsn host=x --settings /dev/null", 2, "/dev/null: not JSON"),
        ("worker --dsn host=x --ready-fd 77", 2, "--ready-fd"),
        ("worker --dsn host=x --ledger /nowhere/ledger", 3, "cannot open the ledger"),
        ("server --dsn host=x --port 99999", 2, "port must be a number from 0 to 65535"),
        ("server --dsn host=x --host 192.0.2.1", 3, "cannot listen at 192.0.2.1"),
        ("admin --dsn postgresql://127.0.0.1:1/x task-stats", 3, "the database refused"),
        ("admin --dsn port=1 list-tasks --limit -1", 2, "must be a whole number from 0"),
        ("admin --dsn port=1 list-tasks --status odd", 2, "invalid choice: 'odd'"),
        ("admin --dsn port=1 clear-completed --older-than-days nan", 2, "from 0 to 36500"),
        ("schema --apply --dsn host=/nowhere", 3, "the database refused"),
    ],
)
def test_bad_usage_is_one_clear_message(
    capsys: pytest.CaptureFixture[str], arguments: str, code: int, expected: str
):
    try:
        returned: object = main(arguments.split())
    except SystemExit as ended:
        returned = ended.code
    assert returned == code
    output = capsys.readouterr()
    assert output.out == ""
    assert expected in output.err


@pytest.mark.parametrize("command", ["", "server", "worker", "schema", "admin", "admin task-stats"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str):
    with pytest.raises(SystemExit, match="0"):
        main([*command.split(), "--help"])
    assert "usage: python -m chaosfuzz.reference" in capsys.readouterr().out


def test_bad_usage_ends_a_process_without_a_traceback():
    assert "dsn is missing" in run("server", expect=2)
    assert "the database refused" in run("admin", "--dsn", "port=1 host=/", "task-stats", expect=3)


def test_a_port_in_use_is_named(dsn: str):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        complaint = run("server", "--dsn", dsn, "--port", port, expect=3)
    assert complaint.count("\n") == 1
    assert f"cannot listen at 127.0.0.1 port {port}" in complaint
    assert "Address already in use" in complaint


def test_server_and_worker_run_as_ordinary_processes(
    dsn: str,
    free_port: int,
    tmp_path: Path,
    visit: Callable[..., httpx.Client],
    wait_until: Callable[..., None],
):
    port, log, client = str(free_port), tmp_path / "log", visit("first")
    with (
        started("server", "--dsn", dsn, "--port", port, log=log) as server,
        started("worker", "--dsn", dsn, log=tmp_path / "log2") as worker,
    ):
        task = client.post("/tasks", json={"task_type": "file_cleanup", "payload": {}}).json()[
            "data"
        ]
        wait_until(
            lambda: client.get(f"/tasks/{task['id']}").json()["data"]["status"] == "completed"
        )
        for process, number in ((worker, signal.SIGTERM), (server, signal.SIGINT)):
            process.send_signal(number)
            assert process.wait(10) == 0
    assert log.read_text() == (tmp_path / "log2").read_text() == ""


def test_an_unreachable_database_is_named_and_waited_for(tmp_path: Path, wait_until: Any):  # noqa: ANN401
    log = tmp_path / "log"
    arguments = ("worker", "--dsn", "host=127.0.0.1 port=1", "--component", "worker-9")
    with started(*arguments, log=log) as worker:
        wait_until(log.read_text)
        began_s = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0
        assert time.monotonic() - began_s < 3
    said = log.read_text()
    assert said.startswith("worker-9: the database is not available, trying again: connection")
    assert said.count("\n") == 1


def test_a_reader_that_stops_reading_is_no_error(dsn: str, query: Query):
    query(
        "INSERT INTO tasks (task_type, payload) SELECT 'probe', '{}'"
        " FROM generate_series(1, 3000) RETURNING id"
    )
    arguments = [*COMMAND, "admin", "--dsn", dsn, "list-tasks", "--limit", "3000"]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
