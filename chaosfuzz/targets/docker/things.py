"""What an engine has and makes, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address


@dataclass(frozen=True, kw_only=True)
class ContainerPlan:
    """How a container is made."""

    name: str
    hostname: str
    image: str
    command: Sequence[str]
    labels: Mapping[str, str]
    user: str
    network: str = ""
    address: IPv4Address | None = None
    aliases: Sequence[str] = ()
    binds: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    cpus: float = 0.0
    health_command: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ContainerState:
    """What the engine says of a container."""

    running: bool
    pid: int
    exit_code: int
    out_of_memory: bool
    restarts: int
    health: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a container is on a network, and the address of this machine there."""

    network: str
    address: IPv4Address | None
    gateway: IPv4Address | None
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A container, network or volume with labels of chaosfuzz."""

    kind: str
    identity: str
    name: str
    labels: Mapping[str, str]
