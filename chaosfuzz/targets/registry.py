"""Finds targets: built-in ones, ready profiles, classes of entry points, profiles by path."""

import os
from collections.abc import Callable, Mapping
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
from chaosfuzz.targets.bundled import BundledTarget
from chaosfuzz.targets.compose import ComposeTarget
from chaosfuzz.targets.profiles import Profile, ProfileTarget, load_profile
from chaosfuzz.targets.simulated import SimulatedTarget

DEFAULT_TARGET = "reference"
GROUP = "chaosfuzz.targets"
_BUILT_IN: Mapping[str, Callable[[], Target]] = {
    DEFAULT_TARGET: BundledTarget,
    "simulated": SimulatedTarget,
}
_READY = Path(__file__).parent / "queues"


def find_target(name: str, on: str = PROCESS) -> Target:
    """Return a target by its name or by the path of its profile, as it runs `on` a place.

    Raises UsageError if no target has this name, if its profile or class is broken, or if it does
    not run there.
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
    """Return a target's description; raise UsageError as find_target does."""
    return find_target(name, on).description


def find_profile(name: str) -> Profile:
    """Return the profile that describes a target.

    Raises UsageError if there is no such target, or if it is not described by a profile.
    """
    target = _find(name)
    if not isinstance(target, ProfileTarget | ComposeTarget):
        message = f"the target {name} is not described by a profile, but by a class"
        raise UsageError(cause=message, remedy="give the path of a profile (a .toml file)")
    return target.profile


def looks_like_path(name: str) -> bool:
    """Say whether a target's name is a path: it ends in .toml or has a slash in it."""
    return name.endswith(".toml") or os.sep in name


def target_names() -> tuple[str, ...]:
    """Return the names of all targets but those of profiles by path."""
    registered = sorted(metadata.entry_points(group=GROUP).names)
    return tuple(dict.fromkeys((*_BUILT_IN, *ready_profiles(), *registered)))


def ready_profiles() -> dict[str, Path]:
    """Return the paths of the profiles that come with chaosfuzz, by the names of their targets."""
    found = sorted(_READY.glob("*/*.toml"))
    return {load_profile(path).name: path for path in found}


def _find(name: str) -> Target:
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    if looks_like_path(name):
        profile = load_profile(Path(name))
        return ProfileTarget(profile) if profile.compose is None else ComposeTarget(profile)
    ready = ready_profiles()
    if name in ready:
        return ProfileTarget(load_profile(ready[name]), released=True)
    for entry in metadata.entry_points(group=GROUP, name=name):
        return _load(entry)
    raise UsageError(
        cause=f"unknown target {name!r}",
        remedy=(
            f"choose among: {', '.join(target_names())}, or give the path of a profile (chaosfuzz "
            "profile new writes one)"
        ),
    )


def _load(entry: metadata.EntryPoint) -> Target:
    """Make the target of an entry point; raise UsageError for any error of its class."""
    where = f"target {entry.name!r} ({entry.value}, entry point {GROUP})"
    try:
        target: Target = entry.load()()
        description = target.description
    except Exception as error:
        message = f"{where} cannot be loaded: {type(error).__name__}: {error}"
        raise UsageError(cause=message, remedy="correct its package or uninstall it") from error
    if not isinstance(description, TargetDescription) or description.name != entry.name:
        message = f"{where} has no TargetDescription named {entry.name!r}"
        raise UsageError(cause=message, remedy="give its `description` the name of its entry point")
    if not isinstance(target, LaneTarget | RunnerTarget):
        message = f"{where} cannot run a schedule: it has neither `lane` nor `runner`"
        raise UsageError(cause=message, remedy="give it a method `lane` or `runner`")
    return target
