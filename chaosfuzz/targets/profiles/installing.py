"""Checks the packages that a profile requires; those from npm are installed into a cache."""

import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from chaosfuzz.domain.check_result import MISSING, OK, CheckResult
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.targets.profiles.model import Profile, Requirements
from chaosfuzz.targets.profiles.node_packages import NodePackages, version_of


@dataclass(frozen=True, kw_only=True)
class Installed:
    """The interpreters for a profile's programs, and the directory into which npm installs."""

    python: str
    node: str
    cache: Path

    @property
    def modules(self) -> str:
        """The path of npm's packages for NODE_PATH, empty if npm installed none."""
        found = self.cache / "node_modules"
        return str(found) if found.is_dir() else ""


def check_python(profile: Profile) -> None:
    """Check that the Python distributions of the profile are installed in its versions.

    Raises UsageError if one is missing or has another version.
    """
    remedy = f"pip install {' '.join(repr(word) for word in profile.python)}"
    if profile.extra:
        remedy = f"pip install 'chaosfuzz[{profile.extra}]'"
    for wanted in profile.python:
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
    """Check the Python distributions of a profile, and install its npm packages if missing.

    Progress of npm is printed to standard error.

    Raises UsageError if a Python distribution is missing or has another version, and
    InfrastructureError if npm is missing, failed or took too long.
    """
    check_python(profile)
    packages = packages_of(profile)
    if packages.packages:
        packages.ensure(_print_progress)
    node = packages.node or shutil.which("node") or "node"
    return Installed(python=sys.executable, node=node, cache=packages.directory)


def check_requirements(profile: Profile) -> CheckResult:
    """Return OK if all that a profile requires is installed, else MISSING. Install nothing."""
    name = profile.name
    try:
        check_python(profile)
    except UsageError as error:
        remedy = f"optional: {error.remedy}"
        return CheckResult(name=name, state=MISSING, detail=error.cause, remedy=remedy)
    packages = packages_of(profile)
    if not packages.packages or packages.are_installed():
        found = [*profile.python, packages.names]
        detail = f"installed: {', '.join(filter(None, found)) or 'no package is required'}"
        return CheckResult(name=name, state=OK, detail=detail)
    versions = {program: _version(program) for program in ("node", "npm")}
    # An npm that is too new for its Node prints that in place of its version.
    lacking = [f"{each} {text}" for each, text in versions.items() if not text[:1].isdigit()]
    remedy = f"optional: chaosfuzz installs them at first use, as by chaosfuzz fuzz {name}"
    if lacking:
        remedy = (
            f"optional: {'; '.join(lacking)}: install Node.js with npm (Debian: apt-get install "
            "npm); npm then installs the version of Node that the profile requires"
        )
    detail = f"not installed yet: {packages.names}"
    return CheckResult(name=name, state=MISSING, detail=detail, remedy=remedy)


def packages_of(requirements: Requirements) -> NodePackages:
    """Return the npm packages, with Node itself if the one on PATH is missing or too old."""
    packages = list(requirements.npm)
    least = requirements.node
    if least is not None and not _is_recent(shutil.which("node"), least):
        packages.append(f"node@{least}")
    return NodePackages(packages)


def _is_recent(node: str | None, least: int) -> bool:
    major = version_of(node).partition(".")[0] if node is not None else ""
    return major.isdigit() and int(major) >= least


def _version(program: str) -> str:
    path = shutil.which(program)
    return "is not on PATH" if path is None else version_of(path)


def _print_progress(message: str) -> None:
    print(f"chaosfuzz: {message}", file=sys.stderr, flush=True)
