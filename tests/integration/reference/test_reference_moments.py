"""Defects with a window of one statement, struck by hand: by a connection that fails or waits."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from chaosfuzz.reference.claiming import Claim, claim
from chaosfuzz.reference.database import Connection, Database
from chaosfuzz.reference.execution import Execution
from chaosfuzz.reference.lease import Lease
from chaosfuzz.reference.ledger import Ledger
from chaosfuzz.reference.process import Notices
from chaosfuzz.reference.recovery import recover
from chaosfuzz.reference.results import complete, extend_lease, fail
from chaosfuzz.reference.settings import Settings

Create = Callable[..., str]
Row = Callable[[str], dict[str, Any]]
Query = Callable[..., list[dict[str, Any]]]


async def connected(dsn: str) -> Connection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)


def in_session(dsn: str, work: Callable[[Connection], Coroutine[Any, Any, None]]) -> None:
    async def go() -> None:
        async with await connected(dsn) as connection:
            await work(connection)

    asyncio.run(go())


async def claimed(connection: Connection, settings: Settings, worker: str = "one") -> Claim:
    taken = await claim(connection, settings, worker)
    assert taken is not None
    return taken


async def lose_lease(connection: Connection, settings: Settings) -> None:
    await connection.execute("UPDATE tasks SET lease_until = now() - interval '1 s'")
    assert await recover(connection, settings) == 1


class Interrupted:
    """A connection that does something else just before the first statement with a text in it."""

    def __init__(
        self, connection: Connection, text: str, meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        self._connection = connection
        self._text = text
        self._meanwhile = meanwhile
        self._done = False

    async def execute(self, query: str, *parameters: object) -> object:
        if not self._done and self._text in query:
            self._done = True
            await self._meanwhile()
        return await self._connection.execute(query, *parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("defects", [set(), {"effect-then-complete-in-two-commits"}])
def test_an_effect_is_undone_with_its_completion(
    dsn: str, create: Create, query: Query, defects: set[str]
):
    settings = Settings(dsn=dsn, mode="exactly-once-effect", defects=frozenset(defects))
    create()

    async def broken() -> None:
        raise psycopg.OperationalError

    async def work(connection: Connection) -> None:
        taken = await claimed(connection, settings)
        struck = Interrupted(connection, "UPDATE tasks SET status = 'completed'", broken)
        with pytest.raises(psycopg.OperationalError):
            await complete(struck, taken, settings)  # type: ignore[arg-type]

    in_session(dsn, work)
    assert len(query("SELECT * FROM effects")) == len(defects)


@pytest.mark.parametrize("defects", [set(), {"heartbeat-revives-lost-lease"}])
def test_a_late_heartbeat_leaves_the_next_lease_alone(
    dsn: str, create: Create, row: Row, defects: set[str]
):
    settings = Settings(dsn=dsn, defects=frozenset(defects))
    task = create()

    async def work(connection: Connection) -> None:
        stale = await claimed(connection, settings)
        await lose_lease(connection, settings)
        await claimed(connection, settings, "two")
        assert await extend_lease(connection, stale, settings) == bool(defects)

    in_session(dsn, work)
    assert (row(task)["locked_by"], row(task)["fence"]) == (("one", 1) if defects else ("two", 2))


@pytest.mark.parametrize("defects", [set(), {"claim-two-statements"}])
def test_a_late_claim_leaves_a_finished_task_alone(
    dsn: str, create: Create, row: Row, defects: set[str]
):
    correct, settings = Settings(dsn=dsn), Settings(dsn=dsn, defects=frozenset(defects))
    task = create()

    async def work(connection: Connection) -> None:
        async def somebody_is_quicker() -> None:
            assert await complete(connection, await claimed(connection, correct, "two"), correct)
            await asyncio.sleep(0.11)

        late = Interrupted(connection, "UPDATE tasks", somebody_is_quicker)
        taken = await claim(late, settings, "one")  # type: ignore[arg-type]
        assert (taken is not None) == bool(defects)

    in_session(dsn, work)
    assert row(task)["status"] == ("running" if defects else "completed")


@pytest.mark.parametrize("defects", [set(), {"result-written-after-lease-lost-by-late-commit"}])
def test_a_late_result_leaves_the_next_lease_alone(
    dsn: str, create: Create, row: Row, defects: set[str]
):
    settings = Settings(dsn=dsn, defects=frozenset(defects))
    task = create()

    async def work(connection: Connection) -> None:
        async def somebody_takes_over() -> None:
            await lose_lease(connection, settings)
            await claimed(connection, settings, "two")

        stale = await claimed(connection, settings)
        late = Interrupted(connection, "UPDATE tasks", somebody_takes_over)
        assert await complete(late, stale, settings) == bool(defects)  # type: ignore[arg-type]

    in_session(dsn, work)
    assert (row(task)["fence"], row(task)["completed_fence"]) == (2, 1 if defects else None)


@pytest.mark.parametrize("defects", [set(), {"retry-counts-twice-on-lost-reply"}])
def test_a_failure_told_twice_counts_once(dsn: str, create: Create, row: Row, defects: set[str]):
    settings = Settings(dsn=dsn, defects=frozenset(defects))
    task = create(max_attempts=2)

    async def work(connection: Connection) -> None:
        async def broken() -> None:
            raise psycopg.OperationalError

        taken = await claimed(connection, settings)
        struck = Interrupted(connection, "SET status = 'retrying'", broken)
        with pytest.raises(psycopg.OperationalError):
            await fail(struck, taken, settings, "once")  # type: ignore[arg-type]
        assert await fail(connection, taken, settings, "once")

    in_session(dsn, work)
    assert row(task)["status"] == ("failed" if defects else "retrying")


@pytest.mark.parametrize("defects", [set(), {"transaction-left-open-after-error"}])
def test_a_refused_result_leaves_no_transaction_open(dsn: str, create: Create, defects: set[str]):
    settings = Settings(dsn=dsn, defects=frozenset(defects))
    create()

    async def work(connection: Connection) -> None:
        async def cancelled() -> None:
            async with await connected(dsn) as other:
                await other.execute("UPDATE tasks SET status = 'cancelled'")

        taken = await claimed(connection, settings)
        late = Interrupted(connection, "UPDATE tasks", cancelled)
        assert not await complete(late, taken, settings)  # type: ignore[arg-type]
        status = psycopg.pq.TransactionStatus
        wanted = status.INTRANS if defects else status.IDLE
        assert connection.info.transaction_status == wanted

    in_session(dsn, work)


@pytest.mark.parametrize(
    ("defects", "is_committed", "status"),
    [
        (set(), True, "completed"),
        (set(), False, "completed"),
        ({"commit-reply-lost-reruns"}, True, "retrying"),
        ({"cut-connection-forgets-task"}, True, "completed"),
        ({"cut-connection-forgets-task"}, False, "running"),
    ],
)
def test_a_connection_lost_over_a_result_is_no_harm(
    dsn: str,
    create: Create,
    row: Row,
    monkeypatch: pytest.MonkeyPatch,
    defects: set[str],
    is_committed: bool,
    status: str,
):
    settings = Settings(dsn=dsn, heartbeat_ms=20, lease_ms=300, defects=frozenset(defects))
    task = create()
    tries = []

    async def cut(connection: Connection, taken: Claim, settings: Settings) -> bool:
        tries.append(taken)
        if is_committed or len(tries) > 1:
            await complete(connection, taken, settings)
        if len(tries) == 1:
            raise psycopg.OperationalError
        return True

    async def go() -> None:
        database = Database(dsn, timeout_ms=800, max_connections=4, notices=Notices("worker-1"))
        taken = await database.run(lambda each: claim(each, settings, "one"))
        assert taken is not None
        lease = Lease(settings, asyncio.get_running_loop().time())
        execution = Execution(taken, lease, database, Ledger.open(None, "worker-1"), settings)
        (ended,) = await asyncio.gather(execution.run(), return_exceptions=True)
        assert (ended is not None) == ("cut-connection-forgets-task" in defects)
        # Long enough for the lease to expire, if nobody extends it.
        await asyncio.sleep(0.4)
        await database.run(lambda each: recover(each, settings))
        await database.close()

    monkeypatch.setattr("chaosfuzz.reference.execution.complete", cut)
    asyncio.run(go())
    assert row(task)["status"] == status


@pytest.mark.parametrize("defects", [set(), {"stale-claim-snapshot"}])
@pytest.mark.parametrize("change", ["status = 'cancelled'", "ready_at = now() + interval '1 h'"])
def test_a_claim_looks_again_at_what_an_earlier_look_found(
    dsn: str, create: Create, defects: set[str], change: str
):
    settings = Settings(dsn=dsn, defects=frozenset(defects))
    first, second = create(priority="high"), create()

    async def work(connection: Connection) -> None:
        snapshot: list[DictRow] = []
        taken = await claim(connection, settings, "one", snapshot=snapshot)
        assert taken is not None
        assert taken.task_id == first
        await connection.execute(f"UPDATE tasks SET {change} WHERE id = %s", (second,))
        stale = await claim(connection, settings, "one", snapshot=snapshot)
        assert (stale is not None) == bool(defects)

    in_session(dsn, work)
