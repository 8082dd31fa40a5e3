"""The administrator's commands, which talk to the database without the server."""

import argparse
import asyncio
import json
import math
import sys

import psycopg

from chaosfuzz.reference import queue
from chaosfuzz.reference.database import Connection, connect, fetch_one
from chaosfuzz.reference.process import ENVIRONMENT_FAILED, one_line
from chaosfuzz.reference.schema import SCHEMA

# Chosen by hand; the second is about a century.
MAX_LIMIT = 1_000_000
MAX_DAYS = 36_500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the commands and their options to a parser."""
    commands = parser.add_subparsers(dest="admin_command", required=True)
    stats = commands.add_parser("task-stats", help="count the tasks in each status")
    stats.add_argument("--tag", type=_text, help="only tasks with this metadata.tag")
    listing = commands.add_parser("list-tasks", help="list tasks, newest first")
    listing.add_argument("--status", choices=queue.STATUSES, help="only tasks in this status")
    listing.add_argument("--task-type", type=_text, help="only tasks of this type")
    listing.add_argument(
        "--limit", type=_limit, default=50, help="how many tasks at most (default 50)"
    )
    listing.add_argument("--verbose", action="store_true", help="print each task as JSON")
    clearing = commands.add_parser("clear-completed", help="delete completed tasks")
    clearing.add_argument(
        "--older-than-days", type=_days, default=7, help="age of the completion in days (default 7)"
    )
    clearing.add_argument("--dry-run", action="store_true", help="delete nothing, only count")


def run(arguments: argparse.Namespace, dsn: str) -> int:
    """Run the command in `arguments`, print its result and return the exit code."""
    try:
        asyncio.run(_run(arguments, dsn))
    except psycopg.Error as error:
        return _refused(error)
    return 0


def apply_schema(dsn: str) -> int:
    """Create the parts of the schema that the database lacks; return the exit code."""
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            connection.execute(SCHEMA)
    except psycopg.Error as error:
        return _refused(error)
    return 0


def _refused(error: psycopg.Error) -> int:
    sys.stderr.write(f"the database refused: {one_line(error)}\n")
    return ENVIRONMENT_FAILED


def _text(value: str) -> str:
    if not value.isprintable():
        raise argparse.ArgumentTypeError("must be printable text")
    return value


def _limit(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 9 and int(value) <= MAX_LIMIT):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {MAX_LIMIT}, not {value!r}"
        )
    return int(value)


def _days(value: str) -> float:
    try:
        days = float(value)
    except ValueError:
        days = math.nan
    if not 0 <= days <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {MAX_DAYS}, not {value!r}")
    return days


async def _run(arguments: argparse.Namespace, dsn: str) -> None:
    connection = await connect(dsn)
    try:
        if arguments.admin_command == "task-stats":
            for name, number in (await queue.stats(connection, arguments.tag)).items():
                sys.stdout.write(f"{name:<10} {number}\n")
        elif arguments.admin_command == "list-tasks":
            await _list(connection, arguments)
        else:
            days, dry_run = arguments.older_than_days, arguments.dry_run
            number = await clear_completed(connection, older_than_days=days, dry_run=dry_run)
            sys.stdout.write(f"{'would delete' if dry_run else 'deleted'} {number} tasks\n")
    finally:
        await connection.close()


async def _list(connection: Connection, arguments: argparse.Namespace) -> None:
    wanted = {"status": arguments.status, "task_type": arguments.task_type}
    for row in await queue.list_tasks(connection, wanted, arguments.limit):
        if arguments.verbose:
            sys.stdout.write(json.dumps(row, default=str) + "\n")
        else:
            attempts = f"{row['current_attempt']}/{row['max_attempts']}"
            sys.stdout.write(f"{row['id']} {row['task_type']} {row['status']} {attempts}\n")


async def clear_completed(connection: Connection, *, older_than_days: float, dry_run: bool) -> int:
    """Delete tasks completed more than `older_than_days` ago; return how many.

    With `dry_run` delete nothing and only count them.
    """
    old = "status = 'completed' AND completed_at < clock_timestamp() - %(days)s * interval '1 day'"
    parameters = {"days": older_than_days}
    if not dry_run:
        return (await connection.execute(f"DELETE FROM tasks WHERE {old}", parameters)).rowcount
    row = await fetch_one(
        connection, f"SELECT count(*) AS number FROM tasks WHERE {old}", parameters
    )
    return row["number"] if row else 0
