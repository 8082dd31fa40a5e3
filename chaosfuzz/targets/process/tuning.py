"""How the reference system is set for fuzzing: hundreds of milliseconds instead of minutes."""

from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.domain.contract import BreakerBounds, Contract, Guarantee

WORKER_ENTRY = "chaosfuzz.reference.prepared:worker"
SERVER_ENTRY = "chaosfuzz.reference.prepared:server"
_SERVER_MODULE, _WORKER_MODULE = "chaosfuzz.reference.server", "chaosfuzz.reference.worker"
PREPARED = ("chaosfuzz.reference.prepared", _SERVER_MODULE, _WORKER_MODULE)


def entry_of(component: str) -> str:
    """Return what a process that has imported PREPARED calls to be a component."""
    return SERVER_ENTRY if component.startswith("server") else WORKER_ENTRY


def modules_of(component: str) -> tuple[str, ...]:
    """Return what a process imports ahead that will be this component alone."""
    role = _SERVER_MODULE if component.startswith("server") else _WORKER_MODULE
    return ("chaosfuzz.reference.prepared", role)


LEASE_MS = 600
SETTINGS: dict[str, int] = {
    "lease_ms": LEASE_MS,
    "heartbeat_ms": 120,
    "poll_ms": 100,
    "recovery_ms": 100,
    "concurrency": 2,
    "max_connections": 8,
    # Harmless, as nothing of the correct system goes by the server's own clock.
    "clock_skew_ms": 700,
    "backoff_ms": 50,
}
BREAKER = BreakerBounds(failures=4, open_ms=150, successes=2)

CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=LEASE_MS,
    recovery_ms=2000,
    acknowledgement_grace_ms=1000,
    request_timeout_ms=5000,
    health_ms=4000,
    max_attempts=3,
    breaker=BREAKER,
    slots_per_worker=SETTINGS["concurrency"],
)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Defects and mode of a run.

    With `port` the server listens there, else on a free one; `handler_scale` multiplies the time
    that handlers take which are not told how long to work.
    """

    defects: tuple[str, ...] = ()
    mode: str = "at-least-once"
    port: int | None = None
    breaker: BreakerBounds = BREAKER
    handler_scale: float = 1.0

    @property
    def contract(self) -> Contract:
        """What the reference system promises in this mode."""
        return replace(CONTRACT, guarantee=Guarantee(self.mode), breaker=self.breaker)

    def settings(
        self, *, dsn: str, component: str, port: int, ledger_path: Path
    ) -> dict[str, object]:
        """Return the settings of one component as its JSON argument has them."""
        return {
            **SETTINGS,
            "breaker_failures": self.breaker.failures,
            "breaker_open_ms": self.breaker.open_ms,
            "breaker_successes": self.breaker.successes,
            "handler_scale": self.handler_scale,
            "dsn": dsn,
            "component": component,
            "port": port,
            "ledger_path": str(ledger_path),
            "defects": list(self.defects),
            "mode": self.mode,
        }
