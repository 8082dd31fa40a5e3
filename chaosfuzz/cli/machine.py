"""`chaosfuzz doctor` and `chaosfuzz clean`: what the machine lacks, and what runs left on it."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.options import json_option, out_option
from chaosfuzz.domain.check_result import BROKEN
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.machine import cleaning
from chaosfuzz.machine.doctor import can_fuzz, document, examine
from chaosfuzz.standing import lifecycle as standing

EXIT_CANNOT = 3


@click.command(cls=Command, epilog=examples("chaosfuzz doctor"))
@out_option
@json_option
def doctor(out: Path, json_to: str | None) -> int:
    """Check what this machine lacks for chaosfuzz, and say the remedy.

    A real PostgreSQL cluster is started and removed again; that takes about a second.

    Exit code: 0 `chaosfuzz fuzz` can run, 3 it cannot.
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


@click.command(cls=Command, epilog=examples("chaosfuzz clean --dry-run", "chaosfuzz clean"))
@click.option("--dry-run", is_flag=True, help="List what would be removed; remove nothing.")
@click.option(
    "--dir",
    "directories",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Look here too: the TMPDIR of an earlier run (repeatable).",
)
@out_option
def clean(dry_run: bool, directories: tuple[Path, ...], out: Path) -> int:
    """Remove what killed runs of chaosfuzz left on this machine.

    Removed are processes, shared memory and runtime directories; containers, networks and volumes
    if a Docker engine answers; and the state of `chaosfuzz up` if its supervisor was killed. Runs
    that are still alive are not touched.

    Exit code: 0 nothing is left, 3 something could not be removed.
    """
    count = problems = 0
    for removal in cleaning.clean_all(cleaning.places(list(directories)), dry_run=dry_run):
        count += 1
        processes = (
            f", {counted(len(removal.pids), 'process', 'processes')}" if removal.pids else ""
        )
        verb = "removed" if removal.removed else "would remove" if dry_run else "cannot remove"
        click.echo(f"{verb} {removal.path} ({removal.origin}{processes})")
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
    """Write JSON to the file `destination`, or to standard output if that is '-'.

    Raises UsageError if the file cannot be written.
    """
    text = json.dumps(content, indent=2) + "\n"
    if destination == "-":
        sys.stdout.write(text)
        return
    try:
        Path(destination).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"--json {destination}: {error.strerror}"
        raise UsageError(cause=message, remedy="choose a file that can be written") from error
