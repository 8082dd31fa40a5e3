"""Which faults containers can have on this machine, found out by trying."""

import os
import shutil
import socket
from collections.abc import Mapping
from contextlib import closing
from functools import cache

from chaosfuzz.domain.abilities import Ability
from chaosfuzz.domain.check_result import MISSING, OK, CheckResult
from chaosfuzz.domain.errors import ChaosfuzzError
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.image import find_compiler
from chaosfuzz.targets.docker.leftovers import find_engine_leftovers
from chaosfuzz.targets.docker.netns import random_drop, run_program


@cache
def container_abilities() -> frozenset[Ability]:
    """Return the abilities that containers have here, tried once in the life of this process.

    Raises:
        InfrastructureError: no engine answers.
        UsageError: the engine is another machine's, or the docker package is missing.

    """
    with closing(Engine()) as engine:
        return frozenset(ability for ability, problem in probe(engine).items() if not problem)


def probe(engine: Engine) -> Mapping[Ability, str]:
    """Try every ability; return why each does not work, empty if it works. Nothing remains."""
    return {
        Ability.NETWORK: "",
        Ability.FILTER: _filter_problem(),
        Ability.RESET: _reset_problem(),
        Ability.LIMITS: _limits_problem(engine),
        Ability.MEMORY: _limits_problem(engine),
        Ability.DISK: "" if os.geteuid() == 0 else "only root can write to a container's volume",
        Ability.CLOCK: "" if find_compiler() else "no C compiler; install gcc and libc6-dev",
        Ability.RESTART: "",
    }


def check_engine() -> CheckResult:
    """Ask whether a Docker engine answers, and try which faults containers can have here."""
    try:
        engine = Engine()
    except ChaosfuzzError as error:
        remedy = f"optional, for --on docker: {error.remedy}"
        return CheckResult(name="docker", state=MISSING, detail=error.cause, remedy=remedy)
    with closing(engine):
        problems = probe(engine)
        leftovers = len(find_engine_leftovers(engine))
    able = ", ".join(ability for ability, problem in problems.items() if not problem)
    remedies = [f"{each} unsupported: {problem}" for each, problem in problems.items() if problem]
    if leftovers:
        remedies.append(f"{leftovers} leftovers of dead runs; run: chaosfuzz clean")
    detail = f"engine {engine.version} at {engine.url}; can do: {able}"
    return CheckResult(name="docker", state=OK, detail=detail, remedy="; ".join(remedies))


def _filter_problem() -> str:
    if problem := _missing("nsenter", "iptables", "unshare"):
        return problem
    command = ["unshare", "-n", "iptables", "-w", "-A", "INPUT", *random_drop(0.5)]
    _, problem = run_program(command)
    return problem and f"unshare -n iptables: {problem}"


def _reset_problem() -> str:
    if problem := _missing("nsenter", "ss"):
        return problem
    # Not every kernel can reset a connection; this connection is of this process alone.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, listening.accept()[0]:
            local = client.getsockname()[1]
            _, problem = run_program(["ss", "-K", "-t", "src", f"127.0.0.1:{local}"])
            if problem:
                return f"ss: {problem}"
            try:
                client.send(b"x")
            except OSError:
                return ""
            return "the kernel resets no connections (CONFIG_INET_DIAG_DESTROY)"


def _limits_problem(engine: Engine) -> str:
    missing = [name for name in ("MemoryLimit", "CpuCfsQuota") if not engine.info.get(name, False)]
    return f"the engine has no {' and '.join(missing)}" if missing else ""


def _missing(*programs: str) -> str:
    if os.geteuid() != 0:
        return "only root can enter a container's network"
    missing = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(missing)} not found; install it" if missing else ""
