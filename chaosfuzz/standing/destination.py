"""Which server a command speaks to, and where it counts that server's tasks."""

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
    """A server; `state` if it is the one that `up` left running."""

    base_url: str
    state: State | None = None

    def admin_token(self) -> str | None:
        """Return a token of the admin of `up`; None of another server's, or without an answer."""
        if self.state is None:
            return None
        with Api(self.base_url) as api, suppress(InfrastructureError):
            return log_in(api, self.state.admin_username, self.state.admin_password)[0]
        return None


def find_destination(
    *, url: str | None, port: int | None, out: Path, default_port: int
) -> Destination:
    """Return the server of a URL, or of a port, or the one that is up, or of the usual port."""
    state = find_up(out)
    if url is None and port is None and state is not None:
        return Destination(base_url=state.base_url, state=state)
    base_url = (url or f"http://127.0.0.1:{port or default_port}").rstrip("/")
    same = state is not None and state.base_url == base_url
    return Destination(base_url=base_url, state=state if same else None)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where counts come from, and how to get them; None while they cannot be had."""

    name: str
    count: CountTasks


def source_of(destination: Destination, tag: str, api: Api | None) -> Source:
    """Return the source: the API if one is given, which knows the token, else the database.

    Raises:
        UsageError: without an API the destination must be what is up here.

    """
    if api is not None:
        return Source(name="api", count=lambda: _by_api(api, tag))
    if destination.state is None:
        raise UsageError(
            cause=f"{destination.base_url} is not what is up here, so its database is out of reach",
            remedy="give the token of the tasks' owner or a moderator with --auth",
        )
    administration = Administration(destination.state.dsn)
    return Source(name="database", count=lambda: _by_database(administration, tag))


def _by_api(api: Api, tag: str) -> TaskCounts | None:
    try:
        return TaskCounts.of(task.status for task in api.tasks() if task.tag == tag)
    except InfrastructureError:
        return None


def _by_database(administration: Administration, tag: str) -> TaskCounts | None:
    try:
        return administration.task_stats(tag)
    except InfrastructureError:
        return None
