"""Who counts the tasks of a tag: the database of `up`, or any server's API."""

from dataclasses import dataclass

from chaosfuzz.api import Api
from chaosfuzz.api.watching import CountTasks
from chaosfuzz.campaign.administration import Administration
from chaosfuzz.campaign.destination import Destination
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.domain.task_counts import TaskCounts


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
        message = (
            f"{destination.base_url} is not what is up here, so its database is out of reach; "
            "give the token of the tasks' owner or a moderator with --auth"
        )
        raise UsageError(message)
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
