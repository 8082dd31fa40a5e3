"""What a profile needs installed: looked for, and from npm installed into the user's cache."""

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.profiles.model import Profile, Requirements
from chaosfuzz.targets.profiles.node_packages import NodePackages, version_of


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Where a profile's programs are: `python` and `node` to run, `cache` that npm filled."""

    python: str
    node: str
    cache: Path

    @property
    def modules(self) -> str:
        """Where Node is to look for packages, empty if npm installed none."""
        found = self.cache / "node_modules"
        return str(found) if found.is_dir() else ""


def check_python(profile: Profile) -> None:
    """See that the distributions are there in the versions that the profile wants.

    Raises:
        UsageError: one is missing or another version, or the requirement is malformed.

    """
    requirements = profile.requirements
    remedy = f"pip install {' '.join(repr(word) for word in requirements.python)}"
    if requirements.extra:
        remedy = f"pip install 'chaosfuzz[{requirements.extra}]'"
    for wanted in requirements.python:
        name, _, version = wanted.partition("==")
        try:
            found = metadata.version(name.partition("[")[0].strip())
        except metadata.PackageNotFoundError as error:
            raise UsageError(
                cause=f"{profile.name} needs {wanted}, which is not installed", remedy=remedy
            ) from error
        if version and found != version.strip():
            raise UsageError(
                cause=f"{profile.name} needs {wanted}, but {found} is installed", remedy=remedy
            )


def install(profile: Profile) -> Installed:
    """See to what a profile needs; npm packages are installed on first use.

    Raises:
        UsageError: something is missing that the user can install.
        InfrastructureError: npm failed.

    """
    check_python(profile)
    packages = packages_of(profile.requirements)
    if packages.packages:
        packages.ensure(_say)
    node = packages.node or shutil.which("node") or "node"
    return Installed(python=sys.executable, node=node, cache=packages.directory)


def packages_of(requirements: Requirements) -> NodePackages:
    """Return what npm has to install, Node itself if the one on the path is too old."""
    packages = list(requirements.npm)
    least = requirements.node
    if least is not None and not _is_recent(shutil.which("node"), least):
        packages.append(f"node@{least}")
    return NodePackages(packages)


def _is_recent(node: str | None, least: int) -> bool:
    major = version_of(node).partition(".")[0] if node is not None else ""
    return major.isdigit() and int(major) >= least


def _say(message: str) -> None:
    print(f"chaosfuzz: {message}", file=sys.stderr, flush=True)
