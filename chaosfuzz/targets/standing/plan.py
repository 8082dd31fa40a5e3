"""What is to be started, and how its start went."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from chaosfuzz.domain.errors import ChaosfuzzError, InfrastructureError, UsageError


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
class Refusal:
    """An error of the supervisor, as it is sent to the process that asked."""

    cause: str
    remedy: str
    is_usage: bool

    @staticmethod
    def of(error: ChaosfuzzError) -> "Refusal":
        """Return the refusal to send for an error."""
        is_usage = isinstance(error, UsageError)
        return Refusal(cause=error.cause, remedy=error.remedy, is_usage=is_usage)

    def error(self) -> ChaosfuzzError:
        """Return the error that was sent."""
        kind = UsageError if self.is_usage else InfrastructureError
        return kind(cause=self.cause, remedy=self.remedy)


@dataclass(frozen=True, kw_only=True)
class Started:
    """What the supervisor says when it is ready, or has failed."""

    refusal: Refusal | None = None


PLANS = TypeAdapter(Plan)
STARTED = TypeAdapter(Started)
