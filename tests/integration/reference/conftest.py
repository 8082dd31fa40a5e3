"""The reference system as processes over one cluster; every test has a database of its own."""

import contextlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from chaosfuzz.reference.roles import Role
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.reference.sessions import user_script
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres

TOKENS = {name: f"{name}-token" for name in ("first", "second", "moderator", "admin")}
ROLES = {"first": Role.USER, "second": Role.USER, "moderator": Role.MODERATOR, "admin": Role.ADMIN}
SEEDED = SCHEMA + "".join(user_script(name, ROLES[name], TOKENS[name]) for name in TOKENS)
QUICK: dict[str, Any] = {
    "lease_ms": 500,
    "heartbeat_ms": 80,
    "poll_ms": 50,
    "recovery_ms": 50,
    "reconnect_ms": 50,
}


@pytest.fixture(scope="session")
def keeper():
    with Keeper(("chaosfuzz.reference.prepared",)) as made:
        yield made


@pytest.fixture(scope="session")
def cluster(keeper: Keeper):
    directory = create_runtime_directory("reference tests")
    made = Cluster(keeper, locate_postgres(), directory)
    made.start(60)
    made.administrator.create_database("reference_tests")
    made.administrator.apply("reference_tests", SEEDED)
    made.administrator.await_no_session("reference_tests")
    yield made
    made.dispose()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def dsn(cluster: Cluster) -> Iterator[str]:
    name = f"test_{time.monotonic_ns()}"
    cluster.administrator.create_database(name, "reference_tests")
    yield cluster.dsn(name, over="tcp")
    cluster.start(30)
    cluster.administrator.drop_database(name)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def wait_until() -> Callable[..., None]:
    def wait(condition: Callable[[], object], timeout_s: float = 8.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "condition not met in time"
            threading.Event().wait(0.005)

    return wait


@pytest.fixture
def launch(
    keeper: Keeper, dsn: str, free_port: int, tmp_path: Path
) -> Iterator[Callable[..., Child]]:
    """Start a server or a worker with settings over the quick ones; it is ready on return."""
    children: list[Child] = []

    def start(entry: str, component: str, **settings: object) -> Child:
        values = {
            **QUICK,
            "dsn": f"{dsn} application_name={component}",
            "component": component,
            "port": free_port,
            "ledger_path": str(tmp_path / "ledger"),
            **settings,
        }
        child = keeper.fork(
            f"chaosfuzz.reference.prepared:{entry}",
            json.dumps(values),
            tmp_path / f"{component}.log",
        )
        children.append(child)
        child.wait_ready(15)
        return child

    yield start
    for child in children:
        child.kill_tree()
    for child in children:
        child.wait(5)
        child.close()


@pytest.fixture
def worker(launch: Callable[..., Child]) -> Callable[..., Child]:
    def start(component: str = "worker-1", **settings: object) -> Child:
        return launch("worker", component, **settings)

    return start


@pytest.fixture
def visit(free_port: int) -> Iterator[Callable[..., httpx.Client]]:
    """Return a client of the server, by somebody's token or without one."""
    with contextlib.ExitStack() as clients:

        def open_client(name: str | None = None) -> httpx.Client:
            base = f"http://127.0.0.1:{free_port}/api/v1"
            client = httpx.Client(base_url=base, timeout=10, trust_env=False)
            if name is not None:
                client.headers["Authorization"] = f"Bearer {TOKENS.get(name, name)}"
            return clients.enter_context(client)

        yield open_client


@pytest.fixture
def api(
    launch: Callable[..., Child], visit: Callable[..., httpx.Client]
) -> Callable[..., httpx.Client]:
    """Start a server and return a client of it, by default one of somebody who sees all tasks."""

    def start(name: str | None = "moderator", **settings: object) -> httpx.Client:
        launch("server", "server-1", **settings)
        return visit(name)

    return start


@pytest.fixture
def users(query: Callable[..., list[dict[str, Any]]]) -> dict[str, str]:
    """The ids of the users who are there from the start, by name."""
    return {row["username"]: row["id"] for row in query("SELECT id::text, username FROM users")}


@pytest.fixture
def query(dsn: str) -> Callable[..., list[dict[str, Any]]]:
    def run(statement: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall()

    return run


@pytest.fixture
def create(query: Callable[..., list[dict[str, Any]]]) -> Callable[..., str]:
    """Insert a probe straight into the queue and return its id; `columns` are over defaults."""

    def insert(duration_ms: int = 0, failures: int = 0, **columns: object) -> str:
        payload = json.dumps({"duration_ms": duration_ms, "failures": failures})
        values = {
            "task_type": "probe",
            "payload": payload,
            "retry_strategy": json.dumps({"kind": "fixed", "base_ms": 20}),
            **columns,
        }
        names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        statement = f"INSERT INTO tasks ({names}) VALUES ({marks}) RETURNING id::text"
        return query(statement, *values.values())[0]["id"]

    return insert


@pytest.fixture
def row(query: Callable[..., list[dict[str, Any]]]) -> Callable[[str], dict[str, Any]]:
    def read(task: str) -> dict[str, Any]:
        found = query("SELECT * FROM tasks WHERE id = %s", task)
        return found[0] if found else {"status": "gone"}

    return read


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The ledger's records so far, of one kind of event or of all."""

    def read(event: str | None = None) -> list[dict[str, Any]]:
        path = tmp_path / "ledger"
        lines = path.read_text().splitlines() if path.exists() else []
        records = [json.loads(line) for line in lines]
        return [each for each in records if event in {None, each["event"]}]

    return read
