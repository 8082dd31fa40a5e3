"""A compose file under a project name of its own, by the compose command."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from chaosfuzz.domain.abilities import Restart
from chaosfuzz.domain.errors import InfrastructureError, UsageError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.labels import labels_of
from chaosfuzz.targets.docker.things import Thing
from chaosfuzz.targets.profiles.model import ComposeProfile

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
NUMBER, ONE_OFF = "com.docker.compose.container-number", "com.docker.compose.oneoff"
LEDGER_DIRECTORY = "/chaosfuzz"
LEDGER_NAME = "ledger.jsonl"
_TIMEOUT_S = 60.0
# What docker says that has no plugin of that name, by version.
_NO_PLUGIN = ("unknown shorthand flag", "docker: unknown command", "docker: 'compose' is not")


class Project:
    """One copy of what a compose file describes; the file itself stays as it is.

    Raises:
        UsageError: compose is not installed, or the file lacks a service that the profile names.
        InfrastructureError: compose refuses the file.

    """

    def __init__(
        self, engine: Engine, profile: ComposeProfile, run: str, directory: Path, ledgers: Path
    ) -> None:
        self.name = f"chaosfuzz-{run}"
        self._engine = engine
        self._profile = profile
        self._ledgers = ledgers
        self._override = directory / "override.json"
        resolved = json.loads(self._compose(["config", "--format", "json"], _TIMEOUT_S))
        self._check(resolved)
        self.restart = restart_policy(resolved, profile.worker)
        self._override.write_text(json.dumps(self._labelled(resolved, run)), encoding="utf-8")

    def up(self, workers: int) -> None:
        """Start everything that is not up, in the order and as healthy as the file demands."""
        bound_s = self._profile.up_timeout_s
        scale = f"{self._profile.worker}={workers}"
        words = ["up", "--detach", "--no-recreate", "--wait", "--wait-timeout", str(int(bound_s))]
        self._compose([*words, "--scale", scale], bound_s + _TIMEOUT_S)

    def down(self) -> None:
        """Remove containers, networks and volumes of the project."""
        words = ["down", "--volumes", "--remove-orphans", "--timeout", "0"]
        self._compose(words, self._profile.up_timeout_s)

    def containers(self, service: str) -> list[Thing]:
        """Return the containers of a service, by their numbers."""
        found = [
            thing
            for thing in self._engine.labelled(f"{PROJECT}={self.name}")
            if thing.labels.get(SERVICE) == service and thing.labels.get(ONE_OFF) != "True"
        ]
        return sorted(found, key=lambda thing: int(thing.labels.get(NUMBER, "0")))

    def _check(self, resolved: dict[str, object]) -> None:
        services = resolved.get("services")
        known = list(services) if isinstance(services, dict) else []
        profile = self._profile
        for role in ("worker", "server", "database"):
            name = getattr(profile, role)
            if name is not None and name not in known:
                raise UsageError(
                    cause=f"{profile.file}: no service {name!r} for compose.{role}",
                    remedy=f"choose among its services: {', '.join(known) or 'none'}",
                )

    def _labelled(self, resolved: dict[str, object], run: str) -> dict[str, object]:
        """Return the override: labels for all, and where the ledger is for those that work."""
        labels = labels_of(run, f"compose project {self.name}")
        works = {self._profile.worker, self._profile.server}
        services: dict[str, object] = {}
        for name in _names(resolved, "services"):
            # What is killed stays dead until a step or the healing starts it; a worker that ends
            # by itself comes back as the file has it, which the system sees to.
            changed: dict[str, object] = {"labels": labels, "restart": "no"}
            if name in works:
                bind = {"type": "bind", "source": str(self._ledgers), "target": LEDGER_DIRECTORY}
                changed["volumes"] = [bind]
                path = f"{LEDGER_DIRECTORY}/{LEDGER_NAME}"
                changed["environment"] = {"CHAOSFUZZ_LEDGER": path}
            services[name] = changed
        override: dict[str, object] = {"services": services}
        for kind in ("networks", "volumes"):
            ours = [n for n in _names(resolved, kind) if not _is_external(resolved, kind, n)]
            override[kind] = {name: {"labels": labels} for name in ours}
        return override

    def _compose(self, words: Sequence[str], timeout_s: float) -> str:
        files = ["-f", str(self._profile.file)]
        if self._override.exists():
            files += ["-f", str(self._override)]
        directory = self._profile.file.parent
        command = ["docker", "compose", "-p", self.name, "--project-directory", str(directory)]
        environment = {**os.environ, "DOCKER_HOST": self._engine.url}
        try:
            done = subprocess.run(
                [*command, *files, *words],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                cwd=directory,
                env=environment,
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
                    f"run docker compose -f {self._profile.file} {words[0]} by hand to see what "
                    "it waits for; a first pull or build is best done before"
                ),
            ) from error
        if done.returncode == 0:
            return done.stdout
        said = " ".join(done.stderr.split())[-600:]
        if said.startswith(_NO_PLUGIN):
            raise UsageError(
                cause="docker has no compose command", remedy="install the compose plugin of docker"
            )
        raise InfrastructureError(
            cause=f"compose {words[0]} of {self._profile.file} failed: {said}",
            remedy=(
                f"run docker compose -f {self._profile.file} {words[0]} by hand, and correct the "
                "file"
            ),
        )


def restart_policy(resolved: dict[str, object], service: str) -> Restart:
    """Return when the file wants a service's containers back; a swarm's way of saying so counts."""
    services = resolved["services"]
    assert isinstance(services, dict)
    told = services[service].get("restart")
    if told is None:
        policy = (services[service].get("deploy") or {}).get("restart_policy")
        told = "no" if policy is None else policy.get("condition", "any")
    words: dict[str, Restart] = {"no": "never", "none": "never", "on-failure": "on-failure"}
    # `on-failure:3` has a bound; the rest is always, unless-stopped and any.
    return words.get(str(told).partition(":")[0], "always")


def _names(resolved: dict[str, object], kind: str) -> list[str]:
    found = resolved.get(kind)
    return list(found) if isinstance(found, dict) else []


def _is_external(resolved: dict[str, object], kind: str, name: str) -> bool:
    found = resolved[kind]
    assert isinstance(found, dict)
    return isinstance(found[name], dict) and bool(found[name].get("external"))
