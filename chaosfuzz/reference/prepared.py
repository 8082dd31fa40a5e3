"""Entry points of processes that were forked from a process with the modules imported."""

from chaosfuzz.reference.settings import Settings


def worker(argument: str, ready_fd: int | None) -> int:
    """Run a worker until SIGTERM; `argument` is its settings as JSON. Return the exit code."""
    from chaosfuzz.reference import worker as module

    return module.run(Settings.from_json(argument), ready_fd)


def server(argument: str, ready_fd: int | None) -> int:
    """Run the server until SIGTERM; `argument` is its settings as JSON. Return the exit code."""
    from chaosfuzz.reference import server as module

    return module.run(Settings.from_json(argument), ready_fd)
