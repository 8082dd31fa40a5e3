"""Workers, producers and set-up of the ready queues, against the real ones."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

import chaosfuzz.targets.queues
from chaosfuzz.targets.keeper import Child, Keeper
from chaosfuzz.targets.postgres import Cluster, create_runtime_directory, locate_postgres
from chaosfuzz.targets.profiles import load_profile
from chaosfuzz.targets.profiles.installing import install
from chaosfuzz.targets.profiles.placeholders import fill

pytestmark = pytest.mark.long

NODE_QUEUES = {"pg-boss", "graphile-worker"}
PATHS = {
    profile["name"]: path
    for path in sorted(Path(chaosfuzz.targets.queues.__path__[0]).glob("*/profile.toml"))
    for profile in [tomllib.loads(path.read_text())]
    if profile["name"] in {*NODE_QUEUES, "django-q2"}
}
START_TIMEOUT_S = 60.0


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.02)


class Bench:
    """One queue in a fresh database."""

    def __init__(self, path: Path, cluster: Cluster, keeper: Keeper, directory: Path) -> None:
        self.profile: Mapping[str, Any] = tomllib.loads(path.read_text())
        installed = install(load_profile(path))
        self.values = {
            "python": installed.python,
            "node": installed.node,
            "profile_dir": str(path.parent),
        }
        self.modules = installed.modules
        self.cluster = cluster
        self.directory = directory
        self.ledger = directory / "ledger"
        self.database = f"queue_{time.monotonic_ns()}"
        cluster.administrator.create_database(self.database)
        self._keeper = keeper
        self._undo = ExitStack()
        for command in self.profile["database"]["setup"]:
            subprocess.run(self._words(command), env=self._environment("setup"), check=True)

    def _words(self, command: list[str]) -> list[str]:
        return [fill(word, self.values) for word in command]

    def _environment(self, component: str) -> dict[str, str]:
        url = f"postgresql://postgres@127.0.0.1:{self.cluster.port}/{self.database}"
        return {
            **os.environ,
            "NODE_PATH": self.modules,
            "CHAOSFUZZ_DSN": f"{url}?application_name={component}",
            "CHAOSFUZZ_LEDGER": str(self.ledger),
            "CHAOSFUZZ_COMPONENT": component,
        }

    def start(self, role: str, component: str, pipes: tuple[int, int] | None = None) -> Child:
        log = self.directory / f"{component}.log"
        child = self._keeper.execute(
            self._words(self.profile[role]["command"]),
            environment=self._environment(component),
            log_path=log,
            pipes=pipes,
        )
        self._undo.callback(self._end, child)
        wait_until(lambda: "ready" in log.read_text().splitlines(), START_TIMEOUT_S)
        return child

    def produce(self) -> Callable[..., dict[str, Any]]:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        asking = self._undo.enter_context(os.fdopen(ours_out, "w"))
        answering = self._undo.enter_context(os.fdopen(ours_in))
        try:
            self.start("producer", "producer-1", (theirs_in, theirs_out))
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

        def create(token: str, **fields: int) -> dict[str, Any]:
            request = {"token": token, "duration_ms": 20, "failures": 0, **fields}
            print(json.dumps({"priority": 1, "delay_ms": 0, **request}), file=asking, flush=True)
            return json.loads(answering.readline())

        return create

    def records(self, event: str) -> list[dict[str, Any]]:
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return [record for line in lines if (record := json.loads(line))["event"] == event]

    def statuses(self) -> dict[str, str]:
        """Return what the profile's query says of each token."""
        states = {word: state for state, words in self._states().items() for word in words}
        with psycopg.connect(self.cluster.dsn(self.database)) as connection:
            cursor = connection.execute(self.profile["tasks"]["query"])
            columns = [column.name for column in cursor.description or ()]
            rows = [dict(zip(columns, row, strict=True)) for row in cursor]
        return {row["token"]: states[row["status"]] for row in rows}

    def _states(self) -> dict[str, list[str]]:
        return self.profile["tasks"]["states"]

    def is_completed(self, token: str) -> bool:
        return self.statuses().get(token, self.profile["tasks"].get("deleted_means")) == "completed"

    @staticmethod
    def _end(child: Child) -> None:
        child.kill_tree()
        child.wait(10)
        child.close()

    def close(self):
        self._undo.close()


@pytest.fixture(scope="module")
def keeper() -> Iterator[Keeper]:
    """What it starts ends with this process, however that ends."""
    with Keeper() as made:
        yield made


@pytest.fixture(scope="module")
def cluster(keeper: Keeper) -> Iterator[Cluster]:
    made = Cluster(keeper, locate_postgres(), create_runtime_directory("test-queues"))
    made.start(60)
    yield made
    made.dispose()


@pytest.fixture(params=sorted(PATHS))
def bench(
    request: pytest.FixtureRequest, cluster: Cluster, keeper: Keeper, tmp_path: Path
) -> Iterator[Bench]:
    if request.param in NODE_QUEUES and shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    cluster.start(60)
    made = Bench(PATHS[request.param], cluster, keeper, tmp_path)
    yield made
    made.close()


def test_tasks_run_fail_and_are_tried_again(bench: Bench):
    bench.start("worker", "worker-1")
    create = bench.produce()
    answers = {token: create(token, failures=index) for index, token in enumerate(("a", "b"))}
    assert all(answer["ok"] for answer in answers.values()), answers
    wait_until(lambda: bench.is_completed("a") and bench.is_completed("b"))
    ends = {(r["token"], r["attempt"]): r for r in bench.records("end")}
    results = {key: record["result"] for key, record in ends.items()}
    assert results == {("a", 1): "finished", ("b", 1): "failed", ("b", 2): "finished"}
    for record in bench.records("start"):
        assert record["task"] == answers[record["token"]]["id"]
        assert record["component"] == "worker-1"
        assert 0 <= time.monotonic_ns() - record["at_ns"] < 60 * 10**9


def test_a_producer_outlives_its_database_and_says_what_is_certain(bench: Bench):
    create = bench.produce()
    assert create("before")["ok"]
    bench.cluster.stop("fast")
    refused = create("meanwhile")
    assert not refused["ok"]
    # The first after the end finds a connection that is dead: only the next one is refused.
    assert create("later")["certain"] is True
    bench.cluster.start(60)
    assert create("after")["ok"]
    assert set(bench.statuses()) == {"before", "after"}


def test_what_a_killed_worker_had_is_done_by_another_or_stays_locked(bench: Bench):
    worker = bench.start("worker", "worker-1")
    create = bench.produce()
    assert create("a", duration_ms=2000)["ok"]
    wait_until(lambda: bool(bench.records("start")))
    worker.kill_tree()
    assert worker.wait(10) == -signal.SIGKILL
    bench.start("worker", "worker-2")
    if bench.profile["name"] == "graphile-worker":
        assert create("b")["ok"]
        wait_until(lambda: bench.is_completed("b"))
        assert bench.statuses() == {"a": "running"}
        return
    wait_until(lambda: bench.is_completed("a"))
    assert [r["component"] for r in bench.records("start")] == ["worker-1", "worker-2"]
    assert [r["component"] for r in bench.records("end")] == ["worker-2"]
