import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from unit.profiles.conftest import ProfileFiles

from chaosfuzz.checked_toml import Table, keys_at, tables_in
from chaosfuzz.domain.contract import Guarantee, WorkerExit
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.task import TaskStatus
from chaosfuzz.targets.profiles import describe, load_profile
from chaosfuzz.targets.profiles.model import Profile, json_schema
from chaosfuzz.targets.registry import ready_profiles

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
        ('name = "mine"', 'name = "reference"', "name =", "is the name of a target"),
        ('name = "mine"', 'name = "mine"\ncolour = 1', "colour", "unknown key colour"),
        ("{dsn}", "{dns}", "command", "unknown placeholder {dns}\nuse one of: {dsn}"),
        ("{dsn}", "{port}", "command", "describe the [server]"),
        (
            'ready = {line = "up"}',
            "",
            "[worker]",
            "worker.ready is missing (when it is ready: {line",
        ),
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
        ('[database]\nstop = ["x"]\n', "without dsn there is no use for stop"),
        ('[database]\nsetup_sql = ["none.sql"]\n', "no file"),
        (
            '[[contract.limits]]\nkind = "NO"\nsays="s"\nsource="s"\nafter=[]\n',
            "limits[0].kind='NO' is unknown\nuse one of: LOST, STUCK",
        ),
        (
            '[[contract.limits]]\nkind="STUCK"\nsays="s"\nsource=" "\nafter=[]\n',
            "limits[0].source: it is empty",
        ),
        ('[producer]\ncommand = ["p"]\n', "go together"),
    ],
)
def test_what_does_not_fit_together_is_refused(files: Files, more: str, told: str):
    assert told in refusal(files().adding(more))


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_the_file(files: Files):
    changed = (
        files()
        .having('name = "mine"', 'name = "mine"\ncolour = 1')
        .having('command = ["worker", "{dsn}"]', 'comand = ["worker"]\ngrace_s = 500')
        .having('"at-least-once"', '"at-leastonce"')
        .adding('lease_ms = "3 s"\n[[contract.limits]]\nkind = "STUK"\nsays = " "\nafter = []\n')
        .adding('[producer]\ncommand = ["{dns}"]\nready = {}\n')
    )
    *told, remedy = refusal(changed).replace(f"{changed.path}:", "").splitlines()
    assert remedy == "correct each of these places"
    assert told[::2] == [
        "3: unknown key colour",
        "5: worker.command is missing (program and arguments, with placeholders)",
        "6: unknown key worker.comand",
        "7: worker.grace_s=500 is out of range",
        "10: create: by = 'producer' and [producer] go together",
        "21: contract.guarantee='at-leastonce' is unknown",
        "22: contract.lease_ms='3 s': it has to be a whole number",
        "23: contract.limits[0].source is missing (where it is documented)",
        "24: contract.limits[0].kind='STUK' is unknown",
        "25: contract.limits[0].says: it is empty",
        "28: producer.command[0]: unknown placeholder {dns}",
        "29: producer.ready: it names nothing",
    ]
    assert "did you mean command? remove it, or use one of: command, ready" in told[5]
    assert told[7] == "  use more than 0 to 120"
    assert "did you mean at-least-once? use one of: at-most-once" in told[11]


def test_no_toml_no_file_and_no_text_are_told_as_such(files: Files, tmp_path: Path):
    broken = files().adding("= 1\n")
    assert f":{broken.text.count(chr(10))}: not TOML" in refusal(broken)
    with pytest.raises(UsageError, match="cannot be read"):
        load_profile(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = 1\n\xff")
    with pytest.raises(UsageError, match=":2: not a profile"):
        load_profile(tmp_path / "bytes.toml")


VARIANT = """chaosfuzz_profile = 1
extends = "profile.toml"
name = "variant"
[worker]
grace_s = 7
"""


def test_a_profile_adds_to_the_one_that_it_extends(files: Files, tmp_path: Path):
    files().load()
    variant = tmp_path / "variant.toml"
    variant.write_text(VARIANT, encoding="utf-8")
    profile = load_profile(variant)
    assert (profile.name, profile.worker.grace_s) == ("variant", 7)
    assert profile.worker.command == ("worker", "{dsn}")
    variant.write_text(VARIANT.replace("profile.toml", "variant.toml"), encoding="utf-8")
    with pytest.raises(UsageError, match=r"variant.toml:2: .* extends another"):
        load_profile(variant)
    files().path.write_text("", encoding="utf-8")
    variant.write_text(VARIANT, encoding="utf-8")
    with pytest.raises(UsageError, match=r"profile.toml:1: .*no version"):
        load_profile(variant)


def test_the_published_schema_is_that_of_the_format():
    published = TOP / "docs" / "profile.schema.json"
    assert published.read_text(encoding="utf-8") == json_schema(), "chaosfuzz profile schema > it"


def tables_of(heading: str) -> list[str]:
    """Return the places of the tables that a heading of the reference is about."""
    if heading == "Top of the file":
        return [""]
    names = [name.strip("[]") for name in re.findall(r"`([^`]+)`", heading)]
    return ["worker.ready" if name == "ready" else name for name in names]


def documented() -> dict[str, dict[str, str]]:
    """Return the keys and defaults that the reference in docs/profiles.md gives each table."""
    text = (TOP / "docs" / "profiles.md").read_text(encoding="utf-8")
    reference = text.partition("\n## All keys\n")[2].partition("\n## ")[0]
    found: dict[str, dict[str, str]] = {}
    for section in reference.split("\n### ")[1:]:
        heading = section.splitlines()[0]
        rows = re.findall(r"^\| (`.*?`) \| (.*?) ?\| ", section, re.MULTILINE)
        keys = {key: default for names, default in rows for key in re.findall("`(.+?)`", names)}
        found |= {table: dict(keys) for table in tables_of(heading)}
    return found


def test_the_reference_has_the_keys_and_defaults_of_the_models():
    shared = {"health": "none"}
    for table, keys in documented().items():
        place = tuple(part for part in table.split(".") if part)
        fields = keys_at(Profile, place)
        extra = set(keys) - set(fields)
        assert extra <= set(shared if table in {"worker", "producer"} else ()), table
        assert set(fields) <= set(keys), table
        for key, field in fields.items():
            if field.is_required() or (table, key) in {("producer", "ready"), ("create", "takes")}:
                assert keys[key] in {"", "by the way"}, (table, key)
            elif isinstance(field.default, Table):
                assert keys[key] == "embedded"
            else:
                default = list(field.default) if field.default == () else field.default
                shown = "none" if default is None else f"`{json.dumps(default)}`"
                assert keys[key] == shown, (table, key)


def test_the_reference_has_all_tables():
    def places(model: type[BaseModel], place: str) -> Iterator[str]:
        yield place
        for key, field in keys_at(model, ()).items():
            for table in tables_in(field.annotation):
                yield from places(table, f"{place}.{key}".strip("."))

    found = {"ready" if place.endswith(".ready") else place for place in places(Profile, "")}
    assert found == {"ready" if place.endswith(".ready") else place for place in documented()}


def test_ready_profiles_can_be_read_and_are_named_apart():
    ready = ready_profiles()
    assert {"procrastinate", "procrastinate-recovered"} <= set(ready)
    assert all(load_profile(path).name == name for name, path in ready.items())
