"""Writes a profile with comments, from a few answers."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.profiles import load_profile

WAYS = ("producer", "sql", "http", "command")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one has to know of a system. `server` and `setup` may be empty."""

    name: str
    worker: str
    ready: str
    setup: str
    server: str
    create: str
    how: str
    query: str
    guarantee: str


def write_profile(path: Path, answers: Answers) -> None:
    """Write a profile; what exists already is left alone.

    Raises:
        UsageError: the file exists or cannot be written, or an answer makes no profile.

    """
    text = profile_text(answers)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(
            cause=f"{path} exists", remedy="choose another name, or remove it"
        ) from error
    except OSError as error:
        raise UsageError(
            cause=f"cannot write {path}: {error.strerror}", remedy="choose another place"
        ) from error
    try:
        load_profile(path)
    except UsageError:
        path.unlink()
        raise


def profile_text(answers: Answers) -> str:
    """Return the profile's text."""
    return "\n".join(
        [
            *_head(answers),
            *_database(answers),
            *_components(answers),
            *_create(answers),
            *_tasks(answers),
            *_contract(answers),
            "",
        ]
    )


def _head(answers: Answers) -> list[str]:
    return [
        "chaosfuzz_profile = 1",
        f"name = {_text(answers.name)}",
        'summary = ""',
        "# Words in braces are filled in: {dsn} {host} {port_db} {database} {user} {password}",
        "# {port} {ledger} {ledger_url} {component} {python} {node} {profile_dir} {cache}.",
        "",
    ]


def _database(answers: Answers) -> list[str]:
    setup = f"setup = [{_words(answers.setup)}]" if answers.setup else "# setup = [[...]]"
    return [
        "[database]",
        "# A PostgreSQL of chaosfuzz's own. Commands that make the schema run once a lane; each",
        "# schedule gets a copy. For SQL files beside this one: setup_sql = [...].",
        setup,
        '# For a server of yours: dsn = "postgresql://..." and may_be_broken = true.',
        "",
    ]


def _components(answers: Answers) -> list[str]:
    lines = []
    if answers.server:
        lines += [
            "[server]",
            f"command = {_words(answers.server)}",
            "ready = {tcp = true}  # or {http = path}",
            '# health = "/health"  # a path that says 200 if it is well',
            "",
        ]
    return [
        *lines,
        "[worker]",
        f"command = {_words(answers.worker)}",
        "# Found in its output once it takes tasks; or {http = path}, {tcp = true}, {query = SQL}.",
        f"ready = {{line = {_text(answers.ready)}}}",
        'restart = "never"  # always, on-failure: after an exit that nobody ordered',
        "",
    ]


def _create(answers: Answers) -> list[str]:
    if answers.create == "producer":
        return [
            "# Reads lines of JSON with token, duration_ms, failures, priority, delay_ms, and",
            '# answers each with {"id": "...", "ok": true} or {"ok": false, "error": "..."}.',
            "[producer]",
            f"command = {_words(answers.how)}",
            "",
            "[create]",
            'by = "producer"',
            'takes = ["duration_ms", "failures"]  # also priority, delay_ms, if it heeds them',
            "",
        ]
    if answers.create == "http":
        return [
            "[create.http]",
            f"path = {_text(answers.how)}",
            'body = {token = "{token}", duration_ms = "{duration_ms}", failures = "{failures}"}',
            'id = "/id"  # where the answer holds the id (JSON pointer)',
            "",
        ]
    value = _text(answers.how) if answers.create == "sql" else _words(answers.how)
    notes = [
        "# %(token)s, %(duration_ms)s, %(failures)s, %(priority)s, %(delay_ms)s are filled in;",
        "# where PostgreSQL cannot tell their type, write %(token)s::text.",
    ]
    notes = notes if answers.create == "sql" else []
    return ["[create]", *notes, f"{answers.create} = {value}", ""]


def _tasks(answers: Answers) -> list[str]:
    return [
        "[tasks]",
        "# Columns: id and/or token, status; attempts, max_attempts, error if there are.",
        f"query = {_text(answers.query)}",
        '# deleted_means = "completed"  # if rows of finished tasks are deleted',
        "",
        "# The queue's own words; one that is not here is an error that names it.",
        "[tasks.states]",
        'pending = ["pending"]',
        'running = ["running"]',
        'retrying = ["retrying"]',
        'completed = ["completed"]',
        'failed = ["failed"]',
        'cancelled = ["cancelled"]',
        "",
    ]


def _contract(answers: Answers) -> list[str]:
    return [
        "[contract]",
        f"guarantee = {_text(answers.guarantee)}",
        'source = ""  # where that is promised',
        "lease_ms = 3000  # a worker that is silent for so long has lost its task",
        "recovery_ms = 8000  # a task comes to its end so long after everything is healed",
        "acknowledgement_grace_ms = 1000",
        "# max_attempts = 3",
        "# slots_per_worker = 2",
        'overlap_after_pause = "allowed"  # or broken',
        'late_start = "allowed"  # or broken',
        'worker_exit = "broken"  # without-database, allowed, harness',
        "",
        "# What its documentation admits is told apart from broken promises:",
        "# [[contract.limits]]",
        '# kind = "STUCK"',
        '# after = ["killed"]',
        '# says = "..."',
        '# source = "https://..."',
    ]


def _words(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(
            cause=f"{command!r} is no command: {error}", remedy="quote it as in a shell"
        ) from error
    return "[" + ", ".join(_text(word) for word in words) + "]"


def _text(value: str) -> str:
    # TOML's basic strings have the escapes of JSON.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
