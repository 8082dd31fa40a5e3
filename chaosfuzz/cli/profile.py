"""`chaosfuzz profile`: write one, check one, and what they are made of."""

from pathlib import Path

import click

from chaosfuzz.campaign.results import create_run_directory
from chaosfuzz.campaign.targets import find_target
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.machine.surroundings import BROKEN
from chaosfuzz.profile_tools.check import ProfileCheck
from chaosfuzz.profile_tools.writing import WAYS, Answers, write_profile
from chaosfuzz.targets.profiles.schema import json_schema

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


@click.group(short_help="Describe a system of your own")
def profile() -> None:
    """Describe a system of your own, so that it can be fuzzed.

    \b
    chaosfuzz profile new mysystem.toml
    chaosfuzz profile check mysystem.toml
    chaosfuzz fuzz mysystem.toml --no-faults --examples 20
    chaosfuzz fuzz mysystem.toml --time 10m
    """  # noqa: D301 - click reads the escape


@profile.command(short_help="Ask what one has to know, and write a profile")
@click.argument("path", default="profile.toml", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the target.")
@click.option("--setup", help="Command that makes the schema.")
@click.option("--worker", help="Command of a worker.")
@click.option("--ready", help="Found in a worker's output once it is ready (regular expression).")
@click.option("--server", help="Command of the HTTP server, if there is one.")
@click.option("--create", type=click.Choice(WAYS), help="How tasks are created.")
@click.option("--how", help="The producer, statement, path or command that does so.")
@click.option("--query", help="SQL that lists tasks: id, token, status, attempts.")
@click.option("--guarantee", type=click.Choice(GUARANTEES))
@click.option("--yes", is_flag=True, help="Ask nothing; what is not given has its default.")
def new(path: Path, *, yes: bool, **given: str | None) -> int:
    """Ask what one has to know of a system, and write a commented profile.

    Never overwrites a file. Exit code: 0 written, 2 bad usage, or the file exists.
    """
    if path.exists():
        raise UsageError(cause=f"{path} exists", remedy="choose another name, or remove it")
    write_profile(path, _ask(path, given, ask=not yes))
    click.echo(f"wrote {path}; edit what is commented, then: chaosfuzz profile check {path}")
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
        # Of a choice, a word that is none of it is asked for again.
        return str(click.prompt(question, default=default, show_default=shown, type=kind))

    stem = path.stem if path.stem != "profile" else "mysystem"
    name = answer("name", "Name of the target (a-z, 0-9, -)", stem.lower())
    setup = answer("setup", "Command that makes the schema, empty if there is none", "")
    worker = answer("worker", "Command of a worker", "./worker {dsn}")
    ready = answer("ready", "What a worker's output holds once it is ready", "ready")
    server = answer("server", "Command of the HTTP server, empty if there is none", "")
    ways = WAYS if server or not ask else tuple(way for way in WAYS if way != "http")
    create = answer("create", "How are tasks created", "producer", ways)
    if create == "http" and not server:
        raise UsageError(
            cause="tasks that are created by HTTP need a server", remedy="give --server"
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
        guarantee=answer("guarantee", "What is promised", "at-least-once", GUARANTEES),
    )


@profile.command(short_help="Start the system and say what works and what is missing")
@click.argument("target", metavar="FILE")
@out_option
@json_option
def check(target: str, out: Path, json_to: str | None) -> int:
    """Start a profile's system, have it do three tasks, and say what works, line by line.

    FILE is a profile, or the name of a ready one. `ok` works, `missing` is optional, `broken`
    keeps it from being fuzzed. Exit code: 0 it can be fuzzed, 2 bad file, 3 it cannot.
    """
    found = find_target(target).profile
    if found is None:
        raise UsageError(
            cause=f"{target} is described by no profile", remedy="give the path of one"
        )
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
        verdict = f"{found.name} cannot be fuzzed yet: {broken} broken"
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


@profile.command(short_help="Print the JSON Schema of profiles")
def schema() -> None:
    """Print the JSON Schema of profiles, for editors."""
    click.echo(json_schema(), nl=False)
