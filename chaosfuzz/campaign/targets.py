"""The targets there are: built in, ready profiles, registered classes, and profiles by path."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import chaosfuzz
from chaosfuzz.domain.case import DOCKER, PROCESS
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.target import Lane, Target, TargetDescription
from chaosfuzz.targets.compose import ComposeTarget
from chaosfuzz.targets.compose.target import describe as describe_compose
from chaosfuzz.targets.docker import DockerTarget
from chaosfuzz.targets.docker.target import describe as describe_containers
from chaosfuzz.targets.process import ReferenceTarget
from chaosfuzz.targets.process.target import describe as describe_reference
from chaosfuzz.targets.profiles import Profile, ProfileTarget, load_profile
from chaosfuzz.targets.profiles import describe as describe_profile
from chaosfuzz.targets.simulated import SimulatedTarget
from chaosfuzz.wire import LaneWire

REFERENCE, SIMULATED = "reference", "simulated"
GROUP = "chaosfuzz.targets"
_READY = Path(chaosfuzz.__file__).parent / "targets" / "queues"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A target by the name that the user gave.

    `profile` is what describes it if anything does; `by_path` if the user named its file.
    """

    description: TargetDescription
    profile: Profile | None = None
    by_path: bool = False
    registered: Target | None = None
    on: str = PROCESS

    @property
    def name(self) -> str:
        """The target's own name, which cases go by."""
        return self.description.name

    @property
    def is_ready(self) -> bool:
        """Say whether it is somebody else's release, whose profile comes with chaosfuzz."""
        return self.profile is not None and not self.by_path

    @property
    def profile_file(self) -> str:
        """The file name of the profile that the user named, or an empty string."""
        return self.profile.path.name if self.profile is not None and self.by_path else ""

    def lane(self, index: int, logs: Path, defects: tuple[str, ...], mode: str) -> Lane:
        """Return a lane of it, every component behind a proxy where chaosfuzz starts them."""
        if self.registered is not None:
            return self.registered.lane(index, logs)
        if self.profile is not None and self.profile.compose is not None:
            return ComposeTarget(self.profile, LaneWire).lane(index, logs)
        if self.profile is not None:
            return ProfileTarget(self.profile, LaneWire).lane(index, logs)
        assert self.name == REFERENCE, self.name
        if self.on == DOCKER:
            return DockerTarget(defects, mode, LaneWire).lane(index, logs)
        return ReferenceTarget(defects, mode, LaneWire).lane(index, logs)


def find_target(name: str, on: str = PROCESS) -> Named:
    """Return a target by its name, or by the path of its profile.

    Raises:
        UsageError: there is none, or its profile or class is broken.

    """
    if name == REFERENCE and on == DOCKER:
        return Named(description=describe_containers(), on=on)
    if looks_like_path(name):
        profile = load_profile(Path(name))
        if profile.compose is not None:
            return Named(description=describe_compose(profile), profile=profile, by_path=True)
    if on == DOCKER:
        raise UsageError(
            cause=f"{name} does not run on docker", remedy=f"leave out --on, or use {REFERENCE}"
        )
    if name == REFERENCE:
        return Named(description=describe_reference())
    if name == SIMULATED:
        return Named(description=SimulatedTarget().description)
    if looks_like_path(name):
        return Named(description=describe_profile(profile), profile=profile, by_path=True)
    ready = ready_profiles()
    if name in ready:
        profile = load_profile(ready[name])
        return Named(description=describe_profile(profile), profile=profile)
    for entry in _entries():
        if entry.name == name:
            return _load(entry)
    raise UsageError(
        cause=f"unknown target {name!r}",
        remedy=(
            f"choose among: {', '.join(target_names())}, or give the path of a profile (chaosfuzz "
            "profile new writes one)"
        ),
    )


def looks_like_path(name: str) -> bool:
    """Say whether a name of a target is the path of a profile."""
    return name.endswith(".toml") or os.sep in name


def target_names() -> tuple[str, ...]:
    """Return the names of all targets that have one."""
    registered = sorted(entry.name for entry in _entries())
    return tuple(dict.fromkeys((REFERENCE, SIMULATED, *ready_profiles(), *registered)))


def ready_profiles() -> dict[str, Path]:
    """Return the profiles that come with chaosfuzz, by the names of their targets."""
    found = sorted(_READY.glob("*/*.toml"))
    return {load_profile(path).name: path for path in found}


def _entries() -> Iterator[metadata.EntryPoint]:
    yield from metadata.entry_points(group=GROUP)


def _load(entry: metadata.EntryPoint) -> Named:
    """Return what an entry point names; whatever its import raises is told, not shown raw."""
    where = f"target {entry.name!r} ({entry.value}, entry point {GROUP})"
    try:
        target: Target = entry.load()()
        description = target.description
    except Exception as error:
        message = f"{where} cannot be made: {type(error).__name__}: {error}"
        raise UsageError(cause=message, remedy="correct that package or uninstall it") from error
    if not isinstance(description, TargetDescription) or description.name != entry.name:
        message = f"{where} has no TargetDescription of that name"
        raise UsageError(cause=message, remedy="give its `description` the name of its entry point")
    return Named(description=description, registered=target)
