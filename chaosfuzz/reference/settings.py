"""The settings of server, worker and admin."""

import json
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


class SettingsError(ValueError):
    """A setting is missing, unknown or has an invalid value."""


def _ranged(default: float, low: float, high: float) -> Any:  # noqa: ANN401
    return field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Raise SettingsError, or UnknownDefectError, if a value is invalid.

    Defaults and ranges are chosen by hand: short leases and heartbeats make tests fast.
    `clock_skew_ms` and `write_behind_ms` only serve defects.
    """

    dsn: str
    host: str = "127.0.0.1"
    port: int = _ranged(8000, 0, 65_535)
    component: str = "reference"
    ledger_path: str | None = None
    defects: frozenset[str] = field(default_factory=frozenset)
    mode: Mode = "at-least-once"
    concurrency: int = _ranged(4, 1, 1000)
    max_attempts: int = _ranged(3, 1, 100)
    lease_ms: int = _ranged(600, 1, DAY_MS)
    heartbeat_ms: int = _ranged(120, 1, DAY_MS)
    poll_ms: int = _ranged(100, 1, DAY_MS)
    recovery_ms: int = _ranged(100, 1, DAY_MS)
    reconnect_ms: int = _ranged(100, 1, DAY_MS)
    backoff_ms: int = _ranged(1000, 0, DAY_MS)
    backoff_cap_ms: int = _ranged(300_000, 0, DAY_MS)
    grace_ms: int = _ranged(2000, 0, DAY_MS)
    request_timeout_ms: int = _ranged(800, 1, DAY_MS)
    write_behind_ms: int = _ranged(30, 0, DAY_MS)
    max_connections: int = _ranged(16, 1, 1000)
    handler_scale: float = _ranged(1.0, 0, 1000)
    initial_admin_password: str | None = None
    admin_username: str = "admin"
    admin_email: str = "admin@example.com"
    clock_skew_ms: int = _ranged(0, -DAY_MS, DAY_MS)
    breaker_failures: int = _ranged(5, 1, 1_000_000)
    breaker_open_ms: int = _ranged(60_000, 0, DAY_MS)
    breaker_successes: int = _ranged(3, 1, 1_000_000)

    def __post_init__(self) -> None:
        object.__setattr__(self, "defects", check_defects(self.defects))
        for name in ("dsn", "host", "component", "admin_username", "admin_email"):
            _check_text(name, getattr(self, name))
        if self.ledger_path is not None:
            _check_text("ledger_path", self.ledger_path)
        try:
            conninfo_to_dict(self.dsn)
        except psycopg.Error as error:
            raise SettingsError(f"dsn is not a connection string: {str(error).strip()}") from None
        if self.mode not in get_args(Mode):
            raise SettingsError(f"unknown mode {self.mode}; known are {', '.join(get_args(Mode))}")
        if self.initial_admin_password is not None:
            _check_text("initial_admin_password", self.initial_admin_password)
            problem = password_problem(self.initial_admin_password)
            if problem:
                raise SettingsError(f"initial_admin_password: {problem}")
        for each in fields(self):
            if "range" in each.metadata:
                _check_number(each.name, getattr(self, each.name), *each.metadata["range"])
        if self.heartbeat_ms >= self.lease_ms:
            raise SettingsError(
                f"heartbeat_ms ({self.heartbeat_ms}) must be less than lease_ms ({self.lease_ms})"
            )

    def has(self, defect: str) -> bool:
        """Return whether the defect with that name is switched on."""
        return defect in self.defects

    def to_json(self) -> str:
        """Return the settings as JSON that `from_json` reads back."""
        return json.dumps({**asdict(self), "defects": sorted(self.defects)})

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return settings from plain values; raise SettingsError if any is invalid."""
        known = {each.name for each in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise SettingsError(
                f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        if not values.get("dsn"):
            raise SettingsError("dsn is missing; give the connection string of the database")
        defects = values.get("defects", ())
        if isinstance(defects, str) or not all(isinstance(each, str) for each in defects):
            raise SettingsError("defects must be a list of names")
        return cls(**{**values, "defects": frozenset(defects)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return settings from a JSON object.

        Raises SettingsError if the text is no JSON object, and as `from_mapping` does.
        """
        return cls.from_mapping(json_values(text, "the settings"))


def json_values(text: str, source: str) -> dict[str, Any]:
    """Return a JSON object as a dict; raise SettingsError, which names `source`, for other text."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{source}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{source}: not a JSON object")
    return values


def environment_values(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the settings in REFERENCE_SETTINGS (JSON) and REFERENCE_<NAME>; the latter win.

    Numbers are converted, REFERENCE_DEFECTS is split at commas; nothing else is checked.
    """
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
                raise SettingsError(f"{variable} must be a number, not {given!r}") from None
        else:
            values[each.name] = given
    return values


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise SettingsError(f"{name} must be printable text")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    kinds = int | float if name == "handler_scale" else int
    # NaN fails the comparison too.
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise SettingsError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
