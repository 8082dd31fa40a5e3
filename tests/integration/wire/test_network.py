"""Sockets that refuse, break, half-close, or carry something else than PostgreSQL."""

import socket
import struct
import threading
import time
from contextlib import closing

import psycopg
import pytest
from integration.wire.harness import WAIT_S, Wire, sql, wait_until

from chaosfuzz.domain.moment import Side
from chaosfuzz.domain.wire import Intervention
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.wire import LaneWire

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSS_REQUEST = struct.pack("!II", 8, 80877104)


def startup(database: str, minor: int = 0) -> bytes:
    words = f"user\0postgres\0database\0{database}\0\0".encode()
    return struct.pack("!IHH", 8 + len(words), 3, minor) + words


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", 4 + len(body)) + body


def dial(wire: Wire) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", wire.port("raw")), WAIT_S)
    made.settimeout(WAIT_S)
    return made


def read_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while not received.endswith(end):
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


READY = message(b"Z", b"I")


def test_encryption_is_refused_and_the_session_goes_on(wire: Wire):
    with dial(wire) as connection:
        connection.sendall(SSL_REQUEST)
        assert connection.recv(10) == b"N"
        connection.sendall(GSS_REQUEST)
        assert connection.recv(10) == b"N"
        connection.sendall(startup(wire.database))
        read_until(connection, READY)


def test_a_client_that_insists_on_encryption_hears_of_it(wire: Wire):
    with pytest.raises(psycopg.OperationalError, match="SSL"):
        psycopg.connect(wire.dsn(), sslmode="require")


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 8]
)
def test_what_is_not_postgresql_is_closed(wire: Wire, data: bytes):
    with dial(wire) as connection:
        connection.sendall(data)
        assert connection.recv(10) == b""


def test_a_newer_protocol_is_negotiated_down(wire: Wire):
    with dial(wire) as connection:
        connection.sendall(startup(wire.database, minor=9))
        assert b"v\0\0\0" in read_until(connection, READY)


def test_requests_in_single_bytes_work(wire: Wire):
    with dial(wire) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in startup(wire.database) + message(b"Q", b"select 42\0"):
            connection.sendall(bytes([byte]))
        end = message(b"C", b"SELECT 1\0") + READY
        assert b"42" in read_until(connection, end)
    wire.wait_balanced()


def test_a_function_call_is_an_event(wire: Wire):
    (oid,) = wire.directly("select 'int4pl'::regproc::oid::int")[0]
    arguments = struct.pack("!HHH", 1, 0, 2) + b"\0\0\0\x0240" + b"\0\0\0\x012"
    with dial(wire) as connection:
        connection.sendall(startup(wire.database))
        read_until(connection, READY)
        connection.sendall(message(b"F", struct.pack("!I", oid) + arguments + b"\0\0"))
        assert message(b"V", b"\0\0\0\x0242") in read_until(connection, READY)
    wire.wait_balanced()
    assert wire.ends("raw")[-1] == ("FUNCTION", "")


def test_a_client_that_ends_its_stream_still_gets_its_answer(wire: Wire):
    with dial(wire) as connection:
        query = message(b"Q", b"select 'the last word'\0")
        connection.sendall(startup(wire.database) + query)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while data := connection.recv(65536):
            received += data
        assert b"the last word" in received
    wire.wait_balanced()


def test_a_client_that_vanishes_is_followed_to_the_end_of_its_request(wire: Wire):
    with dial(wire) as connection:
        connection.sendall(startup(wire.database))
        read_until(connection, READY)
        connection.sendall(message(b"Q", b"insert into tasks default values\0"))
    wait_until(lambda: wire.events()[-1].key.startswith("INSERT"))
    assert wire.ends("raw")[-1][1] == "INSERT 0 1"
    assert wire.directly("select count(*) from tasks") == [(1,)]


def test_a_fast_sender_and_a_slow_reader_are_held_back(wire: Wire):
    with dial(wire) as connection:
        connection.sendall(startup(wire.database))
        read_until(connection, READY)
        rows = 200_000
        connection.sendall(
            message(b"Q", b"select repeat('x', 500) from generate_series(1, %d)\0" % rows)
        )
        client = next(iter(wire.proxy._components["raw"]._connections)).client
        wait_until(lambda: client._opposite is None or client._opposite.pauses)
        buffered = client._transport.get_write_buffer_size()
        assert buffered < 2_000_000
        size = 0
        tail = b""
        while not tail.endswith(READY):
            data = connection.recv(1 << 20)
            assert data
            size += len(data)
            tail = (tail + data)[-10:]
        assert size > rows * 500
    wire.wait_balanced()


def test_a_server_that_is_away_resets_the_client_and_is_no_failure_of_the_proxy(wire: Wire):
    wire.cluster.stop("fast")
    with pytest.raises(psycopg.OperationalError):
        wire.connect()
    wire.cluster.start()
    with wire.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    wire.proxy.check()


@pytest.mark.parametrize("mode", ["fast", "kill"])
def test_a_server_that_goes_takes_its_clients_with_it(wire: Wire, mode: str):
    with wire.connect() as connection:
        connection.execute("select 1")
        wire.cluster.stop(mode)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    wire.cluster.start()
    wire.wait_balanced()


def test_the_last_word_of_a_server_is_delivered_though_a_moment_was_awaited(wire: Wire):
    sleep = "select pg_sleep(60)"
    rule = wire.rule(
        matches=lambda e: sql(e) == sleep, intervention=Intervention.CUT, side=Side.AFTER
    )
    with wire.connect() as connection:
        pid = connection.info.backend_pid
        end = f"select pg_terminate_backend({pid}) from pg_stat_activity where pid = {pid}"
        active = f"{end} and wait_event = 'PgSleep'"
        thread = threading.Thread(target=lambda: wait_until(lambda: wire.directly(active)))
        thread.start()
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute(sleep)
        thread.join(WAIT_S)
    wire.wait_balanced()
    assert wire.ends()[-1][1] == "57P01"
    assert not wire.has_fired(rule)


def test_a_unix_socket_upstream(wire: Wire):
    parameters = psycopg.conninfo.conninfo_to_dict(wire.cluster.dsn(over="unix"))
    path = f"{parameters['host']}/.s.PGSQL.{parameters['port']}"
    port = wire.proxy.route("unix", path)
    with psycopg.connect(wire.dsn(), port=port) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_scram_passes_through(keeper: Keeper):
    cluster = Cluster(keeper, locate_postgres(), create_runtime_directory("scram"))
    cluster.start(60)
    try:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("create role guarded login password 'secret'")
        hba = cluster.data_directory / "pg_hba.conf"
        hba.write_text("host all guarded 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("select pg_reload_conf()")
        with closing(LaneWire()) as proxy:
            port = proxy.route("w", ("127.0.0.1", cluster.port))
            dsn = psycopg.conninfo.make_conninfo(cluster.dsn(), port=port, user="guarded")
            wait_for_scram(dsn)
            with psycopg.connect(dsn, password="secret") as connection:
                assert connection.execute("select current_user").fetchone() == ("guarded",)
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(dsn, password="wrong")
            proxy.check()
    finally:
        cluster.dispose()


def wait_for_scram(dsn: str):
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            psycopg.connect(dsn).close()
        except psycopg.OperationalError:
            return
        assert time.monotonic() < deadline, "pg_hba.conf is not in force"


def test_another_schedule_begins_anew(wire: Wire):
    rule = wire.rule(
        matches=lambda event: event.statement.verb == "SELECT", intervention=Intervention.CUT
    )
    with wire.connect() as connection:
        wire.proxy.begin()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with wire.connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert not wire.has_fired(rule)
    assert [event.key.partition(" ")[0] for event in wire.events()] == ["CONNECT", "SELECT"]
