"""The task types a worker handles, made known before it claims any of them."""

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
    """Make the types known, each with a breaker, closed if it is new; return their names.

    It may be repeated, and descriptions that somebody gave stay. Names are in order, so that
    two workers which start at once do not wait for each other in a circle.
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
