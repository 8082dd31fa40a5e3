"""A compose file under a project name of its own, run by the compose command."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.events import EventStream
from chaosfuzz.targets.docker.process import ContainerProcess
from chaosfuzz.targets.docker.things import Thing, labels_of
from chaosfuzz.targets.profiles.model import ComposeProfile

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
NUMBER, ONE_OFF = "com.docker.compose.container-number", "com.docker.compose.oneoff"
LEDGER_DIRECTORY = "/chaosfuzz"
LEDGER_NAME = "ledger.jsonl"
# Chosen by hand: for reading the file, and beyond the profile's own bound for coming up.
_TIMEOUT_S = 60.0
# What docker without the compose plugin says, by version.
_NO_PLUGIN = ("unknown shorthand flag", "docker: unknown command", "docker: 'compose' is not")


class Project:
    """A project of a compose file and its containers; the file itself stays as it is.

    `run` becomes part of the project's name and labels. The override file goes into `directory`,
    and the services get `ledgers` as a volume.

    Raises:
        UsageError: compose is not installed, or the file lacks a service that the profile names.
        InfrastructureError: compose refuses the file.

    """

    def __init__(
        self, engine: Engine, profile: ComposeProfile, run: str, directory: Path, ledgers: Path
    ) -> None:
        self.name = f"chaosfuzz-{run}"
        self.engine = engine
        self._profile = profile
        self._ledgers = ledgers
        self._override = directory / "override.json"
        resolved = json.loads(self._compose(["config", "--format", "json"], _TIMEOUT_S))
        self._check(resolved)
        self.restart = restart_policy(resolved, profile.worker)
        self._override.write_text(json.dumps(self._changes(resolved, run)), encoding="utf-8")
        self._events = EventStream(engine, f"{PROJECT}={self.name}")

    def up(self, workers: int) -> None:
        """Start every service that is not up, and scale the workers to so many.

        Waits until all are up and healthy. Surplus workers are removed. Raises as `_compose` does,
        also if it takes longer than the profile's up_timeout_s.
        """
        bound_s = self._profile.up_timeout_s
        scale = f"{self._profile.worker}={workers}"
        words = ["up", "--detach", "--no-recreate", "--wait", "--wait-timeout", str(int(bound_s))]
        self._compose([*words, "--scale", scale], bound_s + _TIMEOUT_S)

    def close(self) -> None:
        """Remove containers, networks and volumes of the project."""
        words = ["down", "--volumes", "--remove-orphans", "--timeout", "0"]
        try:
            self._compose(words, self._profile.up_timeout_s)
        finally:
            self._events.close()

    def containers(self, service: str) -> list[Thing]:
        """Return the containers of a service, by their numbers."""
        found = [
            thing
            for thing in self.engine.containers(f"{PROJECT}={self.name}")
            if thing.labels.get(SERVICE) == service and thing.labels.get(ONE_OFF) != "True"
        ]
        return sorted(found, key=lambda thing: int(thing.labels.get(NUMBER, "0")))

    def container(self, service: str, number: int) -> Thing:
        """Return a container of a service, counted from 1; compose makes it if it is missing.

        Raises InfrastructureError if compose makes fewer containers of the service.
        """
        found = self.containers(service)
        if len(found) < number:
            self.up(number)
            found = self.containers(service)
        if len(found) < number:
            raise InfrastructureError(
                cause=f"compose made {len(found)} containers of {service}, not {number}",
                remedy=(
                    f"let the compose file allow {service} that many containers: no "
                    "container_name, no fixed host port"
                ),
            )
        return found[number - 1]

    def start(self, service: str, number: int) -> ContainerProcess:
        """Start a container of a service unless it runs; return its first process.

        Raises InfrastructureError if the container ends at once, or cannot be made.
        """
        thing = self.container(service, number)
        if not self.engine.first_pid(thing.identity):
            self.engine.start(thing.identity)
        start_number = self._events.deaths(thing.identity) + 1
        return ContainerProcess(self.engine, self._events, thing.identity, thing.name, start_number)

    def _check(self, resolved: dict[str, Any]) -> None:
        known = resolved.get("services") or {}
        for role in ("worker", "server", "database"):
            name = getattr(self._profile, role)
            if name is not None and name not in known:
                raise UsageError(
                    cause=f"{self._profile.file}: no service {name!r} for compose.{role}",
                    remedy=f"choose among its services: {', '.join(known) or 'none'}",
                )

    def _changes(self, resolved: dict[str, Any], run: str) -> dict[str, object]:
        """Return the override file: labels for all, and the ledger for server and workers."""
        labels = labels_of(run, f"compose project {self.name}")
        services: dict[str, object] = {}
        for name in resolved.get("services") or {}:
            # A killed container stays dead until a step or the healing starts it. The system
            # itself restarts a worker that ends by itself, if the file says so.
            changed: dict[str, object] = {"labels": labels, "restart": "no"}
            if name in {self._profile.worker, self._profile.server}:
                bind = {"type": "bind", "source": str(self._ledgers), "target": LEDGER_DIRECTORY}
                changed["volumes"] = [bind]
                path = f"{LEDGER_DIRECTORY}/{LEDGER_NAME}"
                changed["environment"] = {"CHAOSFUZZ_LEDGER": path}
            services[name] = changed
        override: dict[str, object] = {"services": services}
        for kind in ("networks", "volumes"):
            declared = (resolved.get(kind) or {}).items()
            ours = [name for name, spec in declared if not (spec or {}).get("external")]
            override[kind] = {name: {"labels": labels} for name in ours}
        return override

    def _compose(self, words: Sequence[str], timeout_s: float) -> str:
        """Run a compose command; return its standard output.

        Raises UsageError if docker or its compose plugin is missing, InfrastructureError if the
        command fails or takes over `timeout_s` seconds.
        """
        files = ["-f", str(self._profile.file)]
        if self._override.exists():
            files += ["-f", str(self._override)]
        directory = self._profile.file.parent
        command = ["docker", "compose", "-p", self.name, "--project-directory", str(directory)]
        try:
            done = subprocess.run(
                [*command, *files, *words],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                cwd=directory,
                env={**os.environ, "DOCKER_HOST": self.engine.url},
                timeout=timeout_s,
                check=False,
            )
        except OSError as error:
            raise UsageError(
                cause=f"the docker command cannot be run: {error}",
                remedy="install docker with its compose plugin",
            ) from error
        except subprocess.TimeoutExpired as error:
            raise InfrastructureError(
                cause=f"compose {words[0]} of {self._profile.file} took over {timeout_s:g} s",
                remedy=(
                    f"run docker compose -f {self._profile.file} {words[0]} by hand to see for "
                    "what it waits; pull or build the images before"
                ),
            ) from error
        if done.returncode == 0:
            return done.stdout
        reason = " ".join(done.stderr.split())[-600:]
        if reason.startswith(_NO_PLUGIN):
            raise UsageError(
                cause="docker has no compose command", remedy="install the compose plugin of docker"
            )
        raise InfrastructureError(
            cause=f"compose {words[0]} of {self._profile.file} failed: {reason}",
            remedy=(
                f"run docker compose -f {self._profile.file} {words[0]} by hand, and correct the "
                "file"
            ),
        )


def restart_policy(resolved: dict[str, Any], service: str) -> Restart:
    """Return when the file wants a service's containers restarted, by `restart` or `deploy`."""
    spec = resolved["services"][service]
    word = spec.get("restart")
    if word is None:
        policy = (spec.get("deploy") or {}).get("restart_policy")
        word = "no" if policy is None else policy.get("condition", "any")
    words: dict[str, Restart] = {"no": "never", "none": "never", "on-failure": "on-failure"}
    # `on-failure:3` has a bound; all other words (always, unless-stopped, any) mean always.
    return words.get(str(word).partition(":")[0], "always")
