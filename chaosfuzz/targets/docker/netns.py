"""The packet filter and the sockets of a container's network, by programs of this machine.

`pid` is a process of the container, by its pid on this machine. Every function raises
InfrastructureError if a program is missing or fails.
"""

import subprocess
from collections.abc import Sequence

from chaosfuzz.domain.errors import InfrastructureError

# Chosen by hand: each of these programs takes milliseconds.
_TIMEOUT_S = 20.0
# With -w, iptables waits up to five seconds for another iptables to end.
_IPTABLES = ("iptables", "-w", "5")


def random_drop(share: float) -> list[str]:
    """Return the end of an iptables rule that drops this share of the packets at random."""
    return [*("-m", "statistic", "--mode", "random", "--probability", f"{share:.2f}"), "-j", "DROP"]


def drop(pid: int, peer: str, *, port: int | None, all_but: bool) -> None:
    """Drop every packet to and from an address.

    With a port: only those to and from this TCP port of the container, or with `all_but` only
    the others.
    """
    unless = ("!",) if all_but else ()
    incoming = ("-p", "tcp", *unless, "--dport", str(port)) if port else ()
    outgoing = ("-p", "tcp", *unless, "--sport", str(port)) if port else ()
    _inside(pid, [*_IPTABLES, "-A", "INPUT", "-s", peer, *incoming, "-j", "DROP"])
    _inside(pid, [*_IPTABLES, "-A", "OUTPUT", "-d", peer, *outgoing, "-j", "DROP"])


def lose(pid: int, percent: int) -> None:
    """Drop this share of all packets at random, in both directions."""
    for chain in ("INPUT", "OUTPUT"):
        _inside(pid, [*_IPTABLES, "-A", chain, *random_drop(percent / 100)])


def drop_nothing(pid: int) -> None:
    """Remove all rules from the filter table; `redirect` is in another table and stays."""
    _inside(pid, [*_IPTABLES, "-F"])


def redirect(pid: int, port: int, to: str) -> None:
    """Redirect connections to a TCP port to `to` (address:port); those that are open are reset."""
    rule = ["-p", "tcp", "--dport", str(port), "-j", "DNAT", "--to-destination", to]
    _inside(pid, [*_IPTABLES, "-t", "nat", "-A", "OUTPUT", *rule])
    _inside(pid, ["ss", "-H", "-K", "-t", "dport", "=", f":{port}"])


def reset(pid: int) -> bool:
    """Reset all established TCP connections; return False if there was none."""
    printed = _inside(pid, ["ss", "-H", "-K", "-t", "state", "established"])
    return bool(printed.strip())


def run_program(command: Sequence[str]) -> tuple[str, str]:
    """Run a program; return what it printed, and why it failed, empty if it did not."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode == 0:
        return done.stdout, ""
    reason = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
    return done.stdout, reason[:200]


def _inside(pid: int, command: Sequence[str]) -> str:
    """Run a program of this machine in the network namespace of a process."""
    entered = ["nsenter", "-t", str(pid), "-n", *command]
    printed, problem = run_program(entered)
    if problem:
        raise InfrastructureError(
            cause=f"{' '.join(entered)} failed: {problem}",
            remedy=(
                "run as root with nsenter, iptables and ss installed, or leave this fault out; "
                "chaosfuzz doctor says which faults containers can have here"
            ),
        )
    return printed
