"""Installs npm packages into the user's cache, once for each set of them."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.keeper import Keeper

TIMEOUT_S = 600.0
_STAMP = "stamp.json"
_LOG = "npm.log"
_PARTIAL = ".partial-"
_VERSION_TIMEOUT_S = 20.0
_REASON_CHARACTERS = 600


class NodePackages:
    """Packages as npm takes them (`name@version`) in the cache; others are another copy.

    Installed beside and renamed when complete, so what is there is whole. One of them may be
    `node` itself.
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
        """The Node among them, None if there is none."""
        own = any(name == "node" for name, _ in map(_parts, self.packages))
        return str(self.directory / "node_modules" / ".bin" / "node") if own else None

    @property
    def named(self) -> str:
        """Their names and versions, to be read."""
        return ", ".join(" ".join(_parts(package)).rstrip() for package in self.packages)

    def is_there(self) -> bool:
        """Say whether all of them are installed."""
        try:
            stamp: Any = json.loads((self.directory / _STAMP).read_text())
        except (OSError, ValueError):
            return False
        return bool(stamp == {"packages": list(self.packages)})

    def ensure(self, say: Callable[[str], None]) -> None:
        """Install what is missing; `say` hears what goes on.

        Raises:
            InfrastructureError: npm is missing, fails or takes too long, or the cache is not
                writable.

        """
        if self.is_there():
            return
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            with self._alone():
                if not self.is_there():
                    self._install(say)
        except OSError as error:
            raise InfrastructureError(
                cause=f"cannot install {self.named} into {self._root}: {error}",
                remedy="make room there or set CHAOSFUZZ_CACHE to a directory that can be written",
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process install; the lock ends with its holder, however that ends."""
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in self._root.glob(f"{_PARTIAL}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            yield

    def _install(self, say: Callable[[str], None]) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise InfrastructureError(
                cause=f"npm is not on PATH, and {self.named} are not installed yet",
                remedy="install Node.js with npm (Debian: apt-get install npm), or put it on PATH",
            )
        say(
            f"installing {self.named} into {self.directory} with npm; once, about half a "
            f"minute, {self._timeout_s:.0f} s at most"
        )
        partial = self._root / f"{_PARTIAL}{os.getpid()}"
        partial.mkdir()
        try:
            # The package of Node fetches its program by a script.
            manifest = {"private": True, "allowScripts": {"node": True}}
            (partial / "package.json").write_text(json.dumps(manifest))
            self._run_npm(npm, partial)
            self._check(partial)
            (partial / _STAMP).write_text(json.dumps({"packages": self.packages}, indent=1))
            shutil.rmtree(self.directory, ignore_errors=True)
            partial.rename(self.directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        say(f"installed {self.named}")

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
        said = (partial / _LOG).read_text(errors="replace").strip()[-_REASON_CHARACTERS:]
        what = (
            f"took longer than {self._timeout_s:.0f} s"
            if code is None
            else f"failed with exit code {code}"
        )
        raise InfrastructureError(
            cause=f"npm install of {self.named} {what}: {said or 'it said nothing'}",
            remedy="check that npm reaches its registry (npm ping), then try again",
        )

    def _check(self, partial: Path) -> None:
        """Ask what is there for its version: npm may have been told not to run set-up scripts."""
        for name, wanted in map(_parts, self.packages):
            if name == "node":
                found = version_of(partial / "node_modules" / ".bin" / "node")
            else:
                manifest = partial / "node_modules" / name / "package.json"
                found = json.loads(manifest.read_text())["version"] if manifest.exists() else "none"
            if _is_version(wanted) and not f"{found}.".startswith(f"{wanted}."):
                raise InfrastructureError(
                    cause=f"npm installed {name} {found} where {wanted} is wanted",
                    remedy=(
                        "see that npm may run install scripts (npm config get ignore-scripts says "
                        "false), then try again"
                    ),
                )


def cache_root() -> Path:
    """Return where caches of profiles are: CHAOSFUZZ_CACHE, or the user's cache directory."""
    given = os.environ.get("CHAOSFUZZ_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says that a relative path is to be ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "chaosfuzz"


def version_of(program: Path | str) -> str:
    """Return what a Node or npm says that its version is, or why it does not."""
    try:
        said = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"that does not run ({error})"
    return said.stdout.strip().removeprefix("v")


def _parts(package: str) -> tuple[str, str]:
    """Return name and version of what npm takes; a scope begins with an @, too."""
    name, at, version = package.rpartition("@")
    return (name, version) if at and name else (package, "")


def _is_version(text: str) -> bool:
    return bool(text) and all(part.isdigit() for part in text.split("."))
