"""Profiles by the command line, as somebody with a queue of their own would use them."""

import json
import shutil
from pathlib import Path

import pytest
from acceptance.command import Finished, chaosfuzz, processes_naming

UNDECIDED, DECIDING_RUNS = 3, 4
TARGETS = Path(__file__).parents[1] / "integration/targets"
MINI = TARGETS / "mini"
RELAY = TARGETS / "relay"
BY_COMMAND = """
import json, sys, urllib.request
asked = json.loads(sys.stdin.readline())
task = {"token": asked["token"], "work": asked["duration_ms"], "fail": asked["failures"]}
headers = {"Idempotency-Key": asked["token"], "Content-Type": "application/json"}
body = json.dumps({"payload": task}).encode()
url = f"http://127.0.0.1:{sys.argv[1]}/jobs"
try:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=4) as answer:
        print(json.dumps({"ok": True, "id": str(json.load(answer)["job"]["id"])}))
except OSError as error:
    print(json.dumps({"ok": False, "error": str(error)}))
"""


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """A folder with the small queue's profile and what it names."""
    shutil.copytree(MINI, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_new_profile_is_written_once_and_refused_by_line(tmp_path: Path):
    wrote = chaosfuzz(tmp_path, "profile", "new", "mine.toml", "--yes")
    assert wrote.code == 0, wrote.err
    again = chaosfuzz(tmp_path, "profile", "new", "mine.toml", "--yes")
    assert (again.code, "exists" in again.err) == (2, True)
    path = tmp_path / "mine.toml"
    path.write_text(path.read_text().replace("[worker]", "[worker]\ncolour = 1"))
    refused = chaosfuzz(tmp_path, "fuzz", "mine.toml")
    line = path.read_text().splitlines().index("colour = 1") + 1
    assert refused.code == 2
    assert f"mine.toml:{line}: unknown key worker.colour" in refused.err


@pytest.mark.long
def test_check_says_line_by_line_what_works(mini: Path):
    done = chaosfuzz(mini, "profile", "check", "profile.toml", "--json", "check.json")
    assert done.code == 0, done.out + done.err
    findings = json.loads((mini / "check.json").read_text())["findings"]
    assert {f["name"] for f in findings if f["state"] == "ok"} >= {
        *("database", "set-up", "components", "creation", "execution", "state mapping"),
        *("moments", "pause", "sessions", "kill and restart", "clean-up"),
        "restart of the database",
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("worker.py", "none.py", "broken   components: worker-1 ended with exit code 2"),
        ('"done"', '"finished"', "a task has the status 'done', which tasks.states does not map"),
        ("CHAOSFUZZ_LEDGER", "PATH_OF_NO_LEDGER", "broken   execution"),
        ("returning id", "returning nothing", "broken   creat"),
        (
            "values (%(token)s,",
            "values (json_build_array(%(token)s)::text,",
            "PostgreSQL cannot tell the type of a value: write %(token)s::text",
        ),
    ],
)
def test_check_says_what_is_missing_and_the_remedy(mini: Path, before: str, after: str, told: str):
    for path in (mini / "profile.toml", mini / "worker.py"):
        path.write_text(path.read_text().replace(before, after))
    done = chaosfuzz(mini, "profile", "check", "profile.toml")
    assert done.code == 3, done.out + done.err
    assert told in done.out
    assert "clean-up" in done.out


@pytest.mark.long
@pytest.mark.parametrize(
    ("policy", "promise", "told"),
    [
        ("never", "broken", "missing  restart of the database: worker-1 ended with exit code 1\n"),
        ("on-failure", "broken", "missing  restart of the database: worker-1 ended with"),
        ("on-failure", "without-database", "was started again, and did a task"),
    ],
)
def test_check_says_what_a_worker_does_that_loses_its_database(
    mini: Path, policy: str, promise: str, told: str
):
    path = mini / "profile.toml"
    text = path.read_text().replace('"{dsn}"]', f'"{{dsn}}", "--fragile"]\nrestart = "{policy}"')
    path.write_text(text.replace("lease_ms", f'worker_exit = "{promise}"\nlease_ms'))
    done = chaosfuzz(mini, "profile", "check", "profile.toml")
    assert done.code == 0, done.out + done.err
    assert told in done.out
    assert ("write worker.restart" in done.out) is (promise == "broken")


def test_questions_are_asked_again_until_the_answer_is_one_of_the_choice(tmp_path: Path):
    # Of the ways to create a task and of the promises, the first answer is none.
    answers = ["mine", "", "./w {dsn}", "", "", "queue", "sql", "", "", "often", "at-most-once"]
    done = chaosfuzz(tmp_path, "profile", "new", "mine.toml", typed="\n".join(answers) + "\n")
    assert done.code == 0, done.out + done.err
    text = (tmp_path / "mine.toml").read_text()
    assert 'name = "mine"' in text
    assert "sql = " in text
    assert 'guarantee = "at-most-once"' in text


@pytest.mark.long
def test_undisturbed_the_small_queue_holds(mini: Path):
    done = chaosfuzz(mini, "fuzz", "profile.toml", "--no-faults", "--examples", "10", "--seed", "1")
    assert done.code == 0, done.out + done.err
    assert " 0 faults" in done.out


@pytest.mark.long
def test_a_limit_is_told_apart_and_replayed_with_the_profile_named(mini: Path):
    # Leases that never run out: tasks of a killed worker stay with it, and the contract says so.
    worker = mini / "worker.py"
    worker.write_text(worker.read_text().replace("interval '1.5 s'", "interval '1 hour'"))
    limit = (
        '\n[[contract.limits]]\nkind = "STUCK"\nstatus = "running"\nafter = ["killed"]\n'
        'says = "jobs of a killed worker stay taken"\nsource = "its own worker.py"\n'
    )
    path = mini / "profile.toml"
    path.write_text(path.read_text() + limit)
    saved = (
        "chaosfuzz_case: 1\ntitle: task 1 is still running\n"
        "target: {name: mini, profile: profile.toml}\ncontract: at-least-once\n"
        "signature: {invariant: eventual_completion, kind: STUCK, role: worker}\n"
        "reproduces: {violations: 1, attempts: 1}\n"
        "found: {date: 2026-11-25, seed: 1, steps: 2, executions_to_shrink: 1}\n"
        "expect: violated\ndocumented: jobs of a killed worker stay taken\nworkers: 1\nsteps:\n"
        "  - create_tasks: {count: 1, duration_ms: 2000}\n  - wait: {ms: 500}\n"
        "  - kill_worker: {worker: 1}\n"
    )
    (mini / "case.yaml").write_text(saved)
    refused = chaosfuzz(mini, "replay", "case.yaml")
    assert (refused.code, "--profile FILE" in refused.err) == (2, True)
    named = ("replay", "case.yaml", "--times", "1", "--profile", "profile.toml")
    done = decided(mini, *named)
    assert done.code == 0, done.out + done.err
    assert "documented limit  eventual_completion/STUCK/worker" in done.out
    said = "no promise is broken: the target documents this limit: jobs of a killed worker"
    assert said in done.out
    assert decided(mini, *named, "--limits-fail").code == 1


@pytest.mark.long
def test_tasks_by_http_and_daemons_of_a_shell_script_hold_undisturbed(tmp_path: Path):
    shutil.copytree(RELAY, tmp_path, dirs_exist_ok=True)
    checked = chaosfuzz(tmp_path, "profile", "check", "profile.toml")
    assert checked.code == 0, checked.out + checked.err
    assert "broken" not in checked.out
    assert "missing" not in checked.out
    named = ("fuzz", "profile.toml", "--no-faults", "--examples", "10", "--seed", "1")
    done = chaosfuzz(tmp_path, *named)
    assert done.code == 0, done.out + done.err
    assert processes_naming(str(tmp_path)) == []


@pytest.mark.long
def test_tasks_are_created_by_a_command(tmp_path: Path):
    shutil.copytree(RELAY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "create.py").write_text(BY_COMMAND)
    path = tmp_path / "profile.toml"
    text = path.read_text()
    start, end = text.index("[create.http]"), text.index("[tasks]")
    command = '[create]\ncommand = ["{python}", "{profile_dir}/create.py", "{port}"]\n\n'
    path.write_text(text[:start] + command + text[end:])
    done = chaosfuzz(tmp_path, "profile", "check", "profile.toml")
    assert done.code == 0, done.out + done.err
    assert "the server, not the client, writes tasks to the database" in done.out


def decided(directory: Path, *arguments: str) -> Finished:
    """Run a command, again while the machine stood still so that nothing could be decided."""
    for _ in range(DECIDING_RUNS):
        done = chaosfuzz(directory, *arguments)
        if done.code != UNDECIDED:
            break
    return done
