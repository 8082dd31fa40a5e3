"""Workers: what they do with tasks while nothing goes wrong, and with planted defects."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaosfuzz.reference.handlers import HANDLERS
from chaosfuzz.targets.keeper import Child
from chaosfuzz.targets.postgres import Cluster

Worker = Callable[..., Child]
Create = Callable[..., str]
Row = Callable[[str], dict[str, Any]]
Query = Callable[..., list[dict[str, Any]]]
Records = Callable[..., list[dict[str, Any]]]
Wait = Callable[..., None]


def test_a_task_is_claimed_run_and_completed(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    task = create(duration_ms=20)
    worker()
    wait_until(lambda: row(task)["status"] == "completed")
    done = row(task)
    assert (done["current_attempt"], done["fence"], done["completed_fence"]) == (1, 1, 1)
    assert (done["locked_by"], done["lease_until"], done["last_error"]) == (None, None, None)
    assert done["started_at"] < done["completed_at"]
    start, end = ledger()
    assert (start["task"], start["component"], end["result"]) == (task, "worker-1", "finished")


@pytest.mark.parametrize("defects", [[], ["claim-without-lock"]])
def test_many_workers_share_the_tasks(
    worker: Worker,
    create: Create,
    query: Query,
    ledger: Records,
    wait_until: Wait,
    defects: list[str],
):
    tasks = [create(duration_ms=5) for _ in range(30)]
    for slot in (1, 2, 3):
        worker(f"worker-{slot}", concurrency=2, defects=defects)
    unfinished = "SELECT id FROM tasks WHERE status <> 'completed'"
    wait_until(lambda: not query(unfinished))
    runs = Counter(each["task"] for each in ledger("start"))
    assert set(runs) == set(tasks)
    assert (max(runs.values()) > 1) == bool(defects)


def test_a_heartbeat_keeps_long_work(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    task = create(duration_ms=900)
    for slot in (1, 2):
        worker(f"worker-{slot}", lease_ms=300)
    wait_until(lambda: row(task)["status"] == "completed")
    assert row(task)["current_attempt"] == len(ledger("start")) == 1


def test_defect_no_heartbeat_loses_long_work(
    worker: Worker, create: Create, row: Row, wait_until: Wait
):
    task = create(duration_ms=900)
    worker(lease_ms=300, defects=["no-heartbeat"])
    wait_until(lambda: row(task)["current_attempt"] > 1)


def test_failures_are_retried_after_the_backoff(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    task = create(failures=2, retry_strategy='{"kind": "linear", "base_ms": 120}')
    worker()
    wait_until(lambda: row(task)["status"] == "completed")
    assert row(task)["current_attempt"] == 3
    starts, ends = ledger("start"), ledger("end")
    assert [each["result"] for each in ends] == ["failed", "failed", "finished"]
    waits_ms = [(starts[n + 1]["at_ns"] - ends[n]["at_ns"]) / 1e6 for n in (0, 1)]
    assert waits_ms[0] >= 120
    assert waits_ms[1] >= 240


@pytest.mark.parametrize(
    ("strategy", "defects", "status", "attempts"),
    [
        ("fixed", [], "failed", 3),
        ("none", [], "failed", 1),
        ("fixed", ["retry-never"], "failed", 1),
        ("fixed", ["dead-letter-dropped"], "gone", None),
    ],
)
def test_attempts_end_in_the_dead_letters(
    worker: Worker,
    create: Create,
    row: Row,
    wait_until: Wait,
    strategy: str,
    defects: list[str],
    status: str,
    attempts: int | None,
):
    task = create(failures=9, retry_strategy=f'{{"kind": "{strategy}", "base_ms": 5}}')
    worker(defects=defects)
    wait_until(lambda: row(task)["status"] in {"failed", "gone"})
    assert row(task)["status"] == status
    assert row(task).get("current_attempt") == attempts
    if attempts:
        assert row(task)["last_error"].startswith("HandlerError: probe told to fail")


def test_defect_retry_forgets_attempts(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    task = create(failures=9)
    worker(defects=["retry-forgets-attempts"])
    wait_until(lambda: len(ledger("start")) > 4)
    assert row(task)["current_attempt"] <= 1


@pytest.mark.parametrize("defects", [[], ["priority-as-text"]])
def test_the_most_urgent_goes_first(
    worker: Worker, create: Create, query: Query, wait_until: Wait, defects: list[str]
):
    for priority in ("low", "normal", "critical", "high"):
        create(priority=priority)
    worker(concurrency=1, defects=defects)
    wait_until(lambda: not query("SELECT id FROM tasks WHERE status <> 'completed'"))
    order = [each["priority"] for each in query("SELECT priority FROM tasks ORDER BY started_at")]
    right = ["critical", "high", "normal", "low"]
    assert order == (["normal", "low", "high", "critical"] if defects else right)


@pytest.mark.parametrize("defects", [[], ["schedule-ignored"]])
def test_a_scheduled_task_waits_for_its_time(
    worker: Worker, create: Create, query: Query, row: Row, wait_until: Wait, defects: list[str]
):
    due = query("SELECT clock_timestamp() + interval '300 ms' AS at")[0]["at"]
    task = create(scheduled_at=due, ready_at=due)
    worker(defects=defects)
    wait_until(lambda: row(task)["status"] == "completed")
    assert (row(task)["started_at"] < due) == bool(defects)


@pytest.mark.parametrize("defects", [[], ["cancel-ignores-running"]])
def test_a_cancelled_task_stops_within_a_heartbeat(
    worker: Worker,
    api: Callable[..., httpx.Client],
    create: Create,
    row: Row,
    ledger: Records,
    wait_until: Wait,
    defects: list[str],
):
    client = api(defects=defects)
    worker(defects=defects)
    task = create(duration_ms=500)
    wait_until(lambda: ledger("start"))
    assert client.post(f"/tasks/{task}/cancel").status_code == 200
    wait_until(lambda: ledger("end"))
    start, end = ledger()
    if defects:
        wait_until(lambda: row(task)["status"] == "completed")
        assert end["result"] == "finished"
    else:
        assert row(task)["status"] == "cancelled"
        assert end["result"] is None
        assert end["at_ns"] - start["at_ns"] < 450e6


def test_defect_ack_before_run(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    task = create(duration_ms=1000)
    worker(defects=["ack-before-run"])
    wait_until(lambda: row(task)["status"] == "completed")
    assert ledger("end") == []


def test_defect_recovery_requeues_finished(
    worker: Worker, create: Create, ledger: Records, wait_until: Wait
):
    create()
    worker(lease_ms=150, defects=["recovery-requeues-finished"])
    wait_until(lambda: len(ledger("end")) > 1)


def test_a_new_task_wakes_a_worker_that_polls_rarely(
    worker: Worker, create: Create, row: Row, query: Query, wait_until: Wait
):
    worker(poll_ms=30_000, recovery_ms=30_000)
    # The worker claims once more when it listens; after that only the announcement is left.
    claimed_since = """
        SELECT claimer.pid FROM pg_stat_activity listener, pg_stat_activity claimer
        WHERE listener.query LIKE 'LISTEN%%' AND claimer.query LIKE '%%WITH gate%%'
        AND claimer.state = 'idle' AND claimer.query_start > listener.query_start"""
    wait_until(lambda: query(claimed_since))
    created_s = time.monotonic()
    task = create()
    wait_until(lambda: row(task)["status"] == "completed")
    assert time.monotonic() - created_s < 2


def test_termination_finishes_what_runs_and_claims_no_more(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    process = worker(concurrency=1)
    running, waiting = create(duration_ms=700), create()
    wait_until(lambda: ledger("start"))
    process.signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert row(running)["status"] == "completed"
    assert row(running)["current_attempt"] == 1
    assert row(waiting)["status"] == "pending"


def test_termination_gives_back_what_takes_too_long(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    process = worker(grace_ms=50)
    task, last = create(duration_ms=5000), create(duration_ms=5000, max_attempts=1)
    wait_until(lambda: len(ledger("start")) == 2)
    process.signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert (row(task)["status"], row(task)["lease_until"]) == ("retrying", None)
    assert row(last)["status"] == "failed"
    assert [each["result"] for each in ledger("end")] == [None, None]


def test_an_idle_worker_ends_at_once(worker: Worker):
    process = worker(poll_ms=30_000)
    began_s = time.monotonic()
    process.signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - began_s < 2


@pytest.mark.parametrize("defects", [[], ["term-drops-in-flight"]])
def test_termination_never_calls_done_what_was_cut_short(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait, defects: list[str]
):
    process = worker(grace_ms=50, defects=defects)
    task = create(duration_ms=5000)
    wait_until(lambda: ledger("start"))
    process.signal(signal.SIGTERM)
    assert process.wait(5) == 0
    assert row(task)["status"] == ("completed" if defects else "retrying")
    assert [each["result"] for each in ledger("end")] == [None]


@pytest.mark.parametrize("defects", [[], ["batch-blocks-polling"]])
def test_a_slow_task_does_not_keep_the_other_slots_idle(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait, defects: list[str]
):
    slow, quick = create(duration_ms=1500), create(duration_ms=10)
    worker(concurrency=2, defects=defects)
    wait_until(lambda: row(quick)["status"] == "completed")
    later = create()
    wait_until(lambda: row(later)["status"] == "completed" and row(slow)["status"] == "completed")
    at_ns = {(each["task"], each["event"]): each["at_ns"] for each in ledger()}
    assert (at_ns[later, "start"] > at_ns[slow, "end"]) == bool(defects)


def test_types_are_registered_with_what_their_handlers_do(worker: Worker, query: Query):
    query("DELETE FROM task_types RETURNING name")
    query("INSERT INTO task_types VALUES ('email', 'Told by somebody') RETURNING name")
    worker()
    types = {each["name"]: each["description"] for each in query("SELECT * FROM task_types")}
    assert set(types) == set(HANDLERS)
    assert types["email"] == "Told by somebody"
    assert types["webhook"].startswith("Pretend to call a URL")


def test_a_type_that_nobody_handles_waits(
    worker: Worker, create: Create, row: Row, query: Query, wait_until: Wait
):
    query("INSERT INTO task_types VALUES ('unheard-of', '') RETURNING name")
    strange = create(task_type="unheard-of", priority="critical")
    worker()
    other = create()
    wait_until(lambda: row(other)["status"] == "completed")
    assert (row(strange)["status"], row(strange)["current_attempt"]) == ("pending", 0)


@pytest.mark.parametrize("defects", [[], ["type-registration-once"]])
def test_registration_is_repeated_until_the_database_is_there(
    worker: Worker,
    cluster: Cluster,
    create: Create,
    row: Row,
    ledger: Records,
    wait_until: Wait,
    tmp_path: Path,
    defects: list[str],
):
    cluster.stop("fast")
    worker(defects=defects)
    cluster.start(30)
    log = tmp_path / "worker-1.log"
    wait_until(lambda: "available again" in log.read_text())
    tasks = [create() for _ in range(3)]
    if defects:
        worker("worker-2")
    wait_until(lambda: all(row(task)["status"] == "completed" for task in tasks))
    ran_on = {each["component"] for each in ledger("start")}
    assert ran_on == ({"worker-2"} if defects else {"worker-1"})
