"""Settings and what is refused."""

import pytest

from chaosfuzz.reference.defects import DEFECTS, UnknownDefectError
from chaosfuzz.reference.settings import Settings, SettingsError, environment_values


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "dsn is missing"),
        ({"dsn": "nonsense"}, "dsn is not a connection string"),
        ({"dsn": 7}, "dsn must be printable text"),
        ({"dsn": "host=x", "prot": 1}, "unknown setting prot; known are"),
        ({"dsn": "host=x", "port": 70_000}, "port must be a number from 0 to 65535, not 70000"),
        ({"dsn": "host=x", "port": "80"}, "port must be a number"),
        ({"dsn": "host=x", "poll_ms": 0}, "poll_ms must be a number from 1"),
        ({"dsn": "host=x", "lease_ms": True}, "lease_ms must be a number"),
        ({"dsn": "host=x", "handler_scale": float("nan")}, "handler_scale must be a number"),
        ({"dsn": "host=x", "lease_ms": 100}, "must be less than lease_ms"),
        ({"dsn": "host=x", "mode": "never"}, "unknown mode never; known are at-least-once"),
        ({"dsn": "host=x", "defects": "no-heartbeat"}, "defects must be a list"),
    ],
)
def test_bad_settings_are_named(values: dict[str, object], expected: str):
    with pytest.raises(SettingsError, match=expected):
        Settings.from_mapping(values)


def test_unknown_defects_are_named_with_the_known_ones():
    with pytest.raises(UnknownDefectError, match=r"unknown defect typo; known are ack-before-run"):
        Settings.from_mapping({"dsn": "host=x", "defects": ["typo", "no-heartbeat"]})


def test_settings_survive_json():
    settings = Settings(dsn="host=x", defects=frozenset({"no-heartbeat"}), port=1)
    assert Settings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(("text", "expected"), [("{", "not JSON"), ("[]", "not a JSON object")])
def test_bad_json_is_named(text: str, expected: str):
    with pytest.raises(SettingsError, match=expected):
        Settings.from_json(text)


def test_the_environment_is_read_by_name_over_json():
    environment = {
        "REFERENCE_SETTINGS": '{"dsn": "host=x", "port": 1, "poll_ms": 7}',
        "REFERENCE_PORT": "2",
        "REFERENCE_DEFECTS": "no-heartbeat,retry-never",
    }
    settings = Settings.from_mapping(environment_values(environment))
    assert (settings.port, settings.poll_ms) == (2, 7)
    assert settings.defects == {"no-heartbeat", "retry-never"}


def test_a_bad_number_in_the_environment_is_named():
    with pytest.raises(SettingsError, match="REFERENCE_PORT must be a number, not 'http'"):
        environment_values({"REFERENCE_PORT": "http"})


def test_every_defect_says_what_it_does_and_mirrors():
    assert len(DEFECTS) == 36
    for name, defect in DEFECTS.items():
        assert name == defect.name
        assert defect.summary.endswith(".")
        assert defect.mirrors.endswith(".")
