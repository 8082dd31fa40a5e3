"""A private network of a lane, with two fixed addresses for each component."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.things import labels_of

_POOL = IPv4Network("10.192.0.0/11")
_PREFIX_LENGTH = 26
# Chosen by hand: two runs may choose the same subnet at the same time.
_ATTEMPTS = 20
# The first of the two addresses of each component: its two containers take turns.
_DATABASE, _SERVER, _BEFORE_WORKERS = 2, 4, 8
_TURNS = "ab"


@dataclass(frozen=True, kw_only=True)
class PrivateNetwork:
    """A network of the engine, without a way out of this machine."""

    identity: str
    name: str
    subnet: IPv4Network

    @property
    def gateway(self) -> str:
        """The address of this machine in the network."""
        return str(self.subnet[1])

    def address(self, component: str, turn: str) -> IPv4Address:
        """Return the address of a component's first or second container (turn a or b)."""
        role, _, slot = component.partition("-")
        first = {"db": _DATABASE, "server": _SERVER}.get(role)
        if first is None:
            first = _BEFORE_WORKERS + 2 * int(slot)
        return self.subnet[first + _TURNS.index(turn)]


def create_network(engine: Engine, run: str, name: str) -> PrivateNetwork:
    """Make a network in a random subnet that neither the engine nor this machine's routes use.

    Raises InfrastructureError if twenty attempts failed.
    """
    taken = [*engine.subnets(), *_routes()]
    problem = ""
    for _ in range(_ATTEMPTS):
        offset = random.SystemRandom().randrange(2 ** (_PREFIX_LENGTH - _POOL.prefixlen))
        size = 2 ** (32 - _PREFIX_LENGTH)
        subnet = IPv4Network((int(_POOL[0]) + offset * size, _PREFIX_LENGTH))
        if any(subnet.overlaps(other) for other in taken):
            continue
        try:
            identity = engine.create_network(name, subnet, labels_of(run, "network"))
        except InfrastructureError as error:
            problem = error.cause
            continue
        return PrivateNetwork(identity=identity, name=name, subnet=subnet)
    in_use = f"{_ATTEMPTS} random subnets of {_POOL} were all in use by networks or routes"
    raise InfrastructureError(
        cause=f"no private network could be made: {problem or in_use}",
        remedy=(
            "remove networks of dead runs (chaosfuzz clean) or unused ones (docker network prune); "
            "if a route of this machine covers the range (ip route; often a VPN), take it away"
        ),
    )


def _routes() -> Iterator[IPv4Network]:
    """Yield the networks that this machine has routes to, except the default route."""
    for line in Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        target, mask = (
            int.from_bytes(bytes.fromhex(fields[column]), "little") for column in (1, 7)
        )
        if mask:
            yield IPv4Network((target, (mask).bit_count()))
