"""What is to be started, and how its start went."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be started; `port` None is any that is free, `data` keeps the database."""

    out: Path
    port: int | None
    workers: int
    speed: float = 1.0
    defects: tuple[str, ...] = ()
    data: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Started:
    """What the supervisor says when it is ready, or has failed."""

    error: str = ""
    is_usage: bool = False


PLANS = TypeAdapter(Plan)
STARTED = TypeAdapter(Started)
