"""Writes a profile with comments, from a few answers."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from string import Template

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.profiles import load_profile

# $name and $query are TOML texts, $worker a TOML list; $setup, $server and $create are lines.
_PROFILE = Template("""\
chaosfuzz_profile = 1
name = $name
summary = ""
# chaosfuzz replaces words in braces: {dsn} {host} {port_db} {database} {user} {password} {port}
# {ledger} {ledger_url} {component} {python} {node} {profile_dir} {cache}.

[database]
# chaosfuzz starts a PostgreSQL of its own. The commands create the schema, once for each lane; each
# schedule gets a copy. For SQL files beside this one: setup_sql = [...].
$setup
# For a server of yours: dsn = "postgresql://..." and may_be_broken = true.

$server[worker]
command = $worker
# A worker is ready once its output matches line; or {http = path}, {tcp = true}, {query = SQL}.
ready = {line = $ready}
restart = "never"  # always, on-failure: whether a worker that ended by itself is started again

$create

[tasks]
# Columns: id and/or token, status; attempts, max_attempts, error if the queue has them.
query = $query
# deleted_means = "completed"  # if the queue deletes the rows of finished tasks

# The queue's own words. A word that is missing here is an error that names it.
[tasks.states]
pending = ["pending"]
running = ["running"]
retrying = ["retrying"]
completed = ["completed"]
failed = ["failed"]
cancelled = ["cancelled"]

[contract]
guarantee = $guarantee
source = ""  # where the documentation says so
lease_ms = 3000  # a worker that is silent for so long has lost its task
recovery_ms = 8000  # a task ends within this time after every fault is healed
acknowledgement_grace_ms = 1000
# max_attempts = 3
# slots_per_worker = 2
overlap_after_pause = "allowed"  # or broken
late_start = "allowed"  # or broken
worker_exit = "broken"  # without-database, allowed, harness

# Documented limits, which are no broken promises:
# [[contract.limits]]
# kind = "STUCK"
# after = ["killed"]
# says = "..."
# source = "https://..."
""")
_SERVER = Template("""\
[server]
command = $server
ready = {tcp = true}  # or {http = path}
# health = "/health"  # a path that answers 200 while the server is well

""")
# The ways to create a task, and the part of the profile for each.
_CREATE = {
    "producer": Template("""\
# The producer reads lines of JSON with token, duration_ms, failures, priority, delay_ms. The answer
# to each is {"id": "...", "ok": true} or {"ok": false, "error": "..."}.
[producer]
command = $words

[create]
by = "producer"
takes = ["duration_ms", "failures"]  # also priority, delay_ms, if the producer heeds them"""),
    "sql": Template("""\
[create]
# chaosfuzz fills in %(token)s, %(duration_ms)s, %(failures)s, %(priority)s, %(delay_ms)s;
# where PostgreSQL cannot tell their type, write %(token)s::text.
sql = $text"""),
    "http": Template("""\
[create.http]
path = $text
body = {token = "{token}", duration_ms = "{duration_ms}", failures = "{failures}"}
id = "/id"  # where the answer holds the id (JSON pointer)"""),
    "command": Template("""\
[create]
command = $words"""),
}
WAYS = tuple(_CREATE)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A user's answers about a system.

    `create` is one of WAYS; `how` is its SQL, path or command. `setup` and `server` may be empty.
    """

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
    """Write a profile to a new file. A text that load_profile refuses is removed again.

    Raises UsageError if the file exists or cannot be written, or an answer makes no valid profile.
    """
    text = profile_text(answers)
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(
            cause=f"{path} exists and is not overwritten",
            remedy="choose another name, or remove the file",
        ) from error
    except OSError as error:
        raise UsageError(
            cause=f"cannot write {path}: {error.strerror}",
            remedy="choose a place where files can be written",
        ) from error
    try:
        load_profile(path)
    except UsageError:
        path.unlink()
        raise


def profile_text(answers: Answers) -> str:
    """Return the profile's text.

    Raises UsageError if a command has no closing quotation.
    """
    setup, server, how = answers.setup, answers.server, answers.how
    create = _CREATE[answers.create]
    is_command = "words" in create.get_identifiers()
    return _PROFILE.substitute(
        name=_toml_text(answers.name),
        setup=f"setup = [{_toml_words(setup)}]" if setup else "# setup = [[...]]",
        server=_SERVER.substitute(server=_toml_words(server)) if server else "",
        worker=_toml_words(answers.worker),
        ready=_toml_text(answers.ready),
        create=create.substitute(
            text=_toml_text(how), words=_toml_words(how) if is_command else ""
        ),
        query=_toml_text(answers.query),
        guarantee=_toml_text(answers.guarantee),
    )


def _toml_words(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(
            cause=f"{command!r} is no command: {error}", remedy="quote it as in a shell"
        ) from error
    return "[" + ", ".join(_toml_text(word) for word in words) + "]"


def _toml_text(value: str) -> str:
    # TOML's basic strings have the escapes of JSON.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
