"""Each fault with its healing."""

from chaosfuzz.domain.fault import Injector
from chaosfuzz.faults.connections import ConnectionCut, ConnectionHold, SessionStranding
from chaosfuzz.faults.containers import (
    ClockSkew,
    DiskFilling,
    Filtering,
    Limits,
    RestartPolicy,
    Unplugging,
)
from chaosfuzz.faults.replies import ReplyLoss
from chaosfuzz.faults.services import DatabaseStop, ServerStop
from chaosfuzz.faults.workers import BackendTermination, WorkerDeath, WorkerPause

__all__ = ["standard_injectors"]


def standard_injectors(healthy_workers: int) -> tuple[Injector, ...]:
    """Return all injectors in the order in which healing is safe: frozen first, then servers."""
    return (
        WorkerPause(),
        ConnectionHold(),
        SessionStranding(),
        Unplugging(),
        Filtering(),
        Limits(),
        DiskFilling(),
        ClockSkew(),
        RestartPolicy(),
        DatabaseStop(),
        ServerStop(),
        WorkerDeath(healthy_workers),
        BackendTermination(),
        ConnectionCut(),
        ReplyLoss(),
    )
