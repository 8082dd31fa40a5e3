"""Circuit breakers: what their rows do as tasks of a type are claimed, fail and succeed."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from chaosfuzz.reference.claiming import Claim, claim
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.recovery import recover
from chaosfuzz.reference.registration import register
from chaosfuzz.reference.results import complete, extend_lease, fail, release
from chaosfuzz.reference.settings import Settings
from chaosfuzz.targets.keeper import Child

Create = Callable[..., str]
Row = Callable[[str], dict[str, Any]]
Query = Callable[..., list[dict[str, Any]]]
LIMITS: dict[str, Any] = {"breaker_failures": 3, "breaker_open_ms": 60_000, "breaker_successes": 2}


class Queue:
    """One worker's view of the queue, with the settings of the test."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.connection, self.settings = connection, settings

    async def claim(self, worker: str = "one") -> Claim | None:
        return await claim(self.connection, self.settings, worker)

    async def taken(self, worker: str = "one") -> Claim:
        found = await self.claim(worker)
        assert found is not None
        return found

    async def fail(self, taken: Claim) -> bool:
        return await fail(self.connection, taken, self.settings, "told to")

    async def complete(self, taken: Claim) -> bool:
        return await complete(self.connection, taken, self.settings)

    async def fail_next(self, times: int = 1, worker: str = "one") -> None:
        for _ in range(times):
            assert await self.fail(await self.taken(worker))

    async def wait_out_breaker(self) -> None:
        await self.connection.execute(
            "UPDATE circuit_breakers SET opened_at = opened_at - interval '60 s'"
        )

    async def another(self) -> "Queue":
        return Queue(await connected(self.settings.dsn), self.settings)


async def connected(dsn: str) -> Connection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)


@pytest.fixture
def in_queue(dsn: str) -> Callable[..., None]:
    """Run work on a queue whose types are registered."""

    def run(work: Callable[[Queue], Coroutine[Any, Any, None]], **given: object) -> None:
        settings = Settings.from_mapping({"dsn": dsn, **LIMITS, **given})

        async def go() -> None:
            async with await connected(dsn) as connection:
                for worker in ("one", "two"):
                    await register(connection, settings, worker)
                await work(Queue(connection, settings))

        asyncio.run(go())

    return run


@pytest.fixture
def breaker(query: Query) -> Callable[[], dict[str, Any]]:
    return lambda: query("SELECT * FROM circuit_breakers WHERE task_type = 'probe'")[0]


@pytest.fixture
def turns(query: Query) -> Callable[[], list[str]]:
    found = "SELECT to_state FROM circuit_breaker_transitions ORDER BY id"
    return lambda: [each["to_state"] for each in query(found)]


Breaker = Callable[[], dict[str, Any]]
Turns = Callable[[], list[str]]
InQueue = Callable[..., None]


def test_failures_in_a_row_open_it_and_tasks_of_other_types_go_on(
    in_queue: InQueue, create: Create, row: Row, breaker: Breaker, turns: Turns
):
    for _ in range(3):
        create(max_attempts=1)
    kept = create()

    async def work(queue: Queue) -> None:
        await queue.fail_next(3)
        assert await queue.claim() is None
        other = create(task_type="probe_b")
        assert (await queue.taken()).task_id == other

    in_queue(work)
    assert (breaker()["state"], breaker()["opened"]) == ("open", 1)
    assert (row(kept)["status"], row(kept)["current_attempt"]) == ("pending", 0)
    assert turns() == ["open"]


def test_a_success_begins_the_count_anew(in_queue: InQueue, create: Create, breaker: Breaker):
    for _ in range(5):
        create(max_attempts=1)

    async def work(queue: Queue) -> None:
        await queue.fail_next(2)
        await queue.complete(await queue.taken())
        assert breaker()["failures"] == 0
        await queue.fail_next(2)

    in_queue(work)
    assert (breaker()["state"], breaker()["failures"]) == ("closed", 2)


def test_failures_of_many_workers_at_once_are_all_counted(
    in_queue: InQueue, create: Create, breaker: Breaker
):
    for _ in range(6):
        create(max_attempts=1)

    async def work(queue: Queue) -> None:
        queues = [queue, *[await queue.another() for _ in range(5)]]
        claims = [await each.taken() for each in queues]
        results = [each.fail(taken) for each, taken in zip(queues, claims, strict=True)]
        assert all(await asyncio.gather(*results))
        for each in queues[1:]:
            await each.connection.close()

    in_queue(work, breaker_failures=7)
    assert breaker()["failures"] == 6


def test_a_result_that_is_refused_counts_for_nothing(
    in_queue: InQueue, create: Create, breaker: Breaker
):
    create()

    async def work(queue: Queue) -> None:
        stale = await queue.taken()
        await queue.connection.execute("UPDATE tasks SET lease_until = now() - interval '1 s'")
        assert await recover(queue.connection, queue.settings) == 1
        assert not await queue.fail(stale)

    in_queue(work)
    assert breaker()["failures"] == 0


async def opened(queue: Queue, create: Create, waiting: int = 3) -> None:
    """Open the breaker, with tasks behind it, and wait until it lets a probe through."""
    for _ in range(3):
        create(max_attempts=1, priority="critical")
    for _ in range(waiting):
        create()
    await queue.fail_next(3)
    await queue.wait_out_breaker()


def test_it_lets_one_probe_through_however_many_ask(
    in_queue: InQueue, create: Create, breaker: Breaker
):
    async def work(queue: Queue) -> None:
        await opened(queue, create, waiting=8)
        queues = [await queue.another() for _ in range(8)]
        found = [each for each in await asyncio.gather(*(q.claim() for q in queues)) if each]
        assert len(found) == 1
        assert found[0].probes
        assert await queue.claim() is None
        assert str(breaker()["probe"]) == found[0].task_id
        for each in queues:
            await each.connection.close()

    in_queue(work)
    assert breaker()["state"] == "half-open"


def test_successes_of_probes_close_it(in_queue: InQueue, create: Create, turns: Turns):
    async def work(queue: Queue) -> None:
        await opened(queue, create, waiting=4)
        await queue.complete(await queue.taken())
        assert turns() == ["open", "half-open"]
        await queue.complete(await queue.taken())
        assert (await queue.claim()) is not None
        assert (await queue.claim()) is not None

    in_queue(work)
    assert turns() == ["open", "half-open", "closed"]


def test_one_failure_of_a_probe_opens_it_again(
    in_queue: InQueue, create: Create, breaker: Breaker, turns: Turns
):
    async def work(queue: Queue) -> None:
        await opened(queue, create)
        await queue.complete(await queue.taken())
        await queue.fail_next()
        assert await queue.claim() is None

    in_queue(work)
    assert (breaker()["opened"], breaker()["successes"]) == (2, 0)
    assert turns() == ["open", "half-open", "open"]


@pytest.mark.parametrize("half_open", [False, True])
def test_a_straggler_neither_closes_nor_opens_it(
    in_queue: InQueue, create: Create, breaker: Breaker, half_open: bool
):
    async def work(queue: Queue) -> None:
        create(priority="critical")
        create(priority="critical")
        good, bad = await queue.taken(), await queue.taken()
        await opened(queue, create)
        if half_open:
            await queue.taken()
        before = breaker()
        assert await queue.complete(good)
        assert await queue.fail(bad)
        assert breaker() == before

    in_queue(work, breaker_successes=1)


def test_a_probe_whose_worker_died_makes_room_when_its_lease_ends(
    in_queue: InQueue, create: Create, breaker: Breaker
):
    async def work(queue: Queue) -> None:
        await opened(queue, create)
        dead = await queue.taken()
        assert await queue.claim() is None
        await queue.connection.execute(
            "UPDATE circuit_breakers SET probe_until = probe_until - interval '1 s'"
        )
        await queue.connection.execute(
            "UPDATE tasks SET lease_until = lease_until - interval '1 s'"
        )
        found = await queue.taken()
        assert found.probes
        assert found.task_id != dead.task_id
        # It comes to life again: the result counts for the task if nobody has it by now, and
        # never for the breaker.
        before = breaker()
        assert await queue.fail(dead)
        assert breaker() == before

    in_queue(work)


def test_a_heartbeat_keeps_the_probe(in_queue: InQueue, create: Create, breaker: Breaker):
    async def work(queue: Queue) -> None:
        await opened(queue, create)
        probe = await queue.taken()
        until = breaker()["probe_until"]
        assert await extend_lease(queue.connection, probe, queue.settings)
        assert breaker()["probe_until"] > until

    in_queue(work)


@pytest.mark.parametrize("max_attempts", [1, 3])
def test_a_probe_given_back_makes_room_at_once(
    in_queue: InQueue, create: Create, turns: Turns, max_attempts: int
):
    async def work(queue: Queue) -> None:
        create(max_attempts=max_attempts, priority="high")
        await opened(queue, create)
        probe = await queue.taken()
        assert await release(queue.connection, probe, queue.settings)
        assert (await queue.taken()).probes

    in_queue(work)
    assert turns() == ["open", "half-open"]


def test_an_effect_commits_with_the_count(in_queue: InQueue, create: Create, query: Query):
    create()

    async def work(queue: Queue) -> None:
        await queue.fail_next()
        await queue.connection.execute("UPDATE tasks SET ready_at = now()")
        assert await queue.complete(await queue.taken())

    in_queue(work, mode="exactly-once-effect")
    assert len(query("SELECT * FROM effects")) == 1
    assert query("SELECT failures FROM circuit_breakers WHERE task_type = 'probe'") == [
        {"failures": 0}
    ]


@pytest.mark.parametrize("defects", [[], ["breaker-never-half-opens"]])
def test_defect_never_half_opens(in_queue: InQueue, create: Create, defects: list[str]):
    async def work(queue: Queue) -> None:
        await opened(queue, create)
        assert (await queue.claim() is None) == bool(defects)

    in_queue(work, defects=defects)


@pytest.mark.parametrize("defects", [[], ["half-open-flood"]])
def test_defect_half_open_flood(in_queue: InQueue, create: Create, defects: list[str]):
    async def work(queue: Queue) -> None:
        await opened(queue, create)
        await queue.taken()
        assert (await queue.claim() is not None) == bool(defects)

    in_queue(work, defects=defects)


@pytest.mark.parametrize("defects", [[], ["breaker-per-process"]])
def test_defect_per_process(in_queue: InQueue, create: Create, defects: list[str]):
    async def work(queue: Queue) -> None:
        await opened(queue, create)
        await queue.connection.execute("UPDATE circuit_breakers SET opened_at = now()")
        assert await queue.claim("one") is None
        assert (await queue.claim("two") is not None) == bool(defects)

    in_queue(work, defects=defects)


@pytest.mark.parametrize("defects", [[], ["breaker-drains-queue"]])
def test_defect_drains_queue(
    worker: Callable[..., Child],
    create: Create,
    row: Row,
    ledger: Callable[..., list[dict[str, Any]]],
    wait_until: Callable[..., None],
    defects: list[str],
):
    process = worker(**LIMITS, defects=defects)
    for _ in range(3):
        create(failures=9, max_attempts=1)
    wait_until(lambda: len(ledger("end")) == 3)
    kept, other = create(), create(task_type="probe_b")
    wait_until(lambda: row(other)["status"] == "completed")
    if defects:
        wait_until(lambda: row(kept)["status"] == "failed")
        assert row(kept)["last_error"] == "the circuit breaker is open"
    else:
        assert (row(kept)["status"], row(kept)["current_attempt"]) == ("pending", 0)
    assert kept not in {each["task"] for each in ledger("start")}
    assert process.exit_code is None


def test_a_type_that_is_mended_comes_back_by_itself(
    worker: Callable[..., Child],
    create: Create,
    query: Query,
    turns: Turns,
    wait_until: Callable[..., None],
):
    for slot in (1, 2):
        worker(f"worker-{slot}", **{**LIMITS, "breaker_open_ms": 50})
    for _ in range(4):
        create(failures=2)
    unfinished = "SELECT id FROM tasks WHERE status <> 'completed'"
    wait_until(lambda: not query(unfinished), 20)
    # The last of those may have been the first success of two.
    for _ in range(2):
        create()
    wait_until(lambda: not query(unfinished), 20)
    seen = turns()
    assert (seen[0], seen[-1]) == ("open", "closed")
    assert set(pairwise(seen)) <= {
        ("open", "half-open"),
        ("half-open", "open"),
        ("half-open", "closed"),
        ("closed", "open"),
    }
