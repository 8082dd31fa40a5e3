"""What the machine around chaosfuzz is like: interpreter, kernel, ports, cores, files."""

import os
import platform
import shutil
import sys
import tempfile
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from chaosfuzz.campaign.targets import ready_profiles
from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError
from chaosfuzz.targets.docker.abilities import probe
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.leftovers import find_engine_leftovers
from chaosfuzz.targets.keeper.credentials import become_subreaper, probe_unprivileged_way
from chaosfuzz.targets.postgres.ports import ReservedPort
from chaosfuzz.targets.profiles import load_profile
from chaosfuzz.targets.profiles.installing import packages_of
from chaosfuzz.targets.profiles.node_packages import NodePackages, version_of

OK, MISSING, BROKEN = "ok", "missing", "broken"
OLDEST_PYTHON = (3, 11)
_WAYS = {
    "not-root": "not running as root; nothing to give up",
    "user-namespace": "running as root; PostgreSQL is run as an ordinary user of a user namespace",
    "setuid": "running as root; PostgreSQL is run as the account nobody",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `missing` is optional; `broken` keeps `fuzz` from running."""

    name: str
    state: str
    detail: str
    remedy: str = ""


def python() -> Finding:
    """Look at the interpreter and the system."""
    found = f"{platform.python_implementation()} {platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON or not sys.platform.startswith("linux"):
        remedy = "use CPython 3.11 or later on Linux"
        return Finding(
            name="python", state=BROKEN, detail=f"{found}, {sys.platform}", remedy=remedy
        )
    return Finding(name="python", state=OK, detail=found)


def privilege() -> Finding:
    """Find out how root is given up."""
    return Finding(name="privilege", state=OK, detail=_WAYS[probe_unprivileged_way()])


def processes() -> Finding:
    """Try the system calls that processes are kept by."""
    os.close(os.pidfd_open(os.getpid()))
    pid = os.fork()
    if pid == 0:
        # In a child: this process must not adopt orphans it would never reap.
        exit_code = 1
        try:
            become_subreaper()
            exit_code = 0
        finally:
            os._exit(exit_code)
    if os.waitpid(pid, 0)[1] != 0:
        raise InfrastructureError(
            cause="the kernel refuses prctl(PR_SET_CHILD_SUBREAPER)",
            remedy="allow this call in the sandbox or container that chaosfuzz runs in",
        )
    return Finding(name="processes", state=OK, detail="pidfd and subreaper work")


def ports() -> Finding:
    """Find a free port."""
    reserved = ReservedPort()
    try:
        detail = f"free ones on 127.0.0.1, {reserved.number} for example"
    finally:
        reserved.close()
    return Finding(name="ports", state=OK, detail=detail)


def cores() -> Finding:
    """Count cores."""
    cores = len(os.sched_getaffinity(0))
    lanes = max(1, min(2, cores))
    return Finding(name="cores", state=OK, detail=f"{cores}; fuzz uses {lanes} lanes by default")


def results(out: Path) -> Finding:
    """Try to write where results go."""
    existing = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise InfrastructureError(
            cause=f"cannot write {existing}: {error.strerror}", remedy="choose another with --out"
        ) from error
    detail = f"go to {out.absolute()}, {shutil.disk_usage(existing).free >> 20} MB free"
    return Finding(name="results", state=OK, detail=detail)


def docker() -> Finding:
    """Ask whether a Docker engine answers, and try what it and the kernel can do to containers."""
    try:
        engine = Engine()
    except ChaosfuzzError as error:
        remedy = f"optional, for --on docker: {error.remedy}"
        return Finding(name="docker", state=MISSING, detail=error.cause, remedy=remedy)
    with closing(engine):
        abilities = probe(engine)
        leftovers = len(find_engine_leftovers(engine))
    able = ", ".join(probed.ability for probed in abilities if probed.works)
    lacking = [
        f"{each.ability} unsupported: {each.problem}" for each in abilities if not each.works
    ]
    if leftovers:
        lacking.append(f"{leftovers} leftovers of dead runs; run: chaosfuzz clean")
    detail = f"engine {engine.version} at {engine.url}; can do: {able}"
    return Finding(name="docker", state=OK, detail=detail, remedy="; ".join(lacking))


def node() -> Finding:
    """Look for Node and npm, which install what the Node queues run on, Node included."""
    found = {program: shutil.which(program) for program in ("node", "npm")}
    said = {name: version_of(path) for name, path in found.items() if path is not None}
    lacking = [f"{name} is not on PATH" for name, path in found.items() if path is None]
    # An npm that is too new for its Node says so in place of its version.
    lacking += [f"{name} {text}" for name, text in said.items() if not text[:1].isdigit()]
    waiting = [name for name, packages in _node_queues().items() if not packages.is_there()]
    if not lacking or not waiting:
        detail = ", ".join(f"{name} {text}" for name, text in said.items()) or "not on PATH"
        own = "not needed: " if lacking else ""
        detail = f"{detail}; {own}the Node queues have a Node of their own"
        return Finding(name="node", state=OK, detail=detail)
    return Finding(
        name="node",
        state=MISSING,
        detail=f"{'; '.join(lacking)}: {', '.join(waiting)} cannot be installed",
        remedy="optional: install Node.js with npm (Debian: apt-get install npm), once; they bring "
        "the Node that they want",
    )


def node_queues() -> Finding:
    """Look for the npm packages of the ready targets in the cache."""
    name = "node queues"
    every = _node_queues()
    waiting = {target: each.named for target, each in every.items() if not each.is_there()}
    if not waiting:
        return Finding(name=name, state=OK, detail=f"{', '.join(every)} are installed")
    detail = "; ".join(f"{target}: {named}" for target, named in waiting.items())
    return Finding(
        name=name,
        state=MISSING,
        detail=f"not installed yet: {detail}",
        remedy=f"optional: done at first use, as by chaosfuzz fuzz {next(iter(waiting))}",
    )


def _node_queues() -> dict[str, NodePackages]:
    """Return the npm packages of each ready target that has some."""
    every = {
        name: packages_of(load_profile(path).requirements)
        for name, path in ready_profiles().items()
    }
    return {name: packages for name, packages in every.items() if packages.packages}


def django_q2() -> Finding:
    """Look for django-q2."""
    try:
        found = version("django-q2")
    except PackageNotFoundError:
        remedy = "optional: pip install 'chaosfuzz[django-q2]'"
        return Finding(name="django-q2", state=MISSING, detail="not installed", remedy=remedy)
    detail = f"{found} with Django {version('Django')}"
    return Finding(name="django-q2", state=OK, detail=detail)
