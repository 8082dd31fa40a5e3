"""Clusters against a real PostgreSQL."""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.keeper.process_tree import descendants_of, is_alive
from chaosfuzz.targets.postgres import (
    Cluster,
    StopMode,
    create_runtime_directory,
    find_leftovers,
    locate_postgres,
    remove_leftover,
)


@pytest.fixture(scope="module")
def keeper():
    with Keeper() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(keeper: Keeper):
    directory = create_runtime_directory("test")
    made = Cluster(keeper, locate_postgres(), directory)
    made.start(60)
    yield made
    made.dispose()
    assert not directory.exists()


@pytest.fixture
def running(cluster: Cluster):
    cluster.start(30)
    return cluster


def query(
    cluster: Cluster,
    statement: str,
    database: str = "postgres",
    over: Literal["tcp", "unix"] = "tcp",
):
    with psycopg.connect(cluster.dsn(database, over), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.005)


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
def test_acknowledged_data_survives_every_stop(running: Cluster, mode: StopMode):
    query(running, f"create table kept_{mode} (number int)")
    port = running.port
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        for number in range(50):
            connection.execute(f"insert into kept_{mode} values (%s)", [number])
        processes = [running.pid, *descendants_of(running.pid)]
        running.stop(mode)
        assert not running.is_running
        assert not any(map(is_alive, processes))
    with pytest.raises(psycopg.OperationalError):
        query(running, "select 1")
    running.start(30)
    assert running.port == port
    assert query(running, f"select count(*) from kept_{mode}", over="unix") == [(50,)]


def test_stop_ends_a_paused_cluster(running: Cluster):
    for mode in ("fast", "kill"):
        for pid in (running.pid, *descendants_of(running.pid)):
            os.kill(pid, signal.SIGSTOP)
        running.stop(mode, 10)
        running.start(30)


def test_databases_from_a_template(running: Cluster):
    administrator = running.administrator
    administrator.create_database("template_a")
    administrator.apply("template_a", "create table a (b int); insert into a values (1)")
    administrator.await_no_session("template_a")
    administrator.create_database("copy", "template_a")
    assert query(running, "select b from a", "copy") == [(1,)]
    with psycopg.connect(running.dsn("copy")):
        administrator.drop_database("copy")
    administrator.drop_database("copy")
    administrator.drop_database("template_a")
    with pytest.raises(InfrastructureError, match="absent"):
        running.administrator.create_database("copy", "absent")


def test_terminate_backends(running: Cluster):
    dsn = psycopg.conninfo.make_conninfo(running.dsn(), application_name="victim")
    with psycopg.connect(dsn, autocommit=True) as first, psycopg.connect(dsn) as second:
        assert running.administrator.terminate_backends("victim") == 2
        for connection in (first, second):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("select 1")
    assert running.administrator.terminate_backends("victim") == 0


def test_a_killed_server_is_noticed_and_starts_again(running: Cluster):
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: not running.is_running)
    assert running.pid is None
    running.start(30)
    assert query(running, "select 1") == [(1,)]


def test_a_backend_that_outlives_its_postmaster_is_ended(running: Cluster):
    with psycopg.connect(running.dsn(), autocommit=True) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        os.kill(running.pid, signal.SIGKILL)
        wait_until(lambda: not running.is_running)
        assert is_alive(backend)
        running.start(30)
        assert not is_alive(backend)
        assert query(running, "select 1") == [(1,)]


def test_a_broken_configuration_fails_at_once_with_the_log(running: Cluster):
    running.stop()
    configuration = running.data_directory / "postgresql.conf"
    good = configuration.read_text()
    configuration.write_text(good + "nonsense = 1\n")
    with pytest.raises(InfrastructureError, match="nonsense"):
        running.start(30)
    configuration.write_text(good)
    running.start(30)


def test_a_taken_port_is_named(keeper: Keeper, tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InfrastructureError, match=str(port)):
            Cluster(keeper, locate_postgres(), tmp_path / "c", port)


def test_an_unwritable_directory_is_a_usage_error(keeper: Keeper):
    with pytest.raises(UsageError, match="/proc/nowhere"):
        Cluster(keeper, locate_postgres(), Path("/proc/nowhere"))


def test_locator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("CHAOSFUZZ_POSTGRES_BIN", raising=False)
    found = locate_postgres()
    assert found.source == "wheel"
    assert found.major == 18
    assert locate_postgres(found.bin_directory).source == "explicit"
    monkeypatch.setenv("CHAOSFUZZ_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(InfrastructureError, match="CHAOSFUZZ_POSTGRES_BIN"):
        locate_postgres()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
@pytest.mark.parametrize("readable", [True, False])
def test_setuid_way(readable: bool):
    installation = locate_postgres()
    closed = create_runtime_directory("closed")
    if not readable:
        package = installation.bin_directory.parents[1]
        copy = closed / package.name / "pginstall18"
        shutil.copytree(package / "pginstall18", copy, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        shutil.copytree(libraries, closed / libraries.name, symlinks=True)
        closed.chmod(0o700)
        installation = locate_postgres(copy / "bin")
    with Keeper(way="setuid") as keeper:
        cluster = Cluster(keeper, installation, create_runtime_directory("setuid") / "c")
        cluster.start(60)
        assert cluster.data_directory.stat().st_uid != 0
        cluster.stop("kill")
        cluster.start(30)
        cluster.dispose()
    shutil.rmtree(closed)
    shutil.rmtree(cluster.directory.parent)


def test_a_long_path_gets_a_short_socket(keeper: Keeper, tmp_path: Path):
    directory = tmp_path / ("long" * 30)
    cluster = Cluster(keeper, locate_postgres(), directory)
    cluster.start(60)
    assert query(cluster, "select 1", over="unix") == [(1,)]
    cluster.dispose()


def test_nothing_outlives_a_killed_harness_and_its_directory_is_found():
    script = """
import signal
from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
keeper = Keeper()
cluster = Cluster(keeper, locate_postgres(), create_runtime_directory("killed"))
cluster.start(60)
print(cluster.directory, keeper.pid, cluster.pid, flush=True)
signal.pause()
"""
    harness = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with harness:
        assert select.select([harness.stdout], [], [], 60)[0]
        name, keeper_pid, server_pid = harness.stdout.readline().split()
        directory = Path(name)
        pids = [int(keeper_pid), int(server_pid), *descendants_of(int(server_pid))]
        assert len(pids) > 4
        assert directory not in {leftover.path for leftover in find_leftovers()}
        harness.kill()
    wait_until(lambda: not any(map(is_alive, pids)))
    (leftover,) = [found for found in find_leftovers() if found.path == directory]
    assert leftover.manifest.what == "killed"
    assert leftover.pids == ()
    segment = int((directory / "data/postmaster.pid").read_text().splitlines()[6].split()[1])
    assert segment in shared_memory_ids()
    remove_leftover(leftover)
    assert not directory.exists()
    assert segment not in shared_memory_ids()


def shared_memory_ids():
    lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return {int(line.split()[1]) for line in lines}


def test_what_is_owned_or_foreign_is_no_leftover(tmp_path: Path):
    own = create_runtime_directory("own", tmp_path)
    foreign = tmp_path / "chaosfuzz-foreign"
    foreign.mkdir()
    (foreign / "manifest.json").write_text('{"pid": 1}')
    assert find_leftovers([tmp_path]) == ()
    assert own.exists()
