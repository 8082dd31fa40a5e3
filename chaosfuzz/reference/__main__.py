"""The commands `python -m chaosfuzz.reference server|worker|admin|schema`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaosfuzz.reference import admin, server, worker
from chaosfuzz.reference.defects import DEFECTS
from chaosfuzz.reference.process import BAD_USAGE, ENVIRONMENT_FAILED, one_line
from chaosfuzz.reference.schema import SCHEMA
from chaosfuzz.reference.settings import Settings, environment_values, json_values

OPTIONS = ("dsn", "host", "port", "component", "ledger_path", "mode", "concurrency")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and options."""
    defects = "\n".join(f"  {each.name:<30} {each.summary}" for each in DEFECTS.values())
    parser = argparse.ArgumentParser(
        prog="python -m chaosfuzz.reference",
        description="A small at-least-once job queue over PostgreSQL.",
        epilog=(
            "Settings come from REFERENCE_SETTINGS (JSON), REFERENCE_<NAME>, --settings and the\n"
            f"options; later sources override earlier ones.\n\ndefects:\n{defects}"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (("server", "run the HTTP API"), ("worker", "run a worker")):
        _add_process_options(commands.add_parser(name, help=summary, description=summary))
    administration = commands.add_parser("admin", help="administrator's commands")
    administration.add_argument("--dsn", help="connection string of the database")
    admin.add_arguments(administration)
    schema = commands.add_parser("schema", help="print the schema or apply it")
    schema.add_argument("--dsn", help="connection string of the database")
    schema.add_argument("--apply", action="store_true", help="apply it to the database")
    return parser


def _add_process_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--settings", type=Path, help="JSON file with settings")
    parser.add_argument("--dsn", help="connection string of the database")
    parser.add_argument("--host", help="address to listen at (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen at (default 8000)")
    parser.add_argument("--component", help="name of this process in the ledger and in locks")
    parser.add_argument("--ledger", dest="ledger_path", help="file to record executions in")
    parser.add_argument("--mode", help="at-least-once or exactly-once-effect")
    parser.add_argument(
        "--concurrency", type=int, help="tasks that a worker runs at a time (default 4)"
    )
    parser.add_argument(
        "--defect",
        action="append",
        dest="defects",
        metavar="NAME",
        help="switch on this defect; repeatable",
    )
    parser.add_argument(
        "--ready-fd", type=int, help="descriptor that gets a byte when the process is ready"
    )


def read_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings from the environment, the file and the options.

    Later sources override earlier ones. Raise SettingsError or OSError.
    """
    values: dict[str, Any] = environment_values()
    if getattr(arguments, "settings", None) is not None:
        values |= json_values(arguments.settings.read_text(), str(arguments.settings))
    for name in (*OPTIONS, "defects"):
        given = getattr(arguments, name, None)
        if given is not None:
            values[name] = given
    return Settings.from_mapping(values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command with these arguments, or those of the process; return the exit code."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.command == "schema" and not given.apply:
        sys.stdout.write(SCHEMA)
        return 0
    try:
        settings = read_settings(given)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{parser.prog}: {one_line(error)}\n")
        return BAD_USAGE
    if given.command == "admin":
        return admin.run(given, settings.dsn)
    if given.command == "schema":
        return admin.apply_schema(settings.dsn)
    return _serve(given, settings)


def _serve(given: argparse.Namespace, settings: Settings) -> int:
    run = server.run if given.command == "server" else worker.run
    if given.ready_fd is not None:
        try:
            os.fstat(given.ready_fd)
        except OSError as error:
            sys.stderr.write(f"{settings.component}: --ready-fd: {one_line(error)}\n")
            return BAD_USAGE
    return run(settings, given.ready_fd)


def entry() -> int:
    """Run the command line as a process of its own; return the exit code."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe; the rest of the output is discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ENVIRONMENT_FAILED
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(entry())
