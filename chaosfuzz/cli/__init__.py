"""Arguments, printing and exit codes; nothing else."""

import sys
import traceback

from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.domain.stop import Stopped


def main() -> None:
    """Run the command line and exit: 0 no promise broken, 1 one broken, 2 bad usage, 3 failed."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command of `arguments`, print any error, and return the exit code."""
    try:
        return _run(arguments)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "chaosfuzz":
            return _report_fault()
        return _report(
            InfrastructureError(
                cause=f"the Python module {error.name}, which chaosfuzz needs, is not installed",
                remedy=f"install what is missing with: {sys.executable} -m pip install chaosfuzz",
            )
        )
    except (KeyboardInterrupt, Stopped):
        print("chaosfuzz: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except ChaosfuzzError as error:
        return _report(error)
    except OSError as error:
        return _report(
            InfrastructureError(
                cause=f"this machine refused something: {error}",
                remedy=(
                    "correct what the system says (space, permissions, open files), "
                    "or see: chaosfuzz doctor"
                ),
            )
        )
    except Exception:  # noqa: BLE001 - uncaught it would end with 1, which says violated
        return _report_fault()


def _run(arguments: list[str]) -> int:
    # Imported here, so that a package that is missing is reported as such.
    import click

    from chaosfuzz.cli.application import application

    try:
        code = application(args=arguments, prog_name="chaosfuzz", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        raise KeyboardInterrupt from error
    return int(code or 0)


def _report(error: ChaosfuzzError) -> int:
    print(f"chaosfuzz: {error.cause}\n  {error.remedy}", file=sys.stderr)
    return error.exit_code


def _report_fault() -> int:
    traceback.print_exc()
    print(
        "chaosfuzz: this is a bug of chaosfuzz; please report it with the lines above",
        file=sys.stderr,
    )
    return 3
