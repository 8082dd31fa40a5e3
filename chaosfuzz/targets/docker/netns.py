"""The packet filter and the sockets of a container's network, by programs of this machine."""

import subprocess
from collections.abc import Sequence

from chaosfuzz.domain.errors import InfrastructureError

_TIMEOUT_S = 10.0
# Waits for its lock, so that two at a time both succeed.
_IPTABLES = ("iptables", "-w", "5")


def drop(pid: int, peer: str, *, port: int | None, all_but: bool) -> None:
    """Drop every packet to and from an address; with a port, only its own ones, or all but them."""
    unless = ("!",) if all_but else ()
    own = ("-p", "tcp", *unless, "--dport", str(port)) if port else ()
    back = ("-p", "tcp", *unless, "--sport", str(port)) if port else ()
    _inside(pid, [*_IPTABLES, "-A", "INPUT", "-s", peer, *own, "-j", "DROP"])
    _inside(pid, [*_IPTABLES, "-A", "OUTPUT", "-d", peer, *back, "-j", "DROP"])


def lose(pid: int, percent: int) -> None:
    """Drop so many of a hundred packets at random, both ways."""
    chance = ("-m", "statistic", "--mode", "random", "--probability", f"{percent / 100:.2f}")
    for chain in ("INPUT", "OUTPUT"):
        _inside(pid, [*_IPTABLES, "-A", chain, *chance, "-j", "DROP"])


def drop_nothing(pid: int) -> None:
    """Take all rules back: there are none but those made here."""
    _inside(pid, [*_IPTABLES, "-F"])


def redirect(pid: int, port: int, to: str) -> None:
    """Lead what goes out to a port to an address and port instead; what is open is reset."""
    rule = ["-p", "tcp", "--dport", str(port), "-j", "DNAT", "--to-destination", to]
    _inside(pid, [*_IPTABLES, "-t", "nat", "-A", "OUTPUT", *rule])
    _inside(pid, ["ss", "-H", "-K", "-t", "dport", "=", f":{port}"])


def reset(pid: int) -> bool:
    """Reset all established connections; False if there was none."""
    told = _inside(pid, ["ss", "-H", "-K", "-t", "state", "established"])
    return bool(told.strip())


def _inside(pid: int, command: Sequence[str]) -> str:
    """Run a program of this machine in the network namespace of a process."""
    entered = ["nsenter", "-t", str(pid), "-n", *command]
    try:
        done = subprocess.run(
            entered, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfrastructureError(
            cause=f"{' '.join(entered)} did not run: {error}",
            remedy=(
                "install nsenter, iptables and ss, or leave this fault out; chaosfuzz doctor says "
                "what containers can do here"
            ),
        ) from error
    if done.returncode != 0:
        raise InfrastructureError(
            cause=f"{' '.join(entered)} failed: {done.stderr.strip() or done.stdout.strip()}",
            remedy=(
                "run as root, or leave this fault out; chaosfuzz doctor says what containers can "
                "do here"
            ),
        )
    return done.stdout
