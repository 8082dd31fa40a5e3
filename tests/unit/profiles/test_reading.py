import json
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.profiles.conftest import ProfileFiles

from chaosfuzz.campaign.targets import ready_profiles
from chaosfuzz.domain.contract import Guarantee, WorkerExit
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.targets.profiles import describe, load_profile
from chaosfuzz.targets.profiles.schema import json_schema

TOP = Path(__file__).parents[3]
Files = Callable[[], ProfileFiles]


def refusal(files: ProfileFiles) -> str:
    with pytest.raises(UsageError) as raised:
        files.load()
    return raised.value.text


def test_the_least_profile_says_what_can_be_done(files: Files):
    profile = files().load()
    assert profile.contract.guarantee is Guarantee.AT_LEAST_ONCE
    assert profile.contract.worker_exit is WorkerExit.BROKEN
    assert profile.tasks.states == {"new": TaskStatus.PENDING, "done": TaskStatus.COMPLETED}
    assert profile.database.stoppable


def test_actions_are_those_that_the_system_can_be_struck_by(files: Files):
    plain = set(describe(files().load()).actions)
    assert {"kill_worker", "stop_database", "lose_reply", "create_tasks"} <= plain
    assert not plain & {"kill_server", "cut_server", "cancel_task", "read_api"}
    served = files().adding('[server]\ncommand = ["s", "{port}"]\nready = {tcp = true}\n')
    assert "kill_server" in describe(served.load()).actions
    foreign = files().adding('[database]\ndsn = "host=h dbname=d"\nmay_be_broken = true\n')
    assert "stop_database" not in describe(foreign.load()).actions
    without = files().having("[create]\nsql", "[create_]\nsql")
    start, end = without.text.index("[create_]"), without.text.index("[tasks]")
    without.text = without.text[:start] + without.text[end:]
    assert not set(describe(without.load()).actions) & {"create_tasks", "lose_reply"}


def test_ready_is_found_in_any_line_of_the_log(files: Files):
    ready = files().having('line = "up"', 'line = "^up$"').load().worker.ready
    assert ready is not None
    assert ready.line is not None
    assert ready.line.search("starting\nup\nworking") is not None
    assert ready.line.search("starting up\n") is None


@pytest.mark.parametrize(
    ("guarantee", "late_start", "declared"),
    [
        ("at-least-once", "allowed", True),
        ("at-least-once", "broken", False),
        ("at-most-once", "allowed", False),
    ],
)
def test_a_late_start_is_declared_unless_it_breaks_the_promise(
    files: Files, guarantee: str, late_start: str, declared: bool
):
    changed = files().having("at-least-once", guarantee)
    contract = changed.adding(f'late_start = "{late_start}"\n').load().contract
    assert contract.late_start_is_declared is declared


def test_what_a_statement_names_is_what_creation_heeds(files: Files):
    named = files().having("%(token)s", "%(token)s || %(failures)s || %(delay_ms)s")
    assert describe(named.load()).takes == ("failures", "delay_ms")


@pytest.mark.parametrize(
    ("before", "after", "at", "told"),
    [
        ("chaosfuzz_profile = 1", "chaosfuzz_profile = 2", "chaosfuzz_profile", "newer"),
        ("chaosfuzz_profile = 1", "chaosfuzz_profile = 'x'", "chaosfuzz_profile", "no version"),
        ('name = "mine"', 'name = "Mine!"', "name =", "name='Mine!'"),
        ('name = "mine"', 'name = "reference"', "name =", "taken"),
        ('name = "mine"', 'name = "mine"\ncolour = 1', "colour", "unknown key colour"),
        ("{dsn}", "{dns}", "command", "unknown placeholder {dns}\nthere are: {dsn}"),
        ("{dsn}", "{port}", "command", "describe it"),
        ('ready = {line = "up"}', "", "[worker]", "says how to know"),
        ('line = "up"', 'line = "("', "ready", "no regular expression"),
        ('line = "up"', 'line = "up", tcp = true', "ready", "give one of"),
        ('["new"]', '["done"]', "completed", "means both pending and completed"),
        ("[create]", '[create]\nby = "producer"', "[create]", "give one of"),
        ("at-least-once", "exactly", "guarantee", "guarantee='exactly'"),
    ],
)
def test_what_cannot_be_is_refused_with_line_value_and_remedy(
    files: Files, before: str, after: str, at: str, told: str
):
    changed = files().having(before, after)
    message = refusal(changed)
    assert message.startswith(f"{changed.path}:{changed.line(at)}: "), message
    assert told in message
    assert "\n" in message


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[database]\ndsn = "host=h dbname=d"\n', "may_be_broken = true"),
        ('[database]\ndsn = "host=h"\nmay_be_broken = true\n', "names no database"),
        ('[database]\nstop = ["x"]\n', "go with a dsn"),
        ('[database]\nsetup_sql = ["none.sql"]\n', "no file"),
        ('[[contract.limits]]\nkind = "NO"\nsays="s"\nsource="s"\nafter=[]\n', "unknown kind 'NO'"),
        ('[[contract.limits]]\nkind="STUCK"\nsays="s"\nsource=" "\nafter=[]\n', "has no source"),
        ('[producer]\ncommand = ["p"]\n', "go together"),
    ],
)
def test_what_does_not_fit_together_is_refused(files: Files, more: str, told: str):
    assert told in refusal(files().adding(more))


def test_no_toml_no_file_and_no_text_are_told_as_such(files: Files, tmp_path: Path):
    broken = files().adding("= 1\n")
    assert f":{broken.text.count(chr(10))}: not TOML" in refusal(broken)
    with pytest.raises(UsageError, match="cannot be read"):
        load_profile(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = 1\n\xff")
    with pytest.raises(UsageError, match=":2: not a profile"):
        load_profile(tmp_path / "bytes.toml")


def test_the_published_schema_is_that_of_the_format():
    published = TOP / "docs" / "profile.schema.json"
    assert published.read_text(encoding="utf-8") == json_schema(), "chaosfuzz profile schema > it"


def test_every_key_is_in_the_document():
    text = (TOP / "docs" / "profiles.md").read_text(encoding="utf-8")
    keys = {
        key for part in json.loads(json_schema())["$defs"].values() for key in part["properties"]
    }
    forms = {key: (f"`{key}`", f"{key} =", f".{key}]]") for key in keys}
    assert [k for k, shown in forms.items() if not any(form in text for form in shown)] == []


def test_ready_profiles_can_be_read_and_are_named_apart():
    ready = ready_profiles()
    assert {"procrastinate", "procrastinate-recovered"} <= set(ready)
    assert all(load_profile(path).name == name for name, path in ready.items())
