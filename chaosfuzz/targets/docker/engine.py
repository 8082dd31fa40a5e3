"""The Docker engine, as far as chaosfuzz uses it: errors are typed, and it is this machine's."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from types import ModuleType
from typing import IO, Any

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.docker.labels import OWNER
from chaosfuzz.targets.docker.things import ContainerPlan, ContainerState, Place, Thing

DEFAULT_URL = "unix:///var/run/docker.sock"
REMOTE_VARIABLE = "CHAOSFUZZ_DOCKER_REMOTE"
_TIMEOUT_S = 60
_REMOTE = ("tcp://", "http://", "https://", "ssh://")


def chosen_url() -> str:
    """Return the engine's address: DOCKER_HOST, else this machine's socket.

    Raises:
        UsageError: it is another machine's, and nobody said that it may be.

    """
    url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    if url.startswith(_REMOTE) and os.environ.get(REMOTE_VARIABLE) != "1":
        raise UsageError(
            cause=(
                f"DOCKER_HOST={url} may be another machine's engine, where chaosfuzz would break "
                "things"
            ),
            remedy=f"unset it, or set {REMOTE_VARIABLE}=1 if that is meant",
        )
    return url


class Engine:
    """Speaks to one engine. Safe to use from several threads.

    Raises:
        UsageError: the docker package is not installed, or the engine is another machine's.
        InfrastructureError: no engine answers.

    """

    def __init__(self) -> None:
        self.url = chosen_url()
        self._docker = _load()
        _knock(self.url)
        try:
            self._api = self._docker.APIClient(
                base_url=self.url, version="auto", timeout=_TIMEOUT_S, num_pools=32
            )
            self.version = str(self._api.version()["Version"])
            self.info: Mapping[str, Any] = self._api.info()
        except self._docker.errors.DockerException as error:
            raise _silent(self.url, error) from error

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def has_image(self, name: str) -> bool:
        """Say whether there is an image of that name."""
        try:
            self._api.inspect_image(name)
        except self._docker.errors.ImageNotFound:
            return False
        return True

    def image_labels(self, name: str) -> Mapping[str, str]:
        """Return the labels of an image."""
        with self._telling(f"looking at the image {name}"):
            labels = self._api.inspect_image(name)["Config"]["Labels"]
        return dict(labels or {})

    def import_image(self, archive: IO[bytes], name: str, settings: Sequence[str] = ()) -> None:
        """Make an image of a tar archive of its whole file system."""
        repository, _, tag = name.partition(":")
        with self._telling(f"importing {name}"):
            self._api.import_image_from_data(
                archive, repository=repository, tag=tag, changes=list(settings)
            )
        if not self.has_image(name):
            raise InfrastructureError(
                cause=f"the engine did not import {name}",
                remedy="look at the engine's log, and free space on its disk",
            )

    def build(self, context: IO[bytes], name: str, labels: Mapping[str, str] | None = None) -> None:
        """Build an image from a context with its Dockerfile."""
        said = ""
        with self._telling(f"building {name}"):
            for line in self._api.build(
                fileobj=context, custom_context=True, tag=name, rm=True, decode=True, labels=labels
            ):
                said = str(line.get("error") or said)
        if said or not self.has_image(name):
            raise InfrastructureError(
                cause=f"the engine did not build {name}: {said or 'no reason told'}",
                remedy="correct what the engine says; docker system df shows its space",
            )

    def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
        """Make a private network; return its id."""
        types = self._docker.types
        pool = types.IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        with self._telling(f"making the network {name} ({subnet})"):
            made = self._api.create_network(
                name,
                driver="bridge",
                ipam=types.IPAMConfig(pool_configs=[pool]),
                internal=True,
                labels=dict(labels),
                check_duplicate=True,
            )
        return str(made["Id"])

    def remove_network(self, identity: str) -> None:
        """Remove a network if it is there."""
        with self._telling(f"removing the network {identity[:12]}"), self._if_there():
            self._api.remove_network(identity)

    def create_volume(self, name: str, megabytes: int, labels: Mapping[str, str]) -> None:
        """Make a volume in memory, of limited size; it is empty again once nobody uses it."""
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={megabytes}m,mode=1777"}
        with self._telling(f"making the volume {name}"):
            self._api.create_volume(name, driver="local", driver_opts=options, labels=dict(labels))

    def remove_volume(self, name: str) -> None:
        """Remove a volume if it is there."""
        with self._telling(f"removing the volume {name}"), self._if_there():
            self._api.remove_volume(name, force=True)

    def create(self, plan: ContainerPlan) -> str:
        """Make a container; return its id."""
        api = self._api
        mounts = {f"{host}": {"bind": inside, "mode": "rw"} for host, inside in plan.binds.items()}
        mounts |= {name: {"bind": inside, "mode": "rw"} for name, inside in plan.volumes.items()}
        limits: dict[str, Any] = {}
        if plan.memory_bytes:
            # No swap beside it: the limit is to be felt.
            limits |= {"mem_limit": plan.memory_bytes, "memswap_limit": plan.memory_bytes}
        if plan.cpus:
            limits |= {"cpu_period": 100_000, "cpu_quota": int(plan.cpus * 100_000)}
        host = api.create_host_config(
            binds=mounts,
            network_mode=plan.network or "none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=256,
            read_only=True,
            tmpfs={"/tmp": "size=16m,mode=1777"},
            # Below the engine's own group all containers together count as one process.
            cgroup_parent="/" if self.info.get("CgroupDriver") == "cgroupfs" else None,
            log_config={"Type": "json-file", "Config": {"max-size": "4m", "max-file": "1"}},
            **limits,
        )
        network = None
        if plan.network:
            endpoint = api.create_endpoint_config(
                ipv4_address=str(plan.address) if plan.address else None,
                aliases=list(plan.aliases),
            )
            network = api.create_networking_config({plan.network: endpoint})
        health = None
        if plan.health_command:
            seconds = 10**9
            health = {
                "test": ["CMD", *plan.health_command],
                "interval": 30 * seconds,
                "timeout": 10 * seconds,
                "retries": 3,
            }
        with self._telling(f"making the container {plan.name}"):
            made = api.create_container(
                plan.image,
                list(plan.command),
                name=plan.name,
                hostname=plan.hostname,
                user=plan.user,
                environment=dict(plan.environment),
                labels=dict(plan.labels),
                host_config=host,
                networking_config=network,
                healthcheck=health,
                stop_signal="SIGTERM",
                detach=True,
            )
        return str(made["Id"])

    def start(self, identity: str) -> None:
        """Start a container."""
        with self._telling(f"starting the container {identity[:12]}"):
            self._api.start(identity)

    def state(self, identity: str) -> ContainerState:
        """Ask what became of a container."""
        with self._telling(f"looking at the container {identity[:12]}"):
            told = self._api.inspect_container(identity)
        state = told["State"]
        return ContainerState(
            running=bool(state["Running"]),
            pid=int(state["Pid"]),
            exit_code=int(state["ExitCode"]),
            out_of_memory=bool(state["OOMKilled"]),
            restarts=int(told.get("RestartCount", 0)),
            health=str(state.get("Health", {}).get("Status", "none")),
        )

    def place(self, identity: str) -> Place:
        """Say where a container is on the first of its networks."""
        with self._telling(f"looking at the network of {identity[:12]}"):
            networks = self._api.inspect_container(identity)["NetworkSettings"]["Networks"]
            name, told = next(iter(sorted(networks.items())))
            pools = self._api.inspect_network(told["NetworkID"])["IPAM"]["Config"] or []
        gateway = next((pool["Gateway"] for pool in pools if pool.get("Gateway")), None)
        address = told.get("IPAddress") or None
        return Place(
            network=name,
            address=IPv4Address(address) if address else None,
            gateway=IPv4Address(gateway.partition("/")[0]) if gateway else None,
            aliases=tuple(told.get("Aliases") or ()),
        )

    def labelled(self, label: str) -> list[Thing]:
        """Return the containers that have a label, running or not."""
        with self._telling("listing containers"):
            found = self._api.containers(all=True, filters={"label": label})
        return [
            Thing(kind="container", identity=c["Id"], name=c["Names"][0], labels=c["Labels"])
            for c in found
        ]

    def pause(self, identity: str) -> None:
        """Freeze all processes of a container."""
        with self._telling(f"pausing the container {identity[:12]}"):
            self._api.pause(identity)

    def unpause(self, identity: str) -> None:
        """Let a container go on."""
        with self._telling(f"unpausing the container {identity[:12]}"):
            self._api.unpause(identity)

    def remove(self, identity: str) -> None:
        """Kill and remove a container if it is there."""
        with self._telling(f"removing the container {identity[:12]}"), self._if_there():
            self._api.remove_container(identity, force=True, v=True)

    def disconnect(self, network: str, identity: str) -> None:
        """Take a container off a network."""
        with self._telling(f"disconnecting {identity[:12]}"):
            self._api.disconnect_container_from_network(identity, network, force=True)

    def connect(
        self, network: str, identity: str, address: IPv4Address, aliases: Sequence[str]
    ) -> None:
        """Put a container on a network again, at the address it had."""
        with self._telling(f"connecting {identity[:12]} at {address}"):
            self._api.connect_container_to_network(
                identity, network, ipv4_address=str(address), aliases=list(aliases)
            )

    def connect_again(self, place: Place, identity: str) -> None:
        """Put a container on a network again, at its address where the network allows to name it.

        Only networks with a subnet of the user's choosing do.
        """
        with self._telling(f"connecting {identity[:12]} to {place.network}"):
            try:
                self._api.connect_container_to_network(
                    identity,
                    place.network,
                    ipv4_address=str(place.address),
                    aliases=list(place.aliases),
                )
            except self._docker.errors.APIError as error:
                if "user configured subnets" not in _short(error):
                    raise
                self._api.connect_container_to_network(
                    identity, place.network, aliases=list(place.aliases)
                )

    def limit(
        self, identity: str, *, cpus: float | None = None, memory_bytes: int | None = None
    ) -> None:
        """Change what a container may take of the machine while it runs."""
        changed: dict[str, Any] = {}
        if cpus is not None:
            changed |= {"cpu_period": 100_000, "cpu_quota": int(cpus * 100_000)}
        if memory_bytes is not None:
            changed |= {"mem_limit": memory_bytes, "memswap_limit": memory_bytes}
        with self._telling(f"limiting the container {identity[:12]}"):
            self._api.update_container(identity, **changed)

    def logs(self, identity: str, lines: int | str = "all") -> str:
        """Return what a container has said, its last lines or everything."""
        with self._telling(f"reading the log of {identity[:12]}"):
            said = self._api.logs(identity, stdout=True, stderr=True, tail=lines)
        return bytes(said).decode(errors="replace")

    def events(self, filters: Mapping[str, str]) -> Any:  # noqa: ANN401 - the SDK's own stream
        """Return the stream of what happens from now on; closing it ends it."""
        with self._telling("listening to events"):
            return self._api.events(filters=dict(filters), decode=True)

    def things(self) -> Iterator[Thing]:
        """Yield all that carries the label of a chaosfuzz run, in the order of removal."""
        wanted = {"label": OWNER}
        with self._telling("listing what runs made"):
            containers = self._api.containers(all=True, filters=wanted)
            networks = self._api.networks(filters=wanted)
            volumes = self._api.volumes(filters=wanted)["Volumes"] or []
        for each in containers:
            name = (each["Names"] or [each["Id"][:12]])[0].lstrip("/")
            yield Thing(kind="container", identity=each["Id"], name=name, labels=each["Labels"])
        for each in networks:
            yield Thing(
                kind="network", identity=each["Id"], name=each["Name"], labels=each["Labels"]
            )
        for each in volumes:
            yield Thing(
                kind="volume", identity=each["Name"], name=each["Name"], labels=each["Labels"]
            )

    def subnets(self) -> Iterator[IPv4Network]:
        """Yield the subnets that the engine's networks have."""
        with self._telling("listing networks"):
            networks = self._api.networks()
        for each in networks:
            for pool in (each.get("IPAM") or {}).get("Config") or ():
                if "." in str(pool.get("Subnet", "")):
                    yield IPv4Network(pool["Subnet"], strict=False)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except (self._docker.errors.DockerException, OSError) as error:
            raise InfrastructureError(
                cause=f"{what}: the Docker engine says: {_short(error)}",
                remedy="look at the engine's log; chaosfuzz clean removes leftovers of dead runs",
            ) from error

    @contextmanager
    def _if_there(self) -> Iterator[None]:
        try:
            yield
        except self._docker.errors.NotFound:
            return


def _load() -> ModuleType:
    try:
        import docker.errors
        import docker.types

        import docker
    except ImportError as error:
        message = "containers need the docker package"
        raise UsageError(cause=message, remedy="run: pip install 'chaosfuzz[docker]'") from error
    loaded: ModuleType = docker
    return loaded


def _knock(url: str) -> None:
    """Raise InfrastructureError if nobody listens there; the SDK would leave its socket open."""
    path = url.removeprefix("http+").removeprefix("unix://")
    if path == url:
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(_TIMEOUT_S)
        try:
            knocking.connect("/" + path.lstrip("/"))
        except OSError as error:
            raise _silent(url, error) from error


def _silent(url: str, error: BaseException) -> InfrastructureError:
    return InfrastructureError(
        cause=f"no Docker engine answers at {url}: {_short(error)}",
        remedy="start a Docker engine (dockerd), or name one with DOCKER_HOST",
    )


def _short(error: BaseException) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:400]
