"""What a profile needs installed: looked for, and from npm installed into the user's cache."""

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
    requirements = profile
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
    packages = packages_of(profile)
    if packages.packages:
        packages.ensure(_say)
    node = packages.node or shutil.which("node") or "node"
    return Installed(python=sys.executable, node=node, cache=packages.directory)


def check_requirements(profile: Profile) -> CheckResult:
    """Say whether what a profile needs is installed; nothing is installed."""
    name = profile.name
    try:
        check_python(profile)
    except UsageError as error:
        remedy = f"optional: {error.remedy}"
        return CheckResult(name=name, state=MISSING, detail=error.cause, remedy=remedy)
    packages = packages_of(profile)
    if not packages.packages or packages.is_there():
        found = [*profile.python, packages.named]
        detail = f"{', '.join(filter(None, found)) or 'nothing that is not there'}: installed"
        return CheckResult(name=name, state=OK, detail=detail)
    said = {program: _version(program) for program in ("node", "npm")}
    # An npm that is too new for its Node says so in place of its version.
    lacking = [f"{each} {text}" for each, text in said.items() if not text[:1].isdigit()]
    remedy = f"optional: done at first use, as by chaosfuzz fuzz {name}"
    if lacking:
        remedy = (
            f"optional: {'; '.join(lacking)}: install Node.js with npm (Debian: apt-get install "
            "npm), once; the packages bring the Node that they want"
        )
    detail = f"not installed yet: {packages.named}"
    return CheckResult(name=name, state=MISSING, detail=detail, remedy=remedy)


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


def _version(program: str) -> str:
    path = shutil.which(program)
    return "is not on PATH" if path is None else version_of(path)


def _say(message: str) -> None:
    print(f"chaosfuzz: {message}", file=sys.stderr, flush=True)
