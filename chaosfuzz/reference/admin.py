"""The administrator's commands, straight at the database."""

import argparse
import asyncio
import json
import sys

import psycopg

from chaosfuzz.reference import queue
from chaosfuzz.reference.database import Connection, connect
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.reference.task_request import STATUSES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the commands to a parser."""
    commands = parser.add_subparsers(dest="admin_command", required=True)
    stats = commands.add_parser("task-stats", help="how many tasks there are in each status")
    stats.add_argument("--tag", help="only tasks with this metadata.tag")
    listing = commands.add_parser("list-tasks", help="tasks, newest first")
    listing.add_argument("--status", choices=STATUSES, help="only tasks in this status")
    listing.add_argument("--task-type", help="only tasks of this type")
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default 50)")
    listing.add_argument("--verbose", action="store_true", help="each task as JSON")
    clearing = commands.add_parser("clear-completed", help="delete completed tasks")
    clearing.add_argument(
        "--older-than-days", type=float, default=7, help="completed so long ago (default 7)"
    )
    clearing.add_argument("--dry-run", action="store_true", help="only say how many")


def run(arguments: argparse.Namespace, dsn: str) -> int:
    """Run the command in `arguments`; return the exit code."""
    try:
        return asyncio.run(_run(arguments, dsn))
    except psycopg.Error as error:
        sys.stderr.write(f"the database refused: {error}\n")
        return 1


def apply_schema(dsn: str) -> None:
    """Create in the database whatever of the schema is not there yet."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        connection.execute(SCHEMA)


async def _run(arguments: argparse.Namespace, dsn: str) -> int:
    connection = await connect(dsn)
    try:
        if arguments.admin_command == "task-stats":
            await _stats(connection, arguments)
        elif arguments.admin_command == "list-tasks":
            await _list(connection, arguments)
        else:
            await _clear(connection, arguments)
    finally:
        await connection.close()
    return 0


async def _stats(connection: Connection, arguments: argparse.Namespace) -> None:
    for name, number in (await queue.stats(connection, arguments.tag)).items():
        sys.stdout.write(f"{name:<10} {number}\n")


async def _list(connection: Connection, arguments: argparse.Namespace) -> None:
    wanted = {"status": arguments.status, "task_type": arguments.task_type}
    conditions = {name: value for name, value in wanted.items() if value is not None}
    for row in await queue.list_tasks(connection, conditions, max(0, arguments.limit), 0):
        if arguments.verbose:
            sys.stdout.write(json.dumps(row, default=str) + "\n")
        else:
            attempts = f"{row['current_attempt']}/{row['max_attempts']}"
            sys.stdout.write(f"{row['id']} {row['task_type']} {row['status']} {attempts}\n")


async def _clear(connection: Connection, arguments: argparse.Namespace) -> None:
    old = "status = 'completed' AND completed_at < clock_timestamp() - %(days)s * interval '1 day'"
    parameters = {"days": arguments.older_than_days}
    if arguments.dry_run:
        cursor = await connection.execute(f"SELECT id FROM tasks WHERE {old}", parameters)
        sys.stdout.write(f"would delete {cursor.rowcount} tasks\n")
    else:
        cursor = await connection.execute(f"DELETE FROM tasks WHERE {old}", parameters)
        sys.stdout.write(f"deleted {cursor.rowcount} tasks\n")
