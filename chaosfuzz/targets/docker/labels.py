"""The labels by which a run knows its own containers, networks and volumes again."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from chaosfuzz.targets.postgres.runtime_directory import Manifest, this_process

RUN = "org.chaosfuzz.run"
OWNER = "org.chaosfuzz.owner"
COMPONENT = "org.chaosfuzz.component"
CLOCK_SHIM = "org.chaosfuzz.clock-shim"
LOCAL_ONLY = "org.chaosfuzz.local-only"


def labels_of(run: str, what: str, component: str = "") -> dict[str, str]:
    """Return the labels of something that this process makes for a run."""
    made = {RUN: run, OWNER: json.dumps(asdict(this_process(what)))}
    return {**made, COMPONENT: component} if component else made


def owner_of(labels: Mapping[str, str] | None) -> Manifest | None:
    """Return who made something, None if the labels do not say so."""
    try:
        return Manifest(**json.loads((labels or {})[OWNER]))
    except (KeyError, ValueError, TypeError):
        return None


def new_run() -> str:
    """Return a name that no other run has."""
    stamp = datetime.now(UTC).strftime("%H%M%S")
    return f"{os.getpid()}-{stamp}-{os.urandom(3).hex()}"
