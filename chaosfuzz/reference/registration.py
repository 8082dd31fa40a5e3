"""Registration of the task types that a worker handles, before its first claim."""

from collections.abc import Mapping
from typing import Any

from chaosfuzz.reference import breaker
from chaosfuzz.reference.database import Connection
from chaosfuzz.reference.handlers import HANDLERS, Handler
from chaosfuzz.reference.settings import Settings


async def register(
    connection: Connection,
    settings: Settings,
    worker: str,
    handlers: Mapping[str, Handler] = HANDLERS,
) -> tuple[str, ...]:
    """Insert the task types and a closed circuit breaker for each; return the types' names.

    Types and breakers that exist stay as they are, so it may be repeated. The names are sorted,
    so that two workers which start at once cannot deadlock.
    """
    names = sorted(handlers)
    parameters: dict[str, Any] = {
        "names": names,
        "descriptions": [_summary(handlers[name]) for name in names],
        **breaker.limits(settings, worker),
    }
    await connection.execute(
        "WITH breakers AS (INSERT INTO circuit_breakers (task_type)"
        f" SELECT {breaker.key(settings, 'name')} FROM unnest(%(names)s::text[]) AS name"
        " ON CONFLICT (task_type) DO NOTHING)"
        " INSERT INTO task_types (name, description)"
        " SELECT * FROM unnest(%(names)s::text[], %(descriptions)s::text[])"
        " ON CONFLICT (name) DO NOTHING",
        parameters,
    )
    return tuple(names)


def _summary(handler: Handler) -> str:
    return (handler.__doc__ or "").partition("\n")[0].rstrip(".")
