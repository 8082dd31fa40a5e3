"""How the reference system is set for fuzzing: hundreds of milliseconds instead of minutes."""

from dataclasses import dataclass, replace
from pathlib import Path

from chaosfuzz.domain.contract import Contract, Guarantee

WORKER_ENTRY = "chaosfuzz.reference.prepared:worker"
SERVER_ENTRY = "chaosfuzz.reference.prepared:server"
PREPARED = ("chaosfuzz.reference.prepared",)

LEASE_MS = 600
SETTINGS: dict[str, int] = {
    "lease_ms": LEASE_MS,
    "heartbeat_ms": 120,
    "poll_ms": 100,
    "recovery_ms": 100,
    "concurrency": 2,
}

CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=LEASE_MS,
    recovery_ms=2000,
    acknowledgement_grace_ms=1000,
    request_timeout_ms=5000,
    health_ms=4000,
    max_attempts=3,
)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Defects and mode of a run."""

    defects: tuple[str, ...] = ()
    mode: str = "at-least-once"

    @property
    def contract(self) -> Contract:
        """What the reference system promises in this mode."""
        return replace(CONTRACT, guarantee=Guarantee(self.mode))

    def settings(
        self, *, dsn: str, component: str, port: int, ledger_path: Path
    ) -> dict[str, object]:
        """Return the settings of one component as its JSON argument has them."""
        return {
            **SETTINGS,
            "dsn": f"{dsn} application_name={component}",
            "component": component,
            "port": port,
            "ledger_path": str(ledger_path),
            "defects": list(self.defects),
            "mode": self.mode,
        }
