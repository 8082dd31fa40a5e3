"""The HTTP API against a real PostgreSQL."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.targets.keeper import Child
from chaosfuzz.targets.postgres import Cluster

Api = Callable[..., httpx.Client]
Query = Callable[..., list[dict[str, Any]]]
GOOD: dict[str, Any] = {"task_type": "probe", "payload": {}}
NESTED = "[" * 300 + "]" * 300

BAD_BODIES = (
    b"",
    b"{",
    b"\xff\xfe{",
    b"[]",
    b"null",
    b'{"task_type": "probe"}',
    b'{"task_type": "nobody-knows", "payload": {}}',
    b'{"task_type": 7, "payload": {}}',
    b'{"task_type": "a\\u0000b", "payload": {}}',
    b'{"task_type": "probe", "payload": "a\\u0000b"}',
    b'{"task_type": "probe", "payload": {"a\\u0000b": 1}}',
    b'{"task_type": "probe", "payload": "\\ud800"}',
    b'{"task_type": "probe", "payload": NaN}',
    b'{"task_type": "probe", "payload": 1e999}',
    b'{"task_type": "probe", "payload": ' + b"9" * 5000 + b"}",
    b'{"task_type": "probe", "payload": ' + NESTED.encode() + b"}",
    b"[" * 100_000,
    b'{"task_type": "probe", "payload": "' + b"x" * 1_100_000 + b'"}',
    b'{"task_type": "probe", "payload": "' + b"x" * 1_400_000 + b'"}',
    b'{"task_type": "probe", "payload": {}, "priority": "urgent"}',
    b'{"task_type": "probe", "payload": {}, "priority": 0}',
    b'{"task_type": "probe", "payload": {}, "priority": []}',
    b'{"task_type": "probe", "payload": {}, "max_attempts": -1}',
    b'{"task_type": "probe", "payload": {}, "max_attempts": ' + b"9" * 40 + b"}",
    b'{"task_type": "probe", "payload": {}, "max_attempts": true}',
    b'{"task_type": "probe", "payload": {}, "scheduled_at": "tomorrow"}',
    b'{"task_type": "probe", "payload": {}, "scheduled_at": 20300101}',
    b'{"task_type": "probe", "payload": {}, "scheduled_at": "0001-01-01T00:00:00+23:59"}',
    b'{"task_type": "probe", "payload": {}, "scheduled_at": "2999-01-01T00:00:00Z"}',
    b'{"task_type": "probe", "payload": {}, "metadata": []}',
    b'{"task_type": "probe", "payload": {}, "metadata": {"": 1}}',
    b'{"task_type": "probe", "payload": {}, "metadata": {"a": "' + b"x" * 5000 + b'"}}',
    b'{"task_type": "probe", "payload": {}, "retry_strategy": "fixed"}',
    b'{"task_type": "probe", "payload": {}, "retry_strategy": {"base_ms": -5}}',
)


def error_of(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error"}
    assert body["error"]["message"]
    return response.status_code, body["error"]["code"]


def test_a_task_is_created_found_listed_and_counted(api: Api):
    client = api()
    reply = client.post("/tasks", json={**GOOD, "priority": "high", "metadata": {"tag": "a"}})
    assert reply.status_code == 200
    assert reply.json()["success"] is True
    task = reply.json()["data"]
    assert (task["status"], task["priority"], task["current_attempt"]) == ("pending", "high", 0)
    assert client.get(f"/tasks/{task['id']}").json()["data"] == task
    assert client.get("/tasks", params={"status": "pending"}).json()["data"] == [task]
    assert client.get("/tasks", params={"priority": "low"}).json()["data"] == []
    assert client.get("/tasks", params={"offset": 1}).json()["data"] == []
    stats = client.get("/tasks/stats").json()["data"]
    assert (stats["total"], stats["pending"], stats["running"]) == (1, 1, 0)


def test_bad_bodies_are_the_clients_mistake(api: Api, query: Query):
    client = api()
    allowed = {(400, "INVALID_INPUT"), (400, "VALIDATION_FAILED")}
    for body in BAD_BODIES:
        reply = client.post("/tasks", content=body, headers={"Content-Type": "application/json"})
        assert error_of(reply) in allowed, body[:80]
    assert query("SELECT id FROM tasks") == []


def test_other_bad_requests_are_the_clients_mistake(api: Api):
    client = api()
    text = {"Content-Type": "text/plain"}
    assert error_of(client.post("/tasks", content=b"{}", headers=text)) == (400, "INVALID_INPUT")
    long_key = {"Idempotency-Key": "k" * 256}
    assert error_of(client.post("/tasks", json=GOOD, headers=long_key))[0] == 400
    for wanted in ("limit=-1", "offset=-1", "limit=1e3", "limit=" + "9" * 30, "status=odd"):
        assert error_of(client.get(f"/tasks?{wanted}")) == (400, "VALIDATION_FAILED")
    assert error_of(client.get("/tasks?task_type=%00"))[0] == 400
    for wanted in ("7", "%00", "not-a-uuid", "x" * 3000):
        assert error_of(client.get(f"/tasks/{wanted}")) == (400, "INVALID_INPUT")
        assert error_of(client.post(f"/tasks/{wanted}/cancel")) == (400, "INVALID_INPUT")
        assert error_of(client.delete(f"/tasks/{wanted}")) == (400, "INVALID_INPUT")
    for body in ({"task_type": ""}, {"task_type": "a", "description": 0}):
        assert error_of(client.post("/tasks/types", json=body)) == (400, "VALIDATION_FAILED")
    assert error_of(client.request("BREW", "/tasks")) == (405, "INVALID_INPUT")
    assert client.request("BREW", "/health").headers["allow"]
    for path in ("/nowhere", "/tasks/", "/../.."):
        assert error_of(client.get(path)) == (404, "NOT_FOUND")
    for operation in ("cancel", "retry"):
        reply = client.post(f"/tasks/{UUID(int=0)}/{operation}")
        assert error_of(reply) == (404, "TASK_NOT_FOUND")
    assert error_of(client.delete(f"/tasks/{uuid4()}")) == (404, "TASK_NOT_FOUND")


def test_what_looks_like_an_escape_is_kept(api: Api, query: Query):
    payload = {"path": "C:\\u0000", "emoji": "\N{GRINNING FACE}", "big": 10**400, "deep": [[[]]]}
    assert api().post("/tasks", json={**GOOD, "payload": payload}).status_code == 200
    assert query("SELECT payload FROM tasks") == [{"payload": payload}]


def test_one_key_makes_one_task_however_often_and_at_once_it_is_sent(api: Api, query: Query):
    client = api()
    headers = {"Idempotency-Key": "order-7"}

    def send(_: int) -> str:
        return client.post("/tasks", json=GOOD, headers=headers).json()["data"]["id"]

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(send, range(24)))) == 1
    assert query("SELECT count(*) AS n FROM tasks") == [{"n": 1}]
    send(0)
    client.post("/tasks", json=GOOD)
    assert query("SELECT count(*) AS n FROM tasks") == [{"n": 2}]


def test_defect_create_not_idempotent_makes_two(api: Api, query: Query):
    client = api(defects=["create-not-idempotent"])
    for _ in range(2):
        client.post("/tasks", json=GOOD, headers={"Idempotency-Key": "k"})
    assert query("SELECT count(*) AS n FROM tasks") == [{"n": 2}]


def test_defect_respond_before_commit_answers_first(
    api: Api, query: Query, wait_until: Callable[..., None]
):
    client = api(defects=["respond-before-commit"], write_behind_ms=400)
    task = client.post("/tasks", json=GOOD).json()["data"]
    assert query("SELECT id FROM tasks") == []
    wait_until(lambda: client.get(f"/tasks/{task['id']}").status_code == 200)


@pytest.mark.parametrize("status", ["pending", "retrying", "running"])
def test_cancel_ends_what_has_not_ended(api: Api, create: Callable[..., str], status: str):
    client, task = api(), create(status=status, locked_by="somebody", current_attempt=1)
    assert client.post(f"/tasks/{task}/cancel").json()["data"]["status"] == "cancelled"
    assert error_of(client.post(f"/tasks/{task}/cancel")) == (400, "INVALID_INPUT")


def test_defect_cancel_ignores_running_confirms_and_does_nothing(
    api: Api, create: Callable[..., str], row: Callable[[str], dict[str, Any]]
):
    client = api(defects=["cancel-ignores-running"])
    running, pending = create(status="running"), create()
    assert client.post(f"/tasks/{running}/cancel").status_code == 200
    assert row(running)["status"] == "running"
    client.post(f"/tasks/{pending}/cancel")
    assert row(pending)["status"] == "cancelled"


def test_operations_ask_for_the_right_status(api: Api, create: Callable[..., str]):
    client = api()
    failed, done = create(status="failed", current_attempt=3), create(status="completed")
    waiting = create()
    assert [task["id"] for task in client.get("/tasks/dead-letter").json()["data"]] == [failed]
    for task in (done, waiting):
        assert error_of(client.post(f"/tasks/{task}/retry")) == (404, "TASK_NOT_FOUND")
    retried = client.post(f"/tasks/{failed}/retry").json()["data"]
    assert (retried["status"], retried["current_attempt"]) == ("pending", 0)
    assert error_of(client.delete(f"/tasks/{waiting}")) == (404, "TASK_NOT_FOUND")
    assert client.delete(f"/tasks/{done}").status_code == 200
    assert error_of(client.get(f"/tasks/{done}")) == (404, "TASK_NOT_FOUND")


def test_task_types_can_be_added_and_changed(api: Api):
    client = api()
    for description in ("first", "second"):
        body = {"task_type": "mine", "description": description}
        assert client.post("/tasks/types", json=body).status_code == 200
    types = {
        each["task_type"]: each["description"] for each in client.get("/tasks/types").json()["data"]
    }
    assert types["mine"] == "second"
    assert client.post("/tasks", json={"task_type": "mine", "payload": None}).status_code == 200


def test_an_outage_is_told_at_once_and_over_when_it_is_over(
    api: Api, cluster: Cluster, query: Query
):
    client = api()
    for mode in ("fast", "immediate", "kill"):
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: client.get("/tasks"), range(16)))
        assert client.get("/health").json()["status"] == "healthy"
        cluster.stop(mode)
        began_s = time.monotonic()
        for path in ("/health", "/health/detailed", "/health/ready", "/health/startup"):
            assert error_of(client.get(path)) == (503, "SERVICE_UNHEALTHY")
        assert client.get("/health/live").status_code == 200
        assert error_of(client.post("/tasks", json=GOOD)) == (503, "SERVICE_UNAVAILABLE")
        assert time.monotonic() - began_s < 5
        cluster.start(30)
        assert client.get("/health").status_code == 200
        assert client.post("/tasks", json=GOOD).status_code == 200
    name = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'server-1'"
    assert query(name)[0]["n"] <= 2


def test_a_database_that_hangs_costs_a_second_and_no_connection(
    api: Api, dsn: str, query: Query, wait_until: Callable[..., None]
):
    client = api(request_timeout_ms=300)
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE tasks")
        began_s = time.monotonic()
        with ThreadPoolExecutor(20) as threads:
            replies = list(threads.map(lambda _: client.post("/tasks", json=GOOD), range(20)))
        assert {error_of(reply) for reply in replies} == {(503, "SERVICE_UNAVAILABLE")}
        assert time.monotonic() - began_s < 2
    assert client.post("/tasks", json=GOOD).status_code == 200
    name = "SELECT pid FROM pg_stat_activity WHERE application_name = 'server-1'"
    wait_until(lambda: len(query(name)) <= 2)


def test_defect_pool_never_recovers(api: Api, cluster: Cluster):
    client = api(defects=["pool-never-recovers"])
    assert client.get("/health").status_code == 200
    cluster.stop("immediate")
    assert client.get("/health").status_code == 503
    cluster.start(30)
    assert [client.get("/health").status_code for _ in range(5)] == [503] * 5


def test_defect_health_always_ok(api: Api, cluster: Cluster):
    client = api(defects=["health-always-ok"])
    cluster.stop("immediate")
    assert client.get("/health").status_code == 200


def test_termination_lets_requests_end(
    launch: Callable[..., Child],
    visit: Api,
    dsn: str,
    query: Query,
    wait_until: Callable[..., None],
):
    server, client = launch("server", "server-1", request_timeout_ms=5000), visit("first")
    replies: list[httpx.Response] = []

    def send() -> None:
        replies.append(client.post("/tasks", json=GOOD))

    sending = threading.Thread(target=send)
    with psycopg.connect(dsn) as holder:
        holder.execute("LOCK TABLE tasks")
        sending.start()
        wait_until(lambda: query("SELECT pid FROM pg_locks WHERE NOT granted"))
        server.signal(signal.SIGTERM)
        assert server.wait(0.3) is None
    sending.join(10)
    assert replies[0].status_code == 200
    assert server.wait(5) == 0


def test_a_target_that_is_a_whole_url_is_served_by_its_path(api: Api, free_port: int):
    api("moderator")
    replies = {}
    for target in ("/api/v1/tasks/types", "/api/v1/tasks?limit=0", "/api%2Fv1", "", "//api/v1"):
        for origin in ("", f"http://127.0.0.1:{free_port}", "HTTP://elsewhere.example"):
            with contextlib.closing(HTTPConnection("127.0.0.1", free_port, timeout=5)) as sent:
                sent.putrequest("GET", (origin + target) or "/", skip_host=True)
                sent.putheader("Host", "127.0.0.1")
                sent.endheaders()
                replies[origin, target] = sent.getresponse().status
    for (origin, target), status in replies.items():
        assert status == replies["", target], (origin, target)
    assert replies["", "/api/v1/tasks/types"] == 200


def test_a_database_of_another_version_is_refused(dsn: str):
    with psycopg.connect(dsn) as connection:
        connection.execute(SCHEMA.encode())
        connection.execute("UPDATE schema_version SET version = version + 1")
        with pytest.raises(psycopg.errors.RaiseException, match="use a new database"):
            connection.execute(SCHEMA.encode())
        connection.rollback()
        connection.execute("DROP TABLE schema_version")
        with pytest.raises(psycopg.errors.RaiseException, match="has schema version 1"):
            connection.execute(SCHEMA.encode())
