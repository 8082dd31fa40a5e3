"""What psycopg does, through the proxy."""

import asyncio
import threading

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire

BIG = 3_000_000


def test_statements_rows_and_errors_are_as_without_the_proxy(wire: Wire):
    with wire.connect() as connection:
        connection.execute("insert into tasks (status) values ('pending'), ('running')")
        cursor = connection.execute("select id, status from tasks where id = %s", [2])
        assert cursor.fetchone() == (2, "running")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("select 1/0")
    wire.wait_balanced()
    ends = [end for key, end in wire.ends() if key != "CONNECT"]
    assert ends == ["INSERT 0 2", "SELECT 1", "22012"]


def test_a_prepared_statement_keeps_its_key_and_its_parameters_are_known(wire: Wire):
    with wire.connect() as connection:
        for number in range(10):
            connection.execute("select status from tasks where id = %s::int8", [str(number)])
    wire.wait_balanced()
    keys = {key for key, _end in wire.ends() if key.startswith("SELECT")}
    assert keys == {wire.ends()[-1][0]}
    events = [event for event in wire.events() if event.key in keys]
    assert [event.nth for event in events] == list(range(1, 11))
    assert [event.parameters() for event in events] == [(str(number),) for number in range(10)]


def test_transactions_are_told_by_what_they_commit(wire: Wire):
    with wire.connect(autocommit=False) as connection:
        connection.execute("update tasks set status = 'running'")
        connection.commit()
        connection.execute("select count(*) from tasks")
        connection.rollback()
    wire.wait_balanced()
    assert [(key.rpartition(" [")[0] or key, end) for key, end in wire.ends()] == [
        ("CONNECT", ""),
        ("BEGIN", "BEGIN"),
        ("UPDATE tasks SET status='running'", "UPDATE 0"),
        ("COMMIT of UPDATE tasks SET status='running'", "COMMIT"),
        ("BEGIN", "BEGIN"),
        ("SELECT tasks", "SELECT 1"),
        ("ROLLBACK", "ROLLBACK"),
    ]


def test_a_pipeline_goes_through_in_order(wire: Wire):
    with wire.connect() as connection, connection.pipeline() as pipeline:
        insert = "insert into tasks (payload) values (%s) returning id"
        cursors = [connection.execute(insert, [str(n)]) for n in range(20)]
        pipeline.sync()
        assert [cursor.fetchone() for cursor in cursors] == [(n,) for n in range(1, 21)]
    wire.wait_balanced()


def test_after_an_error_the_rest_of_a_pipeline_is_skipped_and_the_beginning_undone(wire: Wire):
    with wire.connect() as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            run_in_pipeline(
                connection,
                "insert into tasks (payload) values ('a')",
                "select 1 / 0",
                "delete from tasks",
            )
        assert connection.execute("select 5").fetchone() == (5,)
    wire.wait_balanced()
    ends = {key.split(" ")[0]: end for key, end in wire.ends()}
    assert ends["INSERT"] == "22012"
    assert ends["DELETE"] == "SKIPPED"
    assert ("SELECT [50fde206]", "SELECT 1") in wire.ends()
    assert wire.directly("select count(*) from tasks") == [(0,)]


def run_in_pipeline(connection: psycopg.Connection, *statements: str):
    with connection.pipeline():
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("form", ["text", "binary"])
def test_copy_both_ways(wire: Wire, form: str):
    rows = [(f"row {number}",) for number in range(5000)]
    with wire.connect() as connection, connection.cursor() as cursor:
        with cursor.copy(f"copy tasks (payload) from stdin (format {form})") as copy:
            copy.set_types(["text"])
            for row in rows:
                copy.write_row(row)
        assert cursor.rowcount == len(rows)
        source = "select payload from tasks where id > %s order by id"
        with cursor.copy(f"copy ({source}) to stdout (format {form})", [0]) as copy:
            copy.set_types(["text"])
            assert list(copy.rows()) == rows
        assert cursor.execute("select 1").fetchone() == (1,)
    wire.wait_balanced()
    assert [end for key, end in wire.ends() if key.startswith("COPY")] == ["COPY 5000"] * 2


def test_a_copy_that_fails_leaves_the_connection_usable(wire: Wire):
    with wire.connect() as connection, connection.cursor() as cursor:
        for data in (b"not a number\n" * 20_000, b"1\n"):
            with pytest.raises(psycopg.Error):
                copy_in(cursor, data, give_up=data == b"1\n")
            assert connection.execute("select 7").fetchone() == (7,)
    wire.wait_balanced()
    assert [end for key, end in wire.ends() if key.startswith("COPY")] == ["22P02", "57014"]


def copy_in(cursor: psycopg.Cursor, data: bytes, *, give_up: bool):
    with cursor.copy("copy tasks (id) from stdin") as copy:
        copy.write(data)
        if give_up:
            raise psycopg.DataError("given up on purpose")


def test_a_server_cursor(wire: Wire):
    wire.directly("insert into tasks (status) select 'new' from generate_series(1, 100)")
    with wire.connect(autocommit=False) as connection, connection.cursor(name="served") as cursor:
        cursor.execute("select id from tasks order by id")
        assert cursor.fetchmany(30)[-1] == (30,)
        assert len(cursor.fetchall()) == 70
    wire.wait_balanced()


def test_values_of_megabytes_both_ways(wire: Wire):
    value = "z" * BIG
    with wire.connect() as connection:
        assert connection.execute("select %s::text", [value]).fetchone() == (value,)
        assert connection.execute(f"select '{value}'").fetchone() == (value,)
        many = connection.execute("select repeat('y', 1000) from generate_series(1, 5000)")
        assert len(many.fetchall()) == 5000
    wire.wait_balanced()


def test_a_cancel_request_reaches_its_query(wire: Wire):
    with wire.connect() as connection:
        canceller = threading.Thread(target=lambda: cancel_when_it_sleeps(wire, connection))
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(60)")
        canceller.join(WAIT_S)
    wire.wait_balanced()
    assert ("CANCEL", "") in wire.ends()


def cancel_when_it_sleeps(wire: Wire, connection: psycopg.Connection):
    pid = connection.info.backend_pid
    active = f"select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep'"
    while wire.directly(active) != [(1,)]:
        threading.Event().wait(0.01)
    connection.cancel_safe(timeout=WAIT_S)


def test_notifications_reach_idle_connections(wire: Wire):
    with wire.connect("listener") as listener, wire.connect("speaker") as speaker:
        listener.execute("listen news")
        speaker.execute("notify news, 'first'")
        (first,) = listener.notifies(timeout=WAIT_S, stop_after=1)
        speaker.execute("select pg_notify('news', 'second')")
        (second,) = listener.notifies(timeout=WAIT_S, stop_after=1)
        assert (first.payload, second.payload) == ("first", "second")
        assert listener.execute("select 1").fetchone() == (1,)
    wire.wait_balanced()


def test_notices_and_parameter_changes_come_through(wire: Wire):
    said: list[str] = []
    with wire.connect() as connection:
        connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
        connection.execute("do $$ begin raise notice 'heard'; end $$")
        connection.execute("set timezone = 'Asia/Tokyo'")
        assert connection.info.timezone.key == "Asia/Tokyo"
    assert said == ["heard"]


def test_several_statements_in_one_query_are_one_event(wire: Wire):
    with wire.connect() as connection:
        connection.execute("insert into tasks default values; select 1; delete from tasks")
    wire.wait_balanced()
    key, end = wire.ends()[-1]
    assert key.startswith("INSERT tasks;+2 [")
    assert end == "INSERT 0 1;SELECT 1;DELETE 1"


def test_an_error_at_commit_is_the_error_of_the_statement(wire: Wire):
    wire.directly("create table once (a int unique deferrable initially deferred)")
    with wire.connect() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("insert into once select 1 from generate_series(1, %s)", [2])
    wire.wait_balanced()
    assert wire.ends()[-1][1] == "23505"


def test_result_rows_are_kept_when_asked_for(wire: Wire):
    wire.directly("insert into tasks (status) values ('new'), ('old'), (null)")
    wire.proxy._controller.rows_wanted = 2
    with wire.connect() as connection:
        cursor = connection.cursor(binary=True)
        cursor.execute("select id, status from tasks where id > %b order by id", [0])
        connection.execute("select id, status from tasks order by id desc")
    wire.wait_balanced()
    kept = [(event.rows(), event.parameters()) for event in wire.events()]
    assert kept[-2][0] == ((b"\0\0\0\1", b"new"), (b"\0\0\0\2", b"old"))
    assert kept[-2][1] == (b"\0\0",)
    assert kept[-1] == ((("3", None), ("2", "old")), ())


def test_the_asynchronous_client_in_a_pipeline(wire: Wire):
    async def use() -> list[object]:
        connection = await psycopg.AsyncConnection.connect(wire.dsn())
        async with connection, connection.pipeline():
            cursors = [await connection.execute("select %s::int", [n]) for n in range(50)]
            return [await cursor.fetchone() for cursor in cursors]

    assert asyncio.run(use()) == [(n,) for n in range(50)]
    wire.wait_balanced()


@pytest.mark.skipif(psycopg.pq.version() < 180000, reason="libpq before 18 has no protocol 3.2")
def test_the_long_cancel_keys_of_protocol_3_2(wire: Wire):
    dsn = f"{wire.dsn()} min_protocol_version=3.2 max_protocol_version=3.2"
    with psycopg.connect(dsn, autocommit=True) as connection:
        canceller = threading.Thread(target=lambda: cancel_when_it_sleeps(wire, connection))
        canceller.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(60)")
        canceller.join(WAIT_S)
    wire.wait_balanced()
