"""Who is at work and who sleeps, as the kernel tells."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from chaosfuzz.targets.keeper import Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.targets.process.activity import components_turns, serves

WAIT_S = 20.0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline


@pytest.fixture
def idler() -> Iterator[subprocess.Popen[bytes]]:
    """Sleeps until its input ends, then works until it is killed."""
    program = "import sys; sys.stdin.read()\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def sleeps(process: subprocess.Popen[bytes]) -> bool:
    first = components_turns([process.pid])
    return first is not None and first > 0 and components_turns([process.pid]) == first


def test_a_process_is_at_work_once_it_has_something_to_do(idler: subprocess.Popen[bytes]):
    wait_until(lambda: sleeps(idler))
    assert idler.stdin is not None
    idler.stdin.close()
    wait_until(lambda: components_turns([idler.pid]) is None)
    idler.send_signal(signal.SIGSTOP)
    wait_until(lambda: components_turns([idler.pid]) is not None)
    idler.kill()
    idler.wait(WAIT_S)
    assert components_turns([idler.pid]) == 0


def test_only_sessions_of_the_database_count_for_postgres():
    with Keeper() as keeper:
        cluster = Cluster(keeper, locate_postgres(), create_runtime_directory("activity"))
        try:
            cluster.start(60)
            cluster.create_database("jobs")
            assert cluster.pid is not None
            with closing(psycopg.connect(cluster.dsn("jobs"), autocommit=True)) as session:
                own = session.info.backend_pid
                wait_until(lambda: not serves(cluster.pid, "jobs", None))
                session.pgconn.send_query(b"select count(*) from generate_series(1, 1000000000)")
                wait_until(lambda: serves(cluster.pid, "jobs", None))
                assert not serves(cluster.pid, "other", None)
                assert not serves(cluster.pid, "jobs", own)
        finally:
            cluster.dispose()
