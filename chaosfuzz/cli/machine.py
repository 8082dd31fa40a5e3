"""`chaosfuzz doctor` and `chaosfuzz clean`: the machine, before and after."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from chaosfuzz.cli.options import json_option, out_option
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.machine import cleaning
from chaosfuzz.machine.doctor import can_fuzz, document, examine
from chaosfuzz.machine.surroundings import BROKEN
from chaosfuzz.standing import lifecycle as standing

EXIT_CANNOT = 3


@click.command(short_help="Say what is there and what is missing")
@out_option
@json_option
def doctor(out: Path, json_to: str | None) -> int:
    """Say what is there, what is missing, and the remedy. Exit code: 0 fuzz can run, 3 it cannot.

    A real PostgreSQL cluster is started and removed again; that takes about a second.
    """
    findings = []
    for finding in examine(out):
        findings.append(finding)
        click.echo(f"{finding.state:8} {finding.name}: {finding.detail}", err=json_to == "-")
        if finding.remedy:
            click.echo(f"         {finding.remedy}", err=json_to == "-")
    able = can_fuzz(findings)
    broken = sum(finding.state == BROKEN for finding in findings)
    verdict = "chaosfuzz fuzz can run" if able else f"chaosfuzz fuzz cannot run: {broken} broken"
    click.echo(verdict, err=json_to == "-")
    if json_to is not None:
        write_document(document(findings), json_to)
    return 0 if able else EXIT_CANNOT


@click.command(short_help="Remove what killed runs left behind")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; remove nothing.")
@click.option(
    "--dir",
    "directories",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Look in this TMPDIR of a former run too (repeatable).",
)
@out_option
def clean(dry_run: bool, directories: tuple[Path, ...], out: Path) -> int:
    """Remove what dead runs left behind: processes, shared memory, runtime directories.

    Containers, networks and volumes too, if a Docker engine answers; only those of dead runs.
    So too what is left of `chaosfuzz up` when its supervisor was killed.

    Runs that are alive are left alone. Exit code: 0 nothing is left, 3 something could not be
    removed.
    """
    count = problems = 0
    for removal in cleaning.clean_all(cleaning.places(list(directories)), dry_run=dry_run):
        count += 1
        processes = f", {len(removal.pids)} processes" if removal.pids else ""
        verb = "removed" if removal.removed else "would remove" if dry_run else "cannot remove"
        click.echo(f"{verb} {removal.path} ({removal.what}{processes})")
        if removal.problem:
            problems += 1
            click.echo(f"    {removal.problem}")
    stale = standing.dead_state(out)
    if stale is not None:
        count += 1
        if not dry_run:
            standing.forget_dead(out)
        click.echo(f"{'would remove' if dry_run else 'removed'} {stale} (of `chaosfuzz up`)")
    if not count:
        click.echo("nothing to clean")
    return EXIT_CANNOT if problems else 0


def write_document(content: Mapping[str, object], destination: str) -> None:
    """Write JSON to a file, or to standard output for '-'; raises UsageError if it cannot."""
    text = json.dumps(content, indent=2) + "\n"
    if destination == "-":
        sys.stdout.write(text)
        return
    try:
        Path(destination).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--json {destination}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose a file that can be written") from error
