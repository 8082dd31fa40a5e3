import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.ledger import DIED, Ledger
from chaosfuzz.targets.profiles.receiver import LedgerReceiver

MS = 10**6


def line(event: str, *, token: str = "t", pid: int | None = None, **more: object) -> str:
    record = {"event": event, "token": token, "component": "worker-1"}
    record |= {"pid": os.getpid() if pid is None else pid, "at_ns": 5 * MS}
    return json.dumps(record | more) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def test_an_execution_begins_and_ends(path: Path):
    path.write_text(line("start", task="7", at_ns=1) + line("end", at_ns=2, result="finished"))
    (run,) = Ledger(path).executions({})
    assert (run.task_id, run.token, run.attempt, run.start_ns, run.end_ns) == ("7", "t", 1, 1, 2)
    assert run.finished


def test_without_id_and_attempt_these_follow_from_the_queue_and_the_order(path: Path):
    failed = line("start") + line("end", result="failed")
    path.write_text(failed + line("start"))
    runs = Ledger(path).executions({"t": "id-9"})
    assert [(run.task_id, run.attempt) for run in runs] == [("id-9", 1), ("id-9", 2)]
    assert Ledger(path).executions({})[0].task_id == "t"


def test_times_of_the_wall_clock_become_monotonic_in_their_order(path: Path):
    ledger = Ledger(path)
    record = {"event": "start", "token": "t", "component": "worker-1", "pid": os.getpid()}
    wall_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
    with path.open("w") as stream:
        for changes in ({"at_unix_ns": wall_ns}, {"token": "u", "at_unix_ms": wall_ns / MS + 1}):
            stream.write(json.dumps(record | changes) + "\n")
    first, second = ledger.executions({})
    assert abs(first.start_ns - monotonic_ns) < 100 * MS
    assert 0 < second.start_ns - first.start_ns < 3 * MS


def test_a_line_cut_short_waits_for_its_rest(path: Path):
    ledger = Ledger(path)
    whole = line("start")
    path.write_text(whole[:20])
    assert ledger.executions({}) == ()
    with path.open("a") as stream:
        stream.write(whole[20:])
    assert len(ledger.executions({})) == 1


def test_an_execution_of_a_process_that_is_gone_has_ended_unfinished(path: Path):
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    path.write_text(line("start", pid=gone))
    ledger = Ledger(path)
    # The first look takes the line in, the next one finds nobody who could go on.
    assert ledger.executions({})[0].end_ns is None
    (run,) = ledger.executions({})
    assert (run.result, run.finished) == (DIED, False)
    assert run.end_ns is not None
    with path.open("a") as stream:
        stream.write(line("end", pid=gone, result="finished"))
    assert ledger.executions({})[0].finished, "its last words were on their way"


@pytest.mark.parametrize(
    "damaged",
    [
        "not json\n",
        line("start").replace('"pid"', '"pud"'),
        line("end", result="finished"),
        line("start") + line("end", result="done"),
        line("start") + line("stop", result="finished"),
    ],
    ids=["no json", "unknown key", "end alone", "unknown result", "unknown event"],
)
def test_what_is_no_ledger_line_is_told_with_the_format(path: Path, damaged: str):
    path.write_text(damaged)
    with pytest.raises(InfrastructureError, match=r"damaged ledger line.*\n.*handlers write"):
        Ledger(path).executions({})


def test_what_is_posted_is_in_the_ledger_of_the_schedule(path: Path):
    receiver = LedgerReceiver()
    try:
        request = urllib.request.Request(receiver.url, data=line("start").encode(), method="POST")
        with pytest.raises(urllib.error.HTTPError, match="409"):
            urllib.request.urlopen(request, timeout=5)
        receiver.write_to(path)
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 204
    finally:
        receiver.close()
    assert len(Ledger(path).executions({})) == 1
