"""The Docker engine's API, as far as chaosfuzz uses it, with typed errors."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from types import ModuleType
from typing import IO, Any

from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.docker.things import OWNER, ContainerPlan, Kind, Place, Thing

DEFAULT_URL = "unix:///var/run/docker.sock"
REMOTE_VARIABLE = "CHAOSFUZZ_DOCKER_REMOTE"
# Chosen by hand: how long a request may take.
_TIMEOUT_S = 60
_LOG_LINES = 20
# The period, in microseconds, in which a container may use its share of a processor; Docker's own.
_CPU_PERIOD_US = 100_000
_SECOND_NS = 10**9
_REMOTE = ("tcp://", "http://", "https://", "ssh://")


def chosen_url() -> str:
    """Return the engine's address: DOCKER_HOST, else this machine's socket.

    Raises UsageError if the engine may be another machine's, and CHAOSFUZZ_DOCKER_REMOTE is not 1.
    """
    url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
    if url.startswith(_REMOTE) and os.environ.get(REMOTE_VARIABLE) != "1":
        raise UsageError(
            cause=(
                f"DOCKER_HOST={url} may be another machine's engine, whose containers chaosfuzz "
                "would start, break and remove"
            ),
            remedy=f"unset it, or set {REMOTE_VARIABLE}=1 if you mean that engine",
        )
    return url


class Engine:
    """A client of one engine. Safe to use from several threads.

    `identity` is an id that the engine gave. Every method raises InfrastructureError if the
    engine refuses or does not answer.

    Raises:
        UsageError: the docker package is not installed, or the engine may be another machine's.
        InfrastructureError: no engine answers.

    """

    def __init__(self) -> None:
        self.url = chosen_url()
        self._docker = _load()
        _check_listens(self.url)
        try:
            self._api = self._docker.APIClient(
                base_url=self.url, version="auto", timeout=_TIMEOUT_S, num_pools=32
            )
            self.version = str(self._api.version()["Version"])
            self.info: Mapping[str, Any] = self._api.info()
        except self._docker.errors.DockerException as error:
            raise _no_answer(self.url, error) from error

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def image_labels(self, name: str) -> Mapping[str, str] | None:
        """Return the labels of an image, None if there is no image of that name."""
        with self._typed_errors(f"looking at the image {name}"):
            try:
                return dict(self._api.inspect_image(name)["Config"]["Labels"] or {})
            except self._docker.errors.ImageNotFound:
                return None

    def import_image(self, archive: IO[bytes], name: str, settings: Sequence[str]) -> None:
        """Make an image of a tar archive of its file system, with settings as in a Dockerfile."""
        repository, _, tag = name.partition(":")
        with self._typed_errors(f"importing {name}"):
            self._api.import_image_from_data(
                archive, repository=repository, tag=tag, changes=list(settings)
            )
        if self.image_labels(name) is None:
            raise InfrastructureError(
                cause=f"the engine did not import {name}",
                remedy="look at the engine's log, and free space on its disk",
            )

    def build(self, context: IO[bytes], name: str) -> None:
        """Build an image from a tar archive with a Dockerfile."""
        problem = ""
        with self._typed_errors(f"building {name}"):
            for line in self._api.build(
                fileobj=context, custom_context=True, tag=name, rm=True, decode=True
            ):
                problem = str(line.get("error") or problem)
        if problem or self.image_labels(name) is None:
            raise InfrastructureError(
                cause=f"the engine did not build {name}: {problem or 'it gave no reason'}",
                remedy="correct what the engine says; docker system df shows the disk space in use",
            )

    def create_network(self, name: str, subnet: IPv4Network, labels: Mapping[str, str]) -> str:
        """Make a network without a way out of this machine; return its id."""
        types = self._docker.types
        pool = types.IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        with self._typed_errors(f"making the network {name} ({subnet})"):
            made = self._api.create_network(
                name,
                driver="bridge",
                ipam=types.IPAMConfig(pool_configs=[pool]),
                internal=True,
                labels=dict(labels),
                check_duplicate=True,
            )
        return str(made["Id"])

    def create_volume(self, name: str, megabytes: int, labels: Mapping[str, str]) -> None:
        """Make a volume in memory, of limited size; its data goes when no container uses it."""
        options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={megabytes}m,mode=1777"}
        with self._typed_errors(f"making the volume {name}"):
            self._api.create_volume(name, driver="local", driver_opts=options, labels=dict(labels))

    def create(self, plan: ContainerPlan) -> str:
        """Make a container without capabilities, its file system read-only; return its id."""
        api = self._api
        mounts = {**plan.binds, **plan.volumes}.items()
        host = api.create_host_config(
            binds={source: {"bind": inside, "mode": "rw"} for source, inside in mounts},
            network_mode=plan.network or "none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=256,
            read_only=True,
            tmpfs={"/tmp": "size=16m,mode=1777"},
            # In the engine's own group, all containers together would get one share of a processor.
            cgroup_parent="/" if self.info.get("CgroupDriver") == "cgroupfs" else None,
            log_config={"Type": "json-file", "Config": {"max-size": "4m", "max-file": "1"}},
            **_limits(plan.cpus, plan.memory_bytes),
        )
        network = None
        if plan.network:
            endpoint = api.create_endpoint_config(
                ipv4_address=str(plan.address), aliases=[plan.hostname]
            )
            network = api.create_networking_config({plan.network: endpoint})
        health = {
            "test": ["CMD", *plan.health_command],
            "interval": 30 * _SECOND_NS,
            "timeout": 10 * _SECOND_NS,
            "retries": 3,
        }
        with self._typed_errors(f"making the container {plan.name}"):
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
        with self._typed_errors(f"starting the container {identity[:12]}"):
            self._api.start(identity)

    def first_pid(self, identity: str) -> int:
        """Return the pid on this machine of a container's first process, 0 if it is down."""
        return int(self._state(identity)["Pid"])

    def health(self, identity: str) -> str:
        """Return the result of a container's health check, `none` without one."""
        return str(self._state(identity).get("Health", {}).get("Status", "none"))

    def _state(self, identity: str) -> Mapping[str, Any]:
        with self._typed_errors(f"looking at the container {identity[:12]}"):
            state: Mapping[str, Any] = self._api.inspect_container(identity)["State"]
        return state

    def place(self, identity: str) -> Place:
        """Return the first of a container's networks by name, and its address there."""
        with self._typed_errors(f"looking at the network of {identity[:12]}"):
            networks = self._api.inspect_container(identity)["NetworkSettings"]["Networks"]
            name, endpoint = min(networks.items())
            pools = self._api.inspect_network(endpoint["NetworkID"])["IPAM"]["Config"] or []
        gateway = next((pool["Gateway"] for pool in pools if pool.get("Gateway")), None)
        # A container that has ended has only the address that it was made with.
        fixed = (endpoint.get("IPAMConfig") or {}).get("IPv4Address")
        address = endpoint.get("IPAddress") or fixed
        return Place(
            network=name,
            address=IPv4Address(address) if address else None,
            gateway=IPv4Address(gateway.partition("/")[0]) if gateway else None,
            aliases=tuple(endpoint.get("Aliases") or ()),
        )

    def containers(self, label: str) -> list[Thing]:
        """Return the containers that have a label (name, or name=value), running or not."""
        with self._typed_errors("listing containers"):
            found = self._api.containers(all=True, filters={"label": label})
        return [
            Thing(
                kind="container",
                identity=each["Id"],
                name=(each["Names"] or [each["Id"][:12]])[0].lstrip("/"),
                labels=each["Labels"],
            )
            for each in found
        ]

    def pause(self, identity: str) -> None:
        """Freeze all processes of a container."""
        with self._typed_errors(f"pausing the container {identity[:12]}"):
            self._api.pause(identity)

    def unpause(self, identity: str) -> None:
        """Thaw all processes of a container."""
        with self._typed_errors(f"unpausing the container {identity[:12]}"):
            self._api.unpause(identity)

    def remove(self, kind: Kind, identity: str) -> None:
        """Kill and remove a container, or remove a network or volume; nothing if it is gone."""
        gone = suppress(self._docker.errors.NotFound)
        with self._typed_errors(f"removing the {kind} {identity}"), gone:
            if kind == "container":
                self._api.remove_container(identity, force=True, v=True)
            elif kind == "network":
                self._api.remove_network(identity)
            else:
                self._api.remove_volume(identity, force=True)

    def disconnect(self, network: str, identity: str) -> None:
        """Take a container off a network."""
        with self._typed_errors(f"disconnecting {identity[:12]}"):
            self._api.disconnect_container_from_network(identity, network, force=True)

    def connect(self, place: Place, identity: str) -> None:
        """Put a container on a network again, at the address it had.

        A network without a subnet of the user's choosing gives the container any address.
        """
        with self._typed_errors(f"connecting {identity[:12]} to {place.network}"):
            connect = partial(
                self._api.connect_container_to_network,
                *(identity, place.network),
                aliases=list(place.aliases),
            )
            try:
                connect(ipv4_address=str(place.address))
            except self._docker.errors.APIError as error:
                if "user configured subnets" not in _short(error):
                    raise
                connect()

    def limit(
        self, identity: str, *, cpus: float | None = None, memory_bytes: int | None = None
    ) -> None:
        """Change the limits of a running container; None leaves a limit as it is."""
        with self._typed_errors(f"limiting the container {identity[:12]}"):
            self._api.update_container(identity, **_limits(cpus, memory_bytes))

    def logs(self, identity: str, lines: int | str = "all") -> str:
        """Return a container's log, its last lines or everything."""
        with self._typed_errors(f"reading the log of {identity[:12]}"):
            log = self._api.logs(identity, stdout=True, stderr=True, tail=lines)
        return bytes(log).decode(errors="replace")

    def log_tail(self, identity: str) -> str:
        """Return the last lines of a container's log; never raises."""
        try:
            return self.logs(identity, _LOG_LINES).strip()
        except InfrastructureError as error:
            return f"(no log: {error})"

    def events(self, filters: Mapping[str, str]) -> Any:  # noqa: ANN401 - the SDK's own stream
        """Return the stream of events from now on; `close` ends the stream."""
        with self._typed_errors("listening to events"):
            return self._api.events(filters=dict(filters), decode=True)

    def things(self) -> Iterator[Thing]:
        """Yield all that has the label of a chaosfuzz run, in the order of removal."""
        wanted = {"label": OWNER}
        with self._typed_errors("listing networks and volumes"):
            networks = self._api.networks(filters=wanted)
            volumes = self._api.volumes(filters=wanted)["Volumes"] or []
        yield from self.containers(OWNER)
        for each in networks:
            name = each["Name"]
            yield Thing(kind="network", identity=each["Id"], name=name, labels=each["Labels"])
        for each in volumes:
            name = each["Name"]
            yield Thing(kind="volume", identity=name, name=name, labels=each["Labels"])

    def subnets(self) -> Iterator[IPv4Network]:
        """Yield the IPv4 subnets of the engine's networks."""
        with self._typed_errors("listing networks"):
            networks = self._api.networks()
        for each in networks:
            for pool in (each.get("IPAM") or {}).get("Config") or ():
                if "." in str(pool.get("Subnet", "")):
                    yield IPv4Network(pool["Subnet"], strict=False)

    @contextmanager
    def _typed_errors(self, activity: str) -> Iterator[None]:
        try:
            yield
        except (self._docker.errors.DockerException, OSError) as error:
            raise InfrastructureError(
                cause=f"{activity}: the Docker engine says: {_short(error)}",
                remedy="look at the engine's log; chaosfuzz clean removes leftovers of dead runs",
            ) from error


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


def _check_listens(url: str) -> None:
    """Raise InfrastructureError if no process listens at a unix socket.

    The SDK would leave its own socket open then.
    """
    path = url.removeprefix("http+").removeprefix("unix://")
    if path == url:
        return
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_TIMEOUT_S)
        try:
            client.connect("/" + path.lstrip("/"))
        except OSError as error:
            raise _no_answer(url, error) from error


def _no_answer(url: str, error: BaseException) -> InfrastructureError:
    return InfrastructureError(
        cause=f"no Docker engine answers at {url}: {_short(error)}",
        remedy="start a Docker engine (dockerd), or name one with DOCKER_HOST",
    )


def _limits(cpus: float | None, memory_bytes: int | None) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if cpus:
        limits |= {"cpu_period": _CPU_PERIOD_US, "cpu_quota": int(cpus * _CPU_PERIOD_US)}
    if memory_bytes:
        # As much with swap as without: the container gets no swap.
        limits |= {"mem_limit": memory_bytes, "memswap_limit": memory_bytes}
    return limits


def _short(error: BaseException) -> str:
    return " ".join(str(getattr(error, "explanation", None) or error).split())[:400]
