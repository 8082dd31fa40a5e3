"""Finds the server to which a command speaks, and counts that server's tasks."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.api import Api
from chaosfuzz.api.accounts import log_in
from chaosfuzz.api.watching import CountTasks
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.task_counts import TaskCounts
from chaosfuzz.standing.administration import Administration
from chaosfuzz.standing.lifecycle import find_up
from chaosfuzz.targets.standing import State


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A server; `state` is set if `chaosfuzz up` started it here."""

    base_url: str
    state: State | None = None

    def admin_token(self) -> str | None:
        """Return a token of the admin of `up`; None for other servers or without an answer."""
        if self.state is None:
            return None
        with Api(self.base_url) as api, suppress(InfrastructureError):
            return log_in(api, self.state.admin_username, self.state.admin_password)[0]
        return None


def find_destination(
    *, url: str | None, port: int | None, out: Path, default_port: int
) -> Destination:
    """Return the server at the URL, else at the port, else the one that is up.

    If none is up, it is the server at the default port. Ports are of this machine.
    """
    state = find_up(out)
    if url is None and port is None and state is not None:
        return Destination(base_url=state.base_url, state=state)
    base_url = (url or f"http://127.0.0.1:{port or default_port}").rstrip("/")
    same = state is not None and state.base_url == base_url
    return Destination(base_url=base_url, state=state if same else None)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A way to count tasks and its name; `count` returns None while it gets no answer."""

    name: str
    count: CountTasks


def source_of(destination: Destination, tag: str, api: Api | None) -> Source:
    """Return the way to count a tag's tasks: by the API if one is given, else by the database.

    Raises UsageError if no API is given and the destination was not started by `up` here.
    """
    if api is not None:
        return Source(name="api", count=lambda: _answer_of(lambda: _count_by_api(api, tag)))
    if destination.state is None:
        raise UsageError(
            cause=(
                f"`chaosfuzz up` did not start {destination.base_url} here, so its database "
                "cannot be read"
            ),
            remedy="give the token of the tasks' owner or a moderator with --auth",
        )
    administration = Administration(destination.state.dsn)
    return Source(name="database", count=lambda: _answer_of(lambda: administration.task_stats(tag)))


def _count_by_api(api: Api, tag: str) -> TaskCounts:
    return TaskCounts.of(task.status for task in api.tasks() if task.tag == tag)


def _answer_of(count: Callable[[], TaskCounts]) -> TaskCounts | None:
    with suppress(InfrastructureError):
        return count()
    return None
