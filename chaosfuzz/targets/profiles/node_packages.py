"""Installs sets of npm packages into the user's cache, each set once."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import Keeper

# Chosen by hand; an install takes about half a minute.
TIMEOUT_S = 600.0
_STAMP = "stamp.json"
_LOG = "npm.log"
_PARTIAL = ".partial-"
_VERSION_TIMEOUT_S = 20.0
_REASON_CHARACTERS = 600


class NodePackages:
    """A set of npm packages (`name@version`) and its directory in the cache.

    Each set has a directory of its own, which appears only when the install is complete. The
    package `node` is Node itself. `timeout_s` bounds the run of npm.
    """

    def __init__(
        self, packages: Sequence[str], cache: Path | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.packages = tuple(sorted(set(packages)))
        self._timeout_s = timeout_s
        self._root = (cache or cache_root()) / "npm"
        digest = hashlib.sha256(json.dumps(self.packages).encode()).hexdigest()
        self.directory = self._root / digest[:16]

    @property
    def node(self) -> str | None:
        """The path of Node if it is one of the packages, else None."""
        own = any(name == "node" for name, _ in map(_name_and_version, self.packages))
        return str(self.directory / "node_modules" / ".bin" / "node") if own else None

    @property
    def names(self) -> str:
        """The packages for a message: "name version, name version"."""
        return ", ".join(" ".join(_name_and_version(package)).rstrip() for package in self.packages)

    def are_installed(self) -> bool:
        """Tell whether all packages are installed."""
        return (self.directory / _STAMP).is_file()

    def ensure(self, report: Callable[[str], None]) -> None:
        """Install the packages unless they are installed; `report` is called with progress.

        Waits while another process installs.

        Raises InfrastructureError if npm is missing, fails or takes too long, or the cache is not
        writable.
        """
        if self.are_installed():
            return
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with self._locked():
                if not self.are_installed():
                    self._install(report)
        except OSError as error:
            raise InfrastructureError(
                cause=f"cannot install {self.names} into {self._root}: {error}",
                remedy="make room there or set CHAOSFUZZ_CACHE to a directory that can be written",
            ) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the cache's lock; remove what killed installs left. A lock ends with its process."""
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in self._root.glob(f"{_PARTIAL}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def _install(self, report: Callable[[str], None]) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise InfrastructureError(
                cause=f"npm is not on PATH, and {self.names} are not installed yet",
                remedy="install Node.js with npm (Debian: apt-get install npm), or put it on PATH",
            )
        report(
            f"installing {self.names} into {self.directory} with npm; once, about half a "
            f"minute, {self._timeout_s:.0f} s at most"
        )
        partial = self._root / f"{_PARTIAL}{os.getpid()}"
        partial.mkdir()
        try:
            # The package `node` downloads its program in an install script.
            manifest = {"private": True, "allowScripts": {"node": True}}
            (partial / "package.json").write_text(json.dumps(manifest))
            self._run_npm(npm, partial)
            self._check(partial)
            (partial / _STAMP).write_text(json.dumps({"packages": self.packages}, indent=1))
            shutil.rmtree(self.directory, ignore_errors=True)
            partial.rename(self.directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        report(f"installed {self.names}")

    def _run_npm(self, npm: str, partial: Path) -> None:
        options = ("--no-audit", "--no-fund", "--no-package-lock", "--omit=dev")
        with Keeper() as keeper:
            child = keeper.execute(
                [npm, "install", *options, *self.packages],
                environment=dict(os.environ),
                log_path=partial / _LOG,
                working_directory=partial,
            )
            code = child.wait(self._timeout_s)
        if code == 0:
            return
        output = (partial / _LOG).read_text(errors="replace").strip()[-_REASON_CHARACTERS:]
        ending = f"failed with exit code {code}"
        if code is None:
            ending = f"took longer than {self._timeout_s:.0f} s"
        raise InfrastructureError(
            cause=f"npm install of {self.names} {ending}: {output or 'it printed nothing'}",
            remedy="check that npm reaches its registry (npm ping), then try again",
        )

    def _check(self, partial: Path) -> None:
        """Compare the installed versions; npm may be configured not to run install scripts."""
        for name, wanted in map(_name_and_version, self.packages):
            if name == "node":
                found = version_of(partial / "node_modules" / ".bin" / "node")
            else:
                manifest = partial / "node_modules" / name / "package.json"
                found = json.loads(manifest.read_text())["version"] if manifest.exists() else "none"
            if _is_version(wanted) and not f"{found}.".startswith(f"{wanted}."):
                raise InfrastructureError(
                    cause=f"npm installed {name} {found} where {wanted} is required",
                    remedy=(
                        "let npm run install scripts (npm config get ignore-scripts must print "
                        "false), then try again"
                    ),
                )


def cache_root() -> Path:
    """Return the cache's directory: CHAOSFUZZ_CACHE, or else chaosfuzz in the user's cache."""
    given = os.environ.get("CHAOSFUZZ_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification has a relative path ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "chaosfuzz"


def version_of(program: Path | str) -> str:
    """Return the version that Node or npm prints, or as text why it prints none."""
    try:
        completed = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run ({error})"
    return completed.stdout.strip().removeprefix("v")


def _name_and_version(package: str) -> tuple[str, str]:
    """Split `name@version`, in which an @ also begins a scope; the version may be empty."""
    name, at, version = package.rpartition("@")
    return (name, version) if at and name else (package, "")


def _is_version(text: str) -> bool:
    return bool(text) and all(part.isdigit() for part in text.split("."))
