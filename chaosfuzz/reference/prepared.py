"""Entry points for a process that was forked after it had imported what it will be."""

from chaosfuzz.reference.settings import Settings


def worker(argument: str, ready_fd: int | None) -> int:
    """Run a worker with settings as JSON; return its exit code."""
    from chaosfuzz.reference import worker as module

    return module.run(Settings.from_json(argument), ready_fd)


def server(argument: str, ready_fd: int | None) -> int:
    """Run the server with settings as JSON; return its exit code."""
    from chaosfuzz.reference import server as module

    return module.run(Settings.from_json(argument), ready_fd)
