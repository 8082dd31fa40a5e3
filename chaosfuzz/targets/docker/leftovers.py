"""Finds and removes what killed runs left at the engine: only what has a dead run's label."""

import os
from pathlib import Path

from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.targets.docker.engine import DEFAULT_URL, Engine
from chaosfuzz.targets.docker.things import Thing, owner_of
from chaosfuzz.targets.postgres.runtime_directory import Manifest


def find_engine_leftovers(engine: Engine) -> list[tuple[Thing, Manifest]]:
    """Return what dead runs left, each with its owner, in the order in which it can be removed."""
    owned = ((thing, owner_of(thing.labels)) for thing in engine.things())
    return [(thing, owner) for thing, owner in owned if owner and owner.owner_is_gone()]


def remove_engine_leftover(engine: Engine, leftover: Thing) -> None:
    """Remove a leftover, if it is still there.

    Raises InfrastructureError if it cannot be removed.
    """
    try:
        engine.remove(leftover.kind, leftover.identity)
    except InfrastructureError:
        # Another `clean` at the same time may have removed it.
        if any(thing.identity == leftover.identity for thing in engine.things()):
            raise


def engine_or_none() -> Engine | None:
    """Return the engine, None if there is none that answers or may be used."""
    if not (os.environ.get("DOCKER_HOST") or Path(DEFAULT_URL.removeprefix("unix://")).exists()):
        return None
    try:
        return Engine()
    except ChaosfuzzError:
        return None
