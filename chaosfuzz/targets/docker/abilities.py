"""What this machine's engine and kernel can do to containers, found out by trying."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chaosfuzz.domain.abilities import Ability
from chaosfuzz.targets.docker.engine import Engine

_TIMEOUT_S = 20.0
_RULE = ("-m", "statistic", "--mode", "random", "--probability", "0.5", "-j", "DROP")


@dataclass(frozen=True, kw_only=True)
class ProbedAbility:
    """One thing that can be done to containers, or the reason why it cannot here."""

    ability: Ability
    problem: str = ""

    @property
    def works(self) -> bool:
        """Say whether it can be done."""
        return not self.problem


@cache
def probed_abilities() -> tuple[ProbedAbility, ...]:
    """Return all abilities, tried once in the life of this process.

    Raises:
        InfrastructureError: no engine answers.
        UsageError: the engine is another machine's, or the docker package is missing.

    """
    engine = Engine()
    try:
        return probe(engine)
    finally:
        engine.close()


def probe(engine: Engine) -> tuple[ProbedAbility, ...]:
    """Try everything; nothing of it remains."""
    probes: dict[Ability, Callable[[Engine], str]] = {
        Ability.NETWORK: lambda _engine: "",
        Ability.FILTER: _packet_filter,
        Ability.RESET: _reset,
        Ability.LIMITS: _limits,
        Ability.MEMORY: _limits,
        Ability.DISK: _disk,
        Ability.CLOCK: _clock,
        Ability.RESTART: lambda _engine: "",
    }
    return tuple(
        ProbedAbility(ability=ability, problem=look(engine)) for ability, look in probes.items()
    )


def _packet_filter(_engine: Engine) -> str:
    if problem := _lacking("nsenter", "iptables", "unshare"):
        return problem
    return _problem_of(["unshare", "-n", "iptables", "-w", "-A", "INPUT", *_RULE])


def _reset(_engine: Engine) -> str:
    if problem := _lacking("nsenter", "ss"):
        return problem
    # A connection of this process alone: the kernel must be built to reset it.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client, listening.accept()[0]:
            local = client.getsockname()[1]
            problem = _problem_of(["ss", "-K", "-t", "src", f"127.0.0.1:{local}"])
            if problem:
                return problem
            try:
                client.send(b"x")
            except OSError:
                return ""
            return "the kernel resets no connections (CONFIG_INET_DIAG_DESTROY)"


def _limits(engine: Engine) -> str:
    lacking = [name for name in ("MemoryLimit", "CpuCfsQuota") if not engine.info.get(name, False)]
    return f"the engine has no {' and '.join(lacking)}" if lacking else ""


def _disk(_engine: Engine) -> str:
    return "" if os.geteuid() == 0 else "only root can write to a container's volume"


def _clock(_engine: Engine) -> str:
    compilers = ("cc", "gcc")
    return "" if any(map(shutil.which, compilers)) else "no C compiler; install gcc and libc6-dev"


def _lacking(*programs: str) -> str:
    if os.geteuid() != 0:
        return "only root can enter a container's network"
    missing = [program for program in programs if shutil.which(program) is None]
    return f"{' and '.join(missing)} not found; install it" if missing else ""


def _problem_of(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"{Path(command[0]).name}: {done.stderr.strip()[:200]}"
