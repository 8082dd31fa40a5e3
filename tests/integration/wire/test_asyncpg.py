"""What asyncpg does, through the proxy."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from integration.wire.harness import WAIT_S, Wire


def use(wire: Wire, work: Callable[[asyncpg.Connection], Awaitable[None]]):
    async def run() -> None:
        connection = await connect(wire)
        try:
            await work(connection)
        finally:
            await connection.close()

    asyncio.run(asyncio.wait_for(run(), 30))
    wire.wait_balanced()


async def connect(wire: Wire) -> asyncpg.Connection:
    return await asyncpg.connect(
        host="127.0.0.1", port=wire.port("worker-1"), user="postgres", database=wire.database
    )


def test_transactions_and_prepared_statements(wire: Wire):
    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("insert into tasks (status) values ($1)", "new")
        prepared = await connection.prepare("select status from tasks where id = $1")
        assert [await prepared.fetchval(n) for n in (1, 2, 1)] == ["new", None, "new"]

    use(wire, work)
    heads = [key.rpartition(" [")[0] for key, _end in wire.ends()]
    assert "COMMIT of INSERT tasks" in heads
    assert heads.count("SELECT tasks WHERE") == 0


def test_many_inserts_and_copied_records(wire: Wire):
    async def work(connection: asyncpg.Connection) -> None:
        rows = [(str(number),) for number in range(500)]
        await connection.executemany("insert into tasks (payload) values ($1)", rows)
        await connection.copy_records_to_table("tasks", records=rows, columns=["payload"])
        assert await connection.fetchval("select count(*) from tasks") == 1000

    use(wire, work)
    assert sum(end == "INSERT 0 1" for _key, end in wire.ends()) == 500


def test_a_listener_hears(wire: Wire):
    async def work(connection: asyncpg.Connection) -> None:
        heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await connection.add_listener("news", lambda *said: heard.set_result(said[3]))
        other = await connect(wire)
        await other.execute("select pg_notify('news', 'loud')")
        assert await asyncio.wait_for(heard, WAIT_S) == "loud"
        await other.close()

    use(wire, work)


def test_a_query_that_times_out_is_cancelled(wire: Wire):
    async def work(connection: asyncpg.Connection) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await connection.execute("select pg_sleep(60)", timeout=0.1)
        assert await connection.fetchval("select 7") == 7

    use(wire, work)
    assert ("CANCEL", "") in wire.ends()


def test_a_cursor_fetches_in_portions(wire: Wire):
    wire.directly("insert into tasks (status) select 'new' from generate_series(1, 1000)")

    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            found = [row async for row in connection.cursor("select id from tasks", prefetch=100)]
        assert len(found) == 1000

    use(wire, work)
    assert sum(key.startswith("SELECT tasks [") for key, _end in wire.ends()) > 9


def test_values_of_megabytes(wire: Wire):
    async def work(connection: asyncpg.Connection) -> None:
        value = "z" * 3_000_000
        assert await connection.fetchval("select $1::text", value) == value

    use(wire, work)
