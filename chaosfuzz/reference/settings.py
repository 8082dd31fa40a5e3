"""What a process of the reference system has to know before it starts."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self, get_args

import psycopg
from psycopg.conninfo import conninfo_to_dict

from chaosfuzz.reference.defects import check_defects
from chaosfuzz.reference.password_rules import password_problem

Mode = Literal["at-least-once", "exactly-once-effect"]
ENVIRONMENT_PREFIX = "REFERENCE_"
DAY_MS = 86_400_000
RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65_535),
    "concurrency": (1, 1000),
    "max_attempts": (1, 100),
    "lease_ms": (1, DAY_MS),
    "heartbeat_ms": (1, DAY_MS),
    "poll_ms": (1, DAY_MS),
    "recovery_ms": (1, DAY_MS),
    "reconnect_ms": (1, DAY_MS),
    "backoff_ms": (0, DAY_MS),
    "backoff_cap_ms": (0, DAY_MS),
    "grace_ms": (0, DAY_MS),
    "request_timeout_ms": (1, DAY_MS),
    "write_behind_ms": (0, DAY_MS),
    "max_connections": (1, 1000),
    "handler_scale": (0, 1000),
    "clock_skew_ms": (-DAY_MS, DAY_MS),
    "breaker_failures": (1, 1_000_000),
    "breaker_open_ms": (0, DAY_MS),
    "breaker_successes": (1, 1_000_000),
}


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
    reconnect_ms: int = 100
    backoff_ms: int = 1000
    backoff_cap_ms: int = 300_000
    grace_ms: int = 2000
    request_timeout_ms: int = 800
    write_behind_ms: int = 30
    max_connections: int = 16
    handler_scale: float = 1.0
    initial_admin_password: str | None = None
    admin_username: str = "admin"
    admin_email: str = "admin@example.com"
    clock_skew_ms: int = 0
    breaker_failures: int = 5
    breaker_open_ms: int = 60_000
    breaker_successes: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "defects", check_defects(self.defects))
        for name in ("dsn", "host", "component"):
            _check_text(name, getattr(self, name))
        if self.ledger_path is not None:
            _check_text("ledger_path", self.ledger_path)
        try:
            conninfo_to_dict(self.dsn)
        except psycopg.Error as error:
            message = f"dsn is not a connection string: {str(error).strip()}"
            raise SettingsError(message) from None
        if self.mode not in get_args(Mode):
            message = f"unknown mode {self.mode}; known are {', '.join(get_args(Mode))}"
            raise SettingsError(message)
        self._check_admin()
        for name in RANGES:
            _check_number(name, getattr(self, name))
        if self.heartbeat_ms >= self.lease_ms:
            message = (
                f"heartbeat_ms ({self.heartbeat_ms}) must be less than lease_ms ({self.lease_ms})"
            )
            raise SettingsError(message)

    def _check_admin(self) -> None:
        for name in ("admin_username", "admin_email"):
            _check_text(name, getattr(self, name))
        if self.initial_admin_password is None:
            return
        _check_text("initial_admin_password", self.initial_admin_password)
        problem = password_problem(self.initial_admin_password)
        if problem:
            message = f"initial_admin_password: {problem}"
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
            message = "dsn is missing: the connection string of the database"
            raise SettingsError(message)
        defects = values.get("defects", ())
        if isinstance(defects, str) or not all(isinstance(each, str) for each in defects):
            message = "defects must be a list of names"
            raise SettingsError(message)
        return cls(**{**values, "defects": frozenset(defects)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read settings from a JSON object."""
        return cls.from_mapping(json_values(text, "the settings"))


def json_values(text: str, source: str) -> dict[str, Any]:
    """Read a JSON object; `source` says in the error where it came from."""
    try:
        values = json.loads(text)
    except ValueError as error:
        message = f"{source}: not JSON: {error}"
        raise SettingsError(message) from None
    if not isinstance(values, dict):
        message = f"{source}: not a JSON object"
        raise SettingsError(message)
    return values


def environment_values(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Settings found in REFERENCE_SETTINGS (JSON) and in REFERENCE_<NAME>, the latter first."""
    variable = ENVIRONMENT_PREFIX + "SETTINGS"
    text = environment.get(variable)
    values = json_values(text, variable) if text else {}
    for each in fields(Settings):
        variable = ENVIRONMENT_PREFIX + each.name.upper()
        given = environment.get(variable)
        if given is None:
            continue
        if each.name == "defects":
            values["defects"] = [name for name in given.split(",") if name]
        elif isinstance(each.default, int | float):
            try:
                values[each.name] = type(each.default)(given)
            except ValueError:
                message = f"{variable} must be a number, not {given!r}"
                raise SettingsError(message) from None
        else:
            values[each.name] = given
    return values


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        message = f"{name} must be printable text"
        raise SettingsError(message)


def _check_number(name: str, value: object) -> None:
    low, high = RANGES[name]
    kinds = int | float if name == "handler_scale" else int
    fits = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not (fits and low <= value <= high):  # type: ignore[operator]
        message = f"{name} must be a number from {low:g} to {high:g}, not {value!r}"
        raise SettingsError(message)
