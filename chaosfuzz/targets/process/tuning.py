"""The reference system's settings for fuzzing: times in hundreds of milliseconds."""

from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.domain.contract import BreakerBounds, Contract, Guarantee

_PREPARED = "chaosfuzz.reference.prepared"
PREPARED = (_PREPARED, "chaosfuzz.reference.server", "chaosfuzz.reference.worker")


def entry_of(component: str) -> str:
    """Return the `module:function` that runs a component in a process with PREPARED imported."""
    return f"{_PREPARED}:{component.partition('-')[0]}"


def modules_of(component: str) -> tuple[str, ...]:
    """Return the modules to import ahead in a process that will be this component alone."""
    return _PREPARED, f"chaosfuzz.reference.{component.partition('-')[0]}"


# Chosen by hand, as all times here: short, and five heartbeats long. A worker that is late for a
# heartbeat on a busy machine keeps its lease.
LEASE_MS = 600
SETTINGS: dict[str, int] = {
    "lease_ms": LEASE_MS,
    "heartbeat_ms": 120,
    "poll_ms": 100,
    "recovery_ms": 100,
    "concurrency": 2,
    "max_connections": 8,
    # The server's clock is wrong on purpose: the correct system never uses it.
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
    """Defects and guarantee (`mode`) of a run.

    The server listens on `port`, by default on a free one. `handler_scale` multiplies how long a
    handler works if its task's payload has no duration.
    """

    defects: tuple[str, ...] = ()
    mode: str = "at-least-once"
    port: int | None = None
    breaker: BreakerBounds = BREAKER
    handler_scale: float = 1.0

    @property
    def contract(self) -> Contract:
        """The reference system's contract in this mode."""
        return replace(CONTRACT, guarantee=Guarantee(self.mode), breaker=self.breaker)

    def settings(
        self, *, dsn: str, component: str, port: int, ledger_path: Path
    ) -> dict[str, object]:
        """Return one component's settings, which it reads as JSON."""
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
