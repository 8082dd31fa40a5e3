"""What killed runs left at the engine, and its removal: only what carries a dead run's label."""

import os
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.targets.docker.engine import DEFAULT_URL, Engine
from chaosfuzz.targets.docker.labels import owner_of
from chaosfuzz.targets.docker.things import Thing
from chaosfuzz.targets.postgres.runtime_directory import Manifest


@dataclass(frozen=True, kw_only=True)
class EngineLeftover:
    """A container, network or volume whose owner is dead."""

    thing: Thing
    owner: Manifest


def there_may_be_leftovers() -> bool:
    """Say whether there is an engine at all, without asking it."""
    return bool(os.environ.get("DOCKER_HOST")) or Path(DEFAULT_URL.removeprefix("unix://")).exists()


def find_engine_leftovers(engine: Engine) -> tuple[EngineLeftover, ...]:
    """Return what dead runs left, in the order in which it can be removed."""
    owned = ((thing, owner_of(thing.labels)) for thing in engine.things())
    return tuple(
        EngineLeftover(thing=thing, owner=owner)
        for thing, owner in owned
        if owner is not None and owner.owner_is_gone()
    )


def remove_engine_leftover(engine: Engine, leftover: EngineLeftover) -> None:
    """Remove it, if it is still there.

    Raises:
        InfrastructureError: it cannot be removed.

    """
    remove = {
        "container": engine.remove,
        "network": engine.remove_network,
        "volume": engine.remove_volume,
    }[leftover.thing.kind]
    try:
        remove(leftover.thing.identity)
    except InfrastructureError:
        # Two that clean at once get into each other's way; what counts is that it is gone.
        if any(thing.identity == leftover.thing.identity for thing in engine.things()):
            raise


def engine_or_none() -> Engine | None:
    """Return the engine if there is one that answers."""
    if not there_may_be_leftovers():
        return None
    try:
        return Engine()
    except ChaosfuzzError:
        return None
