"""What a process of the reference system has to know before it starts."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, get_args

from chaosfuzz.reference.defects import check_defects

Mode = Literal["at-least-once", "exactly-once-effect"]
ENVIRONMENT_PREFIX = "REFERENCE_"


class SettingsError(ValueError):
    """A setting is missing, unknown or has no meaning."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything configurable; the same object serves server, worker and admin."""

    dsn: str
    host: str = "127.0.0.1"
    port: int = 8000
    component: str = "reference"
    ledger_path: str | None = None
    defects: frozenset[str] = field(default_factory=frozenset)
    mode: Mode = "at-least-once"
    concurrency: int = 4
    max_attempts: int = 3
    lease_ms: int = 600
    heartbeat_ms: int = 120
    poll_ms: int = 100
    recovery_ms: int = 100
    backoff_ms: int = 50
    backoff_cap_ms: int = 300_000
    grace_ms: int = 2000
    request_timeout_ms: int = 800
    write_behind_ms: int = 30
    max_connections: int = 16
    handler_scale: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "defects", check_defects(self.defects))
        if self.mode not in get_args(Mode):
            message = f"unknown mode {self.mode}; known are {', '.join(get_args(Mode))}"
            raise SettingsError(message)
        for name in ("concurrency", "max_attempts", "lease_ms", "heartbeat_ms", "poll_ms"):
            if getattr(self, name) < 1:
                message = f"{name} must be at least 1"
                raise SettingsError(message)

    def has(self, defect: str) -> bool:
        """Whether the defect of that name is planted."""
        return defect in self.defects

    def to_json(self) -> str:
        """Write the settings as JSON that `from_json` reads back."""
        return json.dumps({**asdict(self), "defects": sorted(self.defects)})

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Build settings from plain values; an unknown name is an error."""
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            message = f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            raise SettingsError(message)
        if not values.get("dsn"):
            message = "the setting dsn is missing"
            raise SettingsError(message)
        return cls(**{**values, "defects": frozenset(values.get("defects", ()))})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read settings from a JSON object."""
        values = json.loads(text)
        if not isinstance(values, dict):
            message = "settings must be a JSON object"
            raise SettingsError(message)
        return cls.from_mapping(values)


def environment_values(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings found in REFERENCE_SETTINGS (JSON) and in REFERENCE_<NAME>, the latter first."""
    text = environment.get(ENVIRONMENT_PREFIX + "SETTINGS")
    values: dict[str, Any] = json.loads(text) if text else {}
    for each in fields(Settings):
        given = environment.get(ENVIRONMENT_PREFIX + each.name.upper())
        if given is None:
            continue
        if each.name == "defects":
            values["defects"] = [name for name in given.split(",") if name]
        elif isinstance(each.default, int | float):
            values[each.name] = type(each.default)(given)
        else:
            values[each.name] = given
    return values
