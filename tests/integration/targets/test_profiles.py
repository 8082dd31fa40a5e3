"""A small queue that a profile describes, as real processes with a real database."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from chaosfuzz.domain.contract import WorkerExit
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.keeper.process_tree import PROC, is_alive
from chaosfuzz.targets.keeper.tree import MARK
from chaosfuzz.targets.postgres.foreign import run_mark
from chaosfuzz.targets.profiles import Profile, ProfileTarget, load_profile
from chaosfuzz.targets.profiles.system import ProfileSystem
from chaosfuzz.targets.profiles.target import ProfileLane
from chaosfuzz.testing import TargetConformance
from chaosfuzz.testing.driving import WORKER, Driver
from chaosfuzz.wire import LaneWire

MINI = Path(__file__).parent / "mini"


def changed(directory: Path, *changes: tuple[str, str]) -> Profile:
    """Return the profile of the small queue, a few words of it changed."""
    shutil.copytree(MINI, directory, dirs_exist_ok=True)
    path = directory / "profile.toml"
    text = path.read_text()
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    path.write_text(text)
    return load_profile(path)


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProfileLane]:
    target = ProfileTarget(load_profile(MINI / "profile.toml"), LaneWire)
    with closing(target.lane(0, tmp_path_factory.mktemp("mini"))) as opened:
        yield opened


@pytest.fixture
def system(lane: ProfileLane) -> Iterator[ProfileSystem]:
    with closing(lane.open(1)) as opened:
        yield opened


def tree_of(system: ProfileSystem) -> list[int]:
    """Return the processes that carry the mark of the worker."""
    own = (PROC / str(system.pid(WORKER)) / "environ").read_bytes().split(b"\0")
    (mark,) = (entry for entry in own if entry.startswith(MARK.encode()))
    found = []
    for entry in PROC.glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if is_alive(pid)]


def state_of(pid: int) -> str:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]


def test_what_left_its_parent_and_session_is_paused_and_killed_with_its_worker(
    system: ProfileSystem,
):
    driver = Driver(system)
    driver.works()
    members = tree_of(system)
    assert len(members) == 2
    (helper,) = set(members) - {system.pid(WORKER)}
    assert os.getsid(helper) != os.getsid(system.pid(WORKER))
    assert system.pause(WORKER)
    assert [state_of(pid) for pid in members] == ["T", "T"]
    assert system.resume(WORKER)
    assert system.kill(WORKER, graceful=False)
    assert [pid for pid in members if is_alive(pid)] == []
    assert system.start(WORKER)
    driver.works()


@pytest.mark.long
class TestMini(TargetConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> ProfileTarget:
        return ProfileTarget(load_profile(MINI / "profile.toml"), LaneWire)


@pytest.mark.long
def test_a_worker_that_ends_by_itself_is_brought_back_by_policy(tmp_path: Path):
    profile = changed(
        tmp_path / "fragile",
        ('"{dsn}"]', '"{dsn}", "--fragile"]\nrestart = "on-failure"'),
    )
    target = ProfileTarget(profile, LaneWire)
    with closing(target.lane(0, tmp_path)) as lane, closing(lane.open(1)) as system:
        driver = Driver(system)
        driver.works()
        assert system.cut(WORKER)
        driver.wait(lambda: bool(driver.exits), "the worker has ended")
        assert [(gone.component, gone.ordered) for gone in driver.exits] == [(WORKER, False)]
        driver.works()


@pytest.mark.long
def test_an_end_that_means_a_broken_set_up_is_no_verdict(tmp_path: Path):
    profile = changed(
        tmp_path / "fragile",
        ('"{dsn}"]', '"{dsn}", "--fragile"]'),
        ("lease_ms", 'worker_exit = "harness"\nlease_ms'),
    )
    assert profile.contract.worker_exit is WorkerExit.HARNESS
    target = ProfileTarget(profile, LaneWire)
    with closing(target.lane(0, tmp_path)) as lane, closing(lane.open(1)) as system:
        driver = Driver(system)
        driver.works()
        assert system.cut(WORKER)
        with pytest.raises(InfrastructureError, match=r"worker-1 ended by itself.*worker-1.log"):
            driver.wait(lambda: bool(system.exits()), "it is told")


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "after", "error", "told"),
    [
        ("worker.py", "none.py", InfrastructureError, "ended with exit code 2"),
        ('line = "^ready"', 'line = "never", timeout_s = 2', InfrastructureError, "not ready"),
        ('"schema.sql"]', '"schema.sql", "schema.sql"]', InfrastructureError, "already exists"),
        ("select id, token", "select no, token", UsageError, "PostgreSQL refuses tasks.query"),
        ('"done"', '"finished"', UsageError, "has the status 'done'"),
    ],
)
def test_what_does_not_work_is_told_with_its_cause(
    tmp_path: Path, before: str, after: str, error: type[Exception], told: str
):
    profile = changed(tmp_path / "broken", (before, after))
    with pytest.raises(error, match=told):
        do_a_task(profile, tmp_path)


def do_a_task(profile: Profile, directory: Path) -> None:
    opened = ProfileTarget(profile, LaneWire).lane(0, directory)
    with closing(opened) as lane, closing(lane.open(1)) as system:
        Driver(system).works()


@pytest.mark.long
def test_a_server_of_ones_own_is_left_as_it_was(lane: ProfileLane, tmp_path: Path):
    with closing(lane.open(0)) as other:
        address = other.address
        dsn = f"host=127.0.0.1 port={address.port} user=postgres dbname=postgres"
        profile = changed(
            tmp_path / "foreign",
            ("[database]", f'[database]\ndsn = "{dsn}"\nmay_be_broken = true'),
        )
        before = databases(dsn)
        # What a run has left behind that was killed goes too; nobody has this number.
        mark = run_mark(0).replace(f"_{os.getpid()}_", "_4194399_")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"create database {mark}_1".encode())
        with closing(ProfileTarget(profile, LaneWire).lane(0, tmp_path)) as foreign:
            for _ in range(2):
                with closing(foreign.open(1)) as system:
                    Driver(system).works()
                    assert system.terminate_backend(WORKER, 0)
                    Driver(system).works()
            assert databases(dsn) > before
        assert databases(dsn) == before


def databases(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {str(row[0]) for row in connection.execute("select datname from pg_database")}
