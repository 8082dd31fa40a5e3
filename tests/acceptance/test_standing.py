"""The guide's helpers as commands, against a system that `chaosfuzz up` left running."""

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from acceptance.command import Finished, arguments_of, chaosfuzz, environment
from acceptance.standing import description, no_settings, until

from chaosfuzz.cli import run
from chaosfuzz.targets.keeper.process_tree import is_alive

__all__ = ["no_settings"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a system is up, of 2 workers and ten times as fast as the starter's."""
    path = tmp_path_factory.mktemp("standing")
    done = chaosfuzz(path, "up", "--port", "0", "--speed", "10", "--json", "up.json")
    assert done.code == 0, done.out + done.err
    yield path
    done = chaosfuzz(path, "down")
    assert done.code == 0, done.err
    assert not (path / "chaosfuzz-runs" / "up").exists()


@pytest.fixture
def call(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run a command in this process, with the directory's system as the one that is up."""

    def invoke(*arguments: str) -> Finished:
        capsys.readouterr()
        command = [*arguments, "--out", str(directory / "chaosfuzz-runs")]
        code = run(command)
        said = capsys.readouterr()
        assert "Traceback" not in said.err, said.err
        return Finished(code=code, out=said.out, err=said.err)

    return invoke


def services(done: Finished) -> dict[str, dict[str, Any]]:
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)["services"]
    return {each["name"]: each for each in found}


def test_the_state_is_the_users_alone_and_holds_what_up_said(directory: Path) -> None:
    path = directory / "chaosfuzz-runs" / "up" / "state.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said, kept = description(directory), json.loads(path.read_text())
    assert kept["base_url"] == said["base_url"]
    assert kept["admin_password"] == said["admin"]["password"]
    with psycopg.connect(said["dsn"]) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM task_types").fetchone() == (True,)


def test_a_second_up_says_that_one_is_up(directory: Path) -> None:
    done = chaosfuzz(directory, "up", "--port", "0")
    assert done.code == 2
    assert "up already" in done.err
    assert description(directory)["base_url"] in done.err


def test_check_api_passes_in_whole(call: Callable[..., Finished]) -> None:
    done = call("check-api")
    assert done.code == 0, done.out
    assert done.out.count("\nok ") == 43
    assert "44 of 44 passed (100.0 %)" in done.out


def test_auth_prints_a_token_that_works(call: Callable[..., Finished], directory: Path) -> None:
    chosen = ("--prefix", "guide", "--domain", "example.org", "--password", "Correct-Horse-1")
    done = call("auth", *chosen)
    assert done.code == 0, done.err
    account = json.loads(done.out)
    assert set(account) == {"token", "user_id", "username", "email"}
    assert account["username"].startswith("guide_")
    assert account["email"].endswith("@example.org")
    done = call("flood", "--auth", account["token"], "--count", "2", "--delay", "0", "--tag", "of")
    assert done.code == 0, done.out
    with psycopg.connect(description(directory)["dsn"]) as connection:
        query = "SELECT count(*) FROM tasks WHERE created_by = %s AND metadata ->> 'tag' = 'of'"
        assert connection.execute(query, (account["user_id"],)).fetchone() == (2,)
    done = call("watch", "--tag", "of", "--auth", account["token"], "--json", "-")
    assert done.code == 0, done.err
    assert (json.loads(done.out)["source"], json.loads(done.out)["completed"]) == ("api", 2)


def test_a_password_that_is_refused_is_said(call: Callable[..., Finished]) -> None:
    done = call("auth", "--password", "short")
    assert done.code == 2
    assert "--password" in done.err


@pytest.mark.parametrize("command", [("flood",), ("watch", "--tag", "any")])
def test_a_wrong_token_is_refused(call: Callable[..., Finished], command: tuple[str, ...]) -> None:
    done = call(*command, "--auth", "no-such-token")
    assert done.code == 2
    assert "chaosfuzz auth" in done.err


def test_flood_waits_and_counts_what_was_to_fail(call: Callable[..., Finished]) -> None:
    # Two failures leave the breakers of both types closed.
    chosen = ("--type", "email", "--type", "webhook", "--failing", "0.25", "--tag", "mixed")
    done = call("flood", "--count", "8", *chosen, "--deadline", "60", "--json", "-")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    counted = {name: summary[name] for name in ("total", "created", "completed", "failed")}
    assert counted == {"total": 8, "created": 8, "completed": 6, "failed": 2}
    assert summary["deadline_met"] is True
    assert summary["ending"] == "done"
    stats = json.loads(call("admin", "task-stats", "--tag", "mixed", "--json", "-").out)
    assert (stats["total"], stats["completed"], stats["failed"]) == (8, 6, 2)
    assert call("watch", "--tag", "mixed").code == 1


def test_flood_of_a_type_that_is_not_there_creates_nothing(call: Callable[..., Finished]) -> None:
    done = call("flood", "--type", "nonexistent_type", "--count", "3", "--json", "-")
    assert done.code == 1
    summary = json.loads(done.out)
    assert (summary["created"], summary["refused"]) == (0, 3)
    assert summary["first_refusal"].startswith("400")


def test_flood_misses_a_deadline_it_cannot_meet(call: Callable[..., Finished]) -> None:
    done = call("flood", "--count", "1", "--delay", "8", "--deadline", "0.1", "--json", "-")
    assert done.code == 1
    assert json.loads(done.out)["deadline_met"] is False


def test_a_killed_worker_stays_dead_and_its_task_is_done_by_another(
    call: Callable[..., Finished], directory: Path
) -> None:
    assert call("workers", "stop").code == 0
    call("workers", "start")
    call("flood", "--count", "1", "--delay", "20", "--tag", "survivor", "--no-wait")
    counts = "SELECT count(*) FROM tasks WHERE metadata ->> 'tag' = 'survivor' AND status = %s"
    with psycopg.connect(description(directory)["dsn"], autocommit=True) as connection:
        until(lambda: connection.execute(counts, ("running",)).fetchone() == (1,))
    pid = services(call("workers", "status", "--json", "-"))["worker-1"]["pid"]
    killed = services(call("service", "kill", "--service", "worker-1", "--json", "-"))["worker-1"]
    assert (killed["condition"], killed["exit_code"]) == ("killed", -signal.SIGKILL)
    assert not is_alive(pid)
    again = call("service", "kill", "--service", "worker-1")
    assert again.code == 2
    assert "worker-1 is not running" in again.err
    scaled = services(call("workers", "scale", "2", "--json", "-"))
    assert {n for n, s in scaled.items() if s["condition"] == "running"} >= {"worker-1", "worker-2"}
    done = call("watch", "--tag", "survivor", "--deadline", "60", "--json", "-")
    assert done.code == 0, done.err
    seen = json.loads(done.out)
    assert (seen["source"], seen["completed"], seen["deadline_met"]) == ("database", 1, True)


def test_a_worker_that_dies_by_itself_is_shown_so(call: Callable[..., Finished]) -> None:
    call("workers", "scale", "2")
    pid = services(call("workers", "status", "--json", "-"))["worker-2"]["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_alive(pid))
    assert services(call("workers", "status", "--json", "-"))["worker-2"]["condition"] == "exited"
    assert "exited" in call("workers", "status").out
    assert call("service", "start", "--service", "worker-2").code == 0


def test_the_server_comes_back_on_its_port(call: Callable[..., Finished]) -> None:
    before = services(call("workers", "status", "--json", "-"))["server"]["pid"]
    assert call("service", "kill").code == 0
    done = call("check-api")
    assert done.code == 3
    assert "chaosfuzz up" in done.err
    # The database is looked at directly, so the server is not missed.
    assert call("watch", "--tag", "mixed").code == 1
    server = services(call("service", "start", "--json", "-"))["server"]
    assert (server["condition"], server["starts"]) == ("running", 2)
    server = services(call("service", "restart", "--delay", "0.1", "--json", "-"))["server"]
    assert server["pid"] != before
    assert call("check-api").code == 0


def test_the_database_is_stopped_and_started(call: Callable[..., Finished]) -> None:
    stopped = services(call("service", "db-stop", "--mode", "kill", "--json", "-"))["database"]
    assert stopped["condition"] == "killed"
    assert call("service", "db-stop").code == 2
    done = call("admin", "task-stats")
    assert done.code == 3
    assert "db-start" in done.err
    done = call("check-api", "--json", "-")
    assert done.code == 1
    assert 0 < json.loads(done.out)["passed"] < 44
    assert services(call("service", "db-start", "--json", "-"))["database"]["starts"] == 2
    assert call("check-api").code == 0


def test_chaos_kills_and_starts_by_its_seed(call: Callable[..., Finished]) -> None:
    call("workers", "scale", "2")
    chosen = ("--duration", "3s", "--interval", "0.3-0.6", "--down", "0.1", "--seed", "5")
    done = call("workers", "chaos", *chosen, "--json", "-")
    assert done.code == 0, done.err
    events = json.loads(done.out)["events"]
    assert len(events) >= 2
    assert [event["what"] for event in events] == ["killed", "started"] * (len(events) // 2)
    conditions = services(call("workers", "status", "--json", "-"))
    assert all(conditions[f"worker-{slot}"]["condition"] == "running" for slot in (1, 2))


def test_admin_lists_and_clears(call: Callable[..., Finished]) -> None:
    call("flood", "--count", "3", "--delay", "0", "--tag", "listed")
    listed = call("admin", "list-tasks", "--task-type", "delay_task", "--limit", "2")
    assert [line.split()[1:3] for line in listed.out.splitlines()] == 2 * [
        ["delay_task", "completed"]
    ]
    verbose = call("admin", "list-tasks", "--limit", "1", "--verbose")
    assert json.loads(verbose.out)["metadata"] == {"tag": "listed"}
    assert call("admin", "clear-completed").out == "deleted 0 tasks\n"
    would = call("admin", "clear-completed", "--older-than-days", "0", "--dry-run").out
    cleared = call("admin", "clear-completed", "--older-than-days", "0").out
    assert would.removeprefix("would delete") == cleared.removeprefix("deleted")
    assert cleared != "deleted 0 tasks\n"
    stats = json.loads(call("admin", "task-stats", "--tag", "listed", "--json", "-").out)
    assert stats["total"] == 0


def test_settings_of_the_environment_are_honoured_and_flags_win(
    call: Callable[..., Finished], directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = description(directory)["base_url"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("BASE_URL", nowhere)
    assert call("auth").code == 3
    assert call("auth", "--url", url).code == 0
    monkeypatch.delenv("BASE_URL")
    monkeypatch.setenv("PORT", nowhere.rpartition(":")[2])
    done = call("auth")
    assert done.code == 3
    assert nowhere in done.err
    monkeypatch.delenv("PORT")
    monkeypatch.setenv("VERBOSE", "true")
    assert "ok      1 GET /health: 200" in call("check-api").out
    done = chaosfuzz(directory.parent, "auth", OUTPUT_DIR=str(directory / "chaosfuzz-runs"))
    assert done.code == 0, done.err


def test_ctrl_c_ends_a_flood_with_what_it_has(directory: Path) -> None:
    flood = subprocess.Popen(
        arguments_of("flood", "--count", "1", "--delay", "600", "--verbose", "--json", "-"),
        cwd=directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with flood:
        assert flood.stderr is not None
        for line in flood.stderr:
            if "1 running" in line:
                break
        flood.send_signal(signal.SIGINT)
        out, _err = flood.communicate(timeout=60)
    assert flood.returncode == 130
    summary = json.loads(out)
    assert (summary["ending"], summary["unfinished"]) == ("interrupted", 1)
