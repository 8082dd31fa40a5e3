"""The targets there are: built in, ready profiles, registered classes, and profiles by path."""

import os
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from chaosfuzz.domain.case import PROCESS
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.target import (
    LaneTarget,
    PlacedTarget,
    RunnerTarget,
    Target,
    TargetDescription,
)
from chaosfuzz.targets.compose import ComposeTarget
from chaosfuzz.targets.process import ReferenceTarget
from chaosfuzz.targets.profiles import Profile, ProfileTarget, load_profile
from chaosfuzz.targets.simulated import SimulatedTarget

DEFAULT_TARGET = "reference"
GROUP = "chaosfuzz.targets"
_BUILT_IN: Mapping[str, Callable[[], Target]] = {
    DEFAULT_TARGET: ReferenceTarget,
    "simulated": SimulatedTarget,
}
_READY = Path(__file__).parent / "queues"


def find_target(name: str, on: str = PROCESS) -> Target:
    """Return a target by its name, or by the path of its profile.

    Raises:
        UsageError: there is none, its profile or class is broken, or it does not run on that.

    """
    target = _find(name)
    if on == PROCESS:
        return target
    if not isinstance(target, PlacedTarget) or on not in target.places:
        raise UsageError(
            cause=f"{name} does not run on {on}", remedy=f"leave out --on, or use {DEFAULT_TARGET}"
        )
    return target.on(on)


def describe(name: str, on: str = PROCESS) -> TargetDescription:
    """Return a target's description; raises UsageError as find_target does."""
    return find_target(name, on).description


def find_profile(name: str) -> Profile:
    """Return the profile that describes a target.

    Raises:
        UsageError: there is no such target, or no profile describes it.

    """
    target = _find(name)
    if not isinstance(target, ProfileTarget | ComposeTarget):
        message = f"{name} is described by no profile"
        raise UsageError(cause=message, remedy="give the path of one")
    return target.profile


def looks_like_path(name: str) -> bool:
    """Say whether a name of a target is the path of a profile."""
    return name.endswith(".toml") or os.sep in name


def target_names() -> tuple[str, ...]:
    """Return the names of all targets that have one."""
    registered = sorted(entry.name for entry in _entries())
    return tuple(dict.fromkeys((*_BUILT_IN, *ready_profiles(), *registered)))


def ready_profiles() -> dict[str, Path]:
    """Return the profiles that come with chaosfuzz, by the names of their targets."""
    found = sorted(_READY.glob("*/*.toml"))
    return {load_profile(path).name: path for path in found}


def _find(name: str) -> Target:
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    if looks_like_path(name):
        profile = load_profile(Path(name))
        return ProfileTarget(profile) if profile.compose is None else ComposeTarget(profile=profile)
    ready = ready_profiles()
    if name in ready:
        return ProfileTarget(load_profile(ready[name]), released=True)
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


def _entries() -> Iterator[metadata.EntryPoint]:
    yield from metadata.entry_points(group=GROUP)


def _load(entry: metadata.EntryPoint) -> Target:
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
    if not isinstance(target, LaneTarget | RunnerTarget):
        message = f"{where} cannot run a schedule"
        raise UsageError(cause=message, remedy="give it a method `lane` or `runner`")
    return target
