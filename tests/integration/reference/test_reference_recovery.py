"""Workers that are killed, frozen or cut off, and databases that go away."""

import asyncio
import signal
from collections.abc import Callable
from typing import Any, Literal

import psycopg
import pytest
from psycopg.rows import dict_row

from chaosfuzz.reference.claiming import Claim, claim
from chaosfuzz.reference.recovery import recover
from chaosfuzz.reference.results import complete, extend_lease, fail, release
from chaosfuzz.reference.settings import Settings
from chaosfuzz.targets.keeper import Child
from chaosfuzz.targets.postgres import Cluster

Worker = Callable[..., Child]
Create = Callable[..., str]
Row = Callable[[str], dict[str, Any]]
Query = Callable[..., list[dict[str, Any]]]
Records = Callable[..., list[dict[str, Any]]]
Wait = Callable[..., None]
OVERDUE = "SELECT id FROM tasks WHERE lease_until < clock_timestamp() - interval '300 ms'"


def test_the_task_of_a_killed_worker_is_run_by_another(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    first = worker("worker-1")
    task = create(duration_ms=300)
    wait_until(lambda: ledger("start"))
    worker("worker-2")
    first.kill_tree()
    wait_until(lambda: row(task)["status"] == "completed")
    assert [each["component"] for each in ledger("start")] == ["worker-1", "worker-2"]
    assert (row(task)["current_attempt"], row(task)["completed_fence"]) == (2, 2)


def test_a_task_that_kills_every_worker_is_buried(
    worker: Worker, create: Create, row: Row, ledger: Records, wait_until: Wait
):
    first = worker("worker-1")
    task = create(duration_ms=300, max_attempts=1)
    wait_until(lambda: ledger("start"))
    first.kill_tree()
    worker("worker-2")
    wait_until(lambda: row(task)["status"] == "failed")
    assert row(task)["last_error"] == "lease expired"


def test_defect_no_lease_recovery(
    worker: Worker, create: Create, row: Row, query: Query, ledger: Records, wait_until: Wait
):
    first = worker("worker-1")
    task = create(duration_ms=300)
    wait_until(lambda: ledger("start"))
    first.kill_tree()
    worker("worker-2", defects=["no-lease-recovery"])
    wait_until(lambda: query(OVERDUE))
    assert row(task)["status"] == "running"


@pytest.mark.parametrize("mode", ["at-least-once", "exactly-once-effect"])
@pytest.mark.parametrize("defects", [[], ["complete-without-lease-check"]])
def test_the_result_of_a_frozen_worker_counts_only_with_the_defect(
    worker: Worker,
    create: Create,
    row: Row,
    query: Query,
    ledger: Records,
    wait_until: Wait,
    mode: str,
    defects: list[str],
):
    first = worker("worker-1", mode=mode, defects=defects)
    task = create(duration_ms=150)
    wait_until(lambda: ledger("start"))
    first.signal(signal.SIGSTOP)
    worker("worker-2", mode=mode, defects=defects)
    wait_until(lambda: row(task)["status"] == "completed")
    assert row(task)["completed_fence"] == 2
    first.signal(signal.SIGCONT)
    wait_until(lambda: len(ledger("end")) == 2)
    effects = "SELECT fence FROM effects ORDER BY fence"
    if defects:
        wait_until(lambda: row(task)["completed_fence"] == 1)
        expected = [{"fence": 1}, {"fence": 2}]
    else:
        # A graceful end is the proof that the worker has said all it had to say.
        first.signal(signal.SIGTERM)
        assert first.wait(5) == 0
        assert row(task)["completed_fence"] == 2
        expected = [{"fence": 2}]
    assert query(effects) == (expected if mode == "exactly-once-effect" else [])


def test_every_write_of_a_stale_claim_is_refused(dsn: str, create: Create, row: Row):
    settings = Settings(dsn=dsn)
    task = create()

    async def go() -> None:
        connection = await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, row_factory=dict_row
        )
        async with connection:
            stale = await claim(connection, settings, "one")
            assert stale is not None
            assert await claim(connection, settings, "two") is None
            assert await recover(connection, settings) == 0
            await connection.execute("UPDATE tasks SET lease_until = now() - interval '1 s'")
            assert await recover(connection, settings) == 1
            await refused(connection, stale)
            held = await claim(connection, settings, "two")
            assert held is not None
            assert (held.fence, held.attempt) == (2, 2)
            await refused(connection, stale)
            assert await extend_lease(connection, held, settings)
            assert await complete(connection, held, settings)
            assert not await complete(connection, held, settings)
            await refused(connection, held)

    async def refused(connection: psycopg.AsyncConnection[Any], stale: Claim) -> None:
        assert not await extend_lease(connection, stale, settings)
        assert not await complete(connection, stale, settings)
        assert not await fail(connection, stale, settings, "late")
        assert not await release(connection, stale, settings)

    asyncio.run(go())
    assert row(task)["completed_fence"] == 2


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_workers_outlive_an_outage(
    worker: Worker,
    create: Create,
    row: Row,
    cluster: Cluster,
    wait_until: Wait,
    mode: Literal["fast", "immediate", "kill"],
):
    # A poll this rare shows that coming back does not wait for it.
    process = worker(poll_ms=20_000)
    before = create()
    wait_until(lambda: row(before)["status"] == "completed")
    for _ in range(2):
        cluster.stop(mode)
        cluster.start(30)
        task = create()
        wait_until(lambda task=task: row(task)["status"] == "completed", timeout_s=4)
    assert process.exit_code is None


def test_a_result_waits_for_the_database_as_long_as_the_lease_holds(
    worker: Worker, create: Create, row: Row, cluster: Cluster, ledger: Records, wait_until: Wait
):
    worker(lease_ms=8000)
    task = create(duration_ms=100)
    wait_until(lambda: ledger("start"))
    cluster.stop("immediate")
    wait_until(lambda: ledger("end"))
    cluster.start(30)
    wait_until(lambda: row(task)["status"] == "completed")
    assert row(task)["current_attempt"] == len(ledger("start")) == 1


def test_work_is_dropped_once_an_outage_has_outlasted_its_lease(
    worker: Worker, create: Create, row: Row, cluster: Cluster, ledger: Records, wait_until: Wait
):
    worker(lease_ms=300)
    task = create(duration_ms=1500)
    wait_until(lambda: ledger("start"))
    cluster.stop("fast")
    wait_until(lambda: ledger("end"), timeout_s=1.2)
    cluster.start(30)
    wait_until(lambda: row(task)["status"] == "completed")
    assert [each["result"] for each in ledger("end")] == [None, "finished"]


def test_a_worker_started_in_an_outage_waits_for_its_end(
    worker: Worker, create: Create, row: Row, cluster: Cluster, wait_until: Wait
):
    task = create()
    cluster.stop("fast")
    process = worker()
    assert process.wait(0.2) is None
    cluster.start(30)
    wait_until(lambda: row(task)["status"] == "completed")
    log = process.log_path.read_text()
    assert log.count("worker-1: the database is not available, trying again") == 1
    assert "Traceback" not in log


def test_sessions_that_are_ended_are_replaced_and_not_leaked(
    worker: Worker, create: Create, row: Row, query: Query, cluster: Cluster, wait_until: Wait
):
    worker(poll_ms=20_000, concurrency=2)
    tasks = []
    for _ in range(4):
        tasks.append(create(duration_ms=30))
        cluster.administrator.terminate_backends("worker-1")
    wait_until(lambda: all(row(task)["status"] == "completed" for task in tasks))
    mine = "SELECT pid FROM pg_stat_activity WHERE application_name = 'worker-1'"
    assert len(query(mine)) <= 7


def test_a_worker_that_ends_in_an_outage_ends_in_bounded_time(
    worker: Worker, create: Create, cluster: Cluster, ledger: Records, wait_until: Wait
):
    process = worker(lease_ms=8000, grace_ms=300)
    create(duration_ms=100)
    wait_until(lambda: ledger("start"))
    cluster.stop("fast")
    process.signal(signal.SIGTERM)
    assert process.wait(5) == 0


def test_defect_worker_exits_on_database_loss(worker: Worker, cluster: Cluster):
    process = worker(defects=["worker-exits-on-database-loss"])
    cluster.stop("fast")
    assert process.wait(5) == 1
