"""Containers, networks and volumes of an engine as plain values, and their labels."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Literal

from chaosfuzz.targets.postgres.runtime_directory import Manifest, this_process

RUN = "org.chaosfuzz.run"
OWNER = "org.chaosfuzz.owner"
COMPONENT = "org.chaosfuzz.component"
CLOCK_SHIM = "org.chaosfuzz.clock-shim"
LOCAL_ONLY = "org.chaosfuzz.local-only"
Kind = Literal["container", "network", "volume"]


@dataclass(frozen=True, kw_only=True)
class ContainerPlan:
    """How a container is made.

    `binds` are directories of this machine, `volumes` names of volumes, each with its path inside.
    0 is no limit; without a network the container has none.
    """

    name: str
    hostname: str
    image: str
    command: Sequence[str]
    labels: Mapping[str, str]
    user: str
    health_command: Sequence[str]
    network: str = ""
    address: IPv4Address | None = None
    binds: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    cpus: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """The address of a container on a network, and that of this machine there."""

    network: str
    address: IPv4Address | None
    gateway: IPv4Address | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A container, network or volume with labels of chaosfuzz."""

    kind: Kind
    identity: str
    name: str
    labels: Mapping[str, str]


def labels_of(run: str, what: str, component: str = "") -> dict[str, str]:
    """Return the labels of a thing that this process makes for a run; `clean` shows `what`."""
    labels = {RUN: run, OWNER: json.dumps(asdict(this_process(what)))}
    return {**labels, COMPONENT: component} if component else labels


def owner_of(labels: Mapping[str, str] | None) -> Manifest | None:
    """Return the process that made a thing with these labels, None if they name no process."""
    try:
        return Manifest(**json.loads((labels or {})[OWNER]))
    except (KeyError, ValueError, TypeError):
        return None


def new_run() -> str:
    """Return a name that no other run has."""
    return f"{os.getpid()}-{datetime.now(UTC):%H%M%S}-{os.urandom(3).hex()}"
