"""`chaosfuzz admin`: tasks read and deleted in the database, without the API."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from chaosfuzz.cli.help import Group, examples
from chaosfuzz.cli.machine import write_document
from chaosfuzz.cli.options import json_option, out_option, verbose_option
from chaosfuzz.domain.counted import counted
from chaosfuzz.standing.administration import STATUSES, Administration
from chaosfuzz.standing.lifecycle import require_up

SCHEMA = "chaosfuzz.admin/1"
dsn_option = click.option(
    "--dsn",
    metavar="DSN",
    help="Connection string of the database. Default: that of `chaosfuzz up`.",
)


@click.group(cls=Group, epilog=examples("chaosfuzz admin task-stats --tag storm"))
def admin() -> None:
    """Count, list and delete tasks in the database.

    The commands need no server: they work while it is down.
    """


@admin.command("task-stats", epilog=examples("chaosfuzz admin task-stats --tag storm --json -"))
@click.option("--tag", help="Count only tasks with this metadata.tag.")
@dsn_option
@out_option
@json_option
def task_stats(tag: str | None, dsn: str | None, out: Path, json_to: str | None) -> int:
    """Count tasks by status."""
    counts = _administration(dsn, out).task_stats(tag)
    if json_to != "-":
        for name in ("total", *STATUSES):
            click.echo(f"{name:<10} {getattr(counts, name)}")
    if json_to is not None:
        numbers = {name: getattr(counts, name) for name in ("total", *STATUSES)}
        write_document({"schema": SCHEMA, "tag": tag, **numbers}, json_to)
    return 0


@admin.command(
    "list-tasks", epilog=examples("chaosfuzz admin list-tasks --status failed --limit 5")
)
@click.option("--status", type=click.Choice(STATUSES), help="List only tasks in this status.")
@click.option("--task-type", metavar="TYPE", help="List only tasks of this type.")
@click.option(
    "--limit",
    type=click.IntRange(0, 1_000_000),
    default=50,
    show_default=True,
    help="List at most so many tasks.",
)
@verbose_option
@dsn_option
@out_option
@json_option
def list_tasks(
    status: str | None,
    task_type: str | None,
    limit: int,
    verbose: bool,
    dsn: str | None,
    out: Path,
    json_to: str | None,
) -> int:
    """List tasks, newest first; with --verbose each task as JSON."""
    administration = _administration(dsn, out)
    rows = administration.list_tasks(status=status, task_type=task_type, limit=limit)
    if json_to != "-":
        for row in rows:
            attempts = f"{row.current_attempt}/{row.max_attempts}"
            short = f"{row.id} {row.task_type} {row.status} {attempts}"
            click.echo(json.dumps(asdict(row), default=str) if verbose else short)
    if json_to is not None:
        tasks = json.loads(json.dumps([asdict(row) for row in rows], default=str))
        write_document({"schema": SCHEMA, "tasks": tasks}, json_to)
    return 0


@admin.command(
    "clear-completed",
    epilog=examples("chaosfuzz admin clear-completed --older-than-days 1 --dry-run"),
)
@click.option(
    "--older-than-days",
    type=click.FloatRange(0, 36_500),
    default=7,
    show_default=True,
    help="Delete tasks that were completed at least so many days ago.",
)
@click.option("--dry-run", is_flag=True, help="Count the tasks and delete none.")
@dsn_option
@out_option
@json_option
def clear_completed(
    older_than_days: float,
    dry_run: bool,
    dsn: str | None,
    out: Path,
    json_to: str | None,
) -> int:
    """Delete tasks that were completed days ago."""
    administration = _administration(dsn, out)
    number = administration.clear_completed(older_than_days=older_than_days, dry_run=dry_run)
    verb = "would delete" if dry_run else "deleted"
    click.echo(f"{verb} {counted(number, 'task')}", err=json_to == "-")
    if json_to is not None:
        write_document({"schema": SCHEMA, "tasks": number, "deleted": not dry_run}, json_to)
    return 0


def _administration(dsn: str | None, out: Path) -> Administration:
    return Administration(dsn if dsn is not None else require_up(out).dsn)
