"""Arguments, printing and exit codes; nothing else."""

import sys
import traceback

import click

from chaosfuzz.cli.application import application
from chaosfuzz.domain.errors import ChaosfuzzError

EXIT_INTERRUPTED = 130


def main() -> None:
    """Run the command line. Exit codes: 0 holds, 1 violated, 2 bad usage, 3 harness failed."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run with these arguments and return the exit code."""
    try:
        code = application(args=arguments, prog_name="chaosfuzz", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("chaosfuzz: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except ChaosfuzzError as error:
        print(f"chaosfuzz: {error.cause}\n  {error.remedy}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"chaosfuzz: the environment failed: {error}", file=sys.stderr)
        return 3
    except Exception:  # noqa: BLE001 - uncaught it would end with 1, which says violated
        traceback.print_exc()
        print("chaosfuzz: a fault of chaosfuzz itself; please report it", file=sys.stderr)
        return 3
    return int(code or 0)
