"""What services there are and how each is."""

from dataclasses import dataclass
from typing import Literal

SERVER = "server"
DATABASE = "database"
ALL_WORKERS = "all-workers"

Condition = Literal["running", "killed", "stopped", "exited"]


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """A service as it is now. `exited`: it ended by itself, and is not started again."""

    name: str
    condition: Condition
    pid: int | None = None
    exit_code: int | None = None
    up_s: float | None = None
    starts: int = 1


@dataclass(frozen=True, kw_only=True)
class Status:
    """Every service, the database first."""

    services: tuple[ServiceState, ...]

    def running_workers(self) -> tuple[str, ...]:
        """Return the names of the workers that run."""
        running = (s.name for s in self.services if s.condition == "running")
        return tuple(name for name in running if name not in {SERVER, DATABASE})
