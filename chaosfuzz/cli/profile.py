"""`chaosfuzz profile`: write a profile, check it, print the schema of profiles."""

from pathlib import Path

import click

from chaosfuzz.campaign.results import create_run_directory
from chaosfuzz.cli.help import Group, examples
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option
from chaosfuzz.domain.check_result import BROKEN
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.profile_tools.check import ProfileCheck
from chaosfuzz.profile_tools.writing import WAYS, Answers, write_profile
from chaosfuzz.targets.profiles.model import json_schema
from chaosfuzz.targets.registry import find_profile

SCHEMA = "chaosfuzz.profile-check/1"
EXIT_CANNOT = 3
GUARANTEES = ("at-least-once", "at-most-once")
HOW = {
    "producer": ("Command of a program that reads lines of JSON and creates tasks", "./producer"),
    "sql": (
        "SQL that creates a task and returns its id",
        "insert into jobs (token) values (%(token)s) returning id",
    ),
    "http": ("Path that a task is posted to", "/tasks"),
    "command": ("Command that creates one task", "./create-task"),
}


@click.group(
    cls=Group,
    epilog=examples(
        "chaosfuzz profile new mysystem.toml",
        "chaosfuzz profile check mysystem.toml",
        "chaosfuzz fuzz mysystem.toml --no-faults --examples 20",
        "chaosfuzz fuzz mysystem.toml --time 10m",
    ),
)
def profile() -> None:
    """Describe your own queue in a profile, to fuzz it.

    A profile is a TOML file of some 40 lines: how to start a worker, how to create a task, and
    how to list the tasks. The queue must keep its tasks in PostgreSQL.
    """


@profile.command(
    epilog=examples(
        "chaosfuzz profile new mysystem.toml",
        "chaosfuzz profile new mysystem.toml --yes --worker './worker {dsn}'",
    )
)
@click.argument("path", default="profile.toml", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the target.")
@click.option("--setup", help="Command that creates the database schema.")
@click.option("--worker", help="Command that starts a worker.")
@click.option("--ready", help="Regular expression found in the output of a worker that is ready.")
@click.option("--server", help="Command that starts the HTTP server, if there is one.")
@click.option("--create", type=click.Choice(WAYS), help="How tasks are created.")
@click.option("--how", help="The producer, SQL, path or command that creates a task.")
@click.option("--query", help="SQL that lists tasks: id, token, status, attempts.")
@click.option("--guarantee", type=click.Choice(GUARANTEES), help="What the queue promises.")
@click.option(
    "--yes", is_flag=True, help="Ask nothing; use the default for every option that is not given."
)
def new(path: Path, *, yes: bool, **given: str | None) -> int:
    """Ask a few questions about your queue and write a commented profile.

    An existing file is never overwritten. Exit code: 0 written, 2 bad usage or the file exists.
    """
    if path.exists():
        raise UsageError(
            cause=f"{path} exists and is not overwritten",
            remedy="choose another name, or remove the file",
        )
    write_profile(path, _ask(path, given, ask=not yes))
    click.echo(f"wrote {path}; edit its commented lines, then: chaosfuzz profile check {path}")
    return 0


def _ask(path: Path, given: dict[str, str | None], *, ask: bool) -> Answers:
    def answer(key: str, question: str, default: str, among: tuple[str, ...] = ()) -> str:
        value = given[key]
        if value is not None:
            return value
        if not ask:
            return default
        kind = click.Choice(among) if among else str
        shown = bool(default)
        # click repeats the question until the answer is one of the choices.
        return str(click.prompt(question, default=default, show_default=shown, type=kind))

    stem = path.stem if path.stem != "profile" else "mysystem"
    name = answer("name", "Name of the target (a-z, 0-9, -)", stem.lower())
    setup = answer("setup", "Command that creates the database schema (empty: none)", "")
    worker = answer("worker", "Command that starts a worker", "./worker {dsn}")
    ready = answer("ready", "Text in the output of a worker that is ready", "ready")
    server = answer("server", "Command that starts the HTTP server (empty: none)", "")
    ways = WAYS if server or not ask else tuple(way for way in WAYS if way != "http")
    create = answer("create", "How are tasks created", "producer", ways)
    if create == "http" and not server:
        raise UsageError(
            cause="--create http needs a server that takes the tasks",
            remedy="give its command with --server",
        )
    question, default = HOW[create]
    return Answers(
        name=name,
        setup=setup,
        worker=worker,
        ready=ready,
        server=server,
        create=create,
        how=answer("how", question, default),
        query=answer(
            "query",
            "SQL that lists tasks",
            "SELECT id, token, status, attempts FROM jobs",
        ),
        guarantee=answer("guarantee", "What the queue promises", "at-least-once", GUARANTEES),
    )


@profile.command(
    epilog=examples(
        "chaosfuzz profile check mysystem.toml",
        "chaosfuzz profile check graphile-worker",
    )
)
@click.argument("target", metavar="FILE")
@out_option
@json_option
def check(target: str, out: Path, json_to: str | None) -> int:
    """Start the system of a profile, have it do three tasks, and say what works.

    FILE is a profile, or the name of a ready one (chaosfuzz targets). In each line `ok` works,
    `missing` is optional, and `broken` has to be mended before the system can be fuzzed.

    Exit code: 0 the system can be fuzzed, 2 bad file, 3 it cannot.
    """
    found = find_profile(target)
    to_stderr = json_to == "-"
    directory = create_run_directory(out, "profile-check")
    findings = []
    for finding in ProfileCheck(found, directory).run():
        findings.append(finding)
        click.echo(f"{finding.state:8} {finding.name}: {finding.detail}", err=to_stderr)
        if finding.remedy:
            click.echo(f"         {finding.remedy}", err=to_stderr)
    broken = sum(finding.state == BROKEN for finding in findings)
    verdict = f"{found.name} can be fuzzed: chaosfuzz fuzz {target} --no-faults --examples 20"
    if broken:
        verdict = (
            f"{found.name} cannot be fuzzed yet: mend what is broken ({broken}) and check again"
        )
    click.echo(verdict, err=to_stderr)
    click.echo(f"logs {directory}", err=to_stderr)
    if json_to is not None:
        lines = [
            {"name": f.name, "state": f.state, "detail": f.detail, "remedy": f.remedy}
            for f in findings
        ]
        content = {"schema": SCHEMA, "profile": found.name, "findings": lines}
        write_document(content, json_to)
    return EXIT_CANNOT if broken else 0


@profile.command(epilog=examples("chaosfuzz profile schema"))
def schema() -> None:
    """Print the JSON Schema of profiles, by which editors complete and check them."""
    click.echo(json_schema(), nl=False)
