import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.reference.settings import Settings
from chaosfuzz.targets.standing.pace import MAX_SPEED, pace_settings


@pytest.mark.parametrize("speed", [0.1, 1, 10, MAX_SPEED])
def test_every_speed_gives_settings_that_the_system_takes(speed: float):
    settings = Settings.from_mapping({"dsn": "dbname=any", **pace_settings(speed)})
    assert settings.heartbeat_ms * 3 <= settings.lease_ms
    assert settings.handler_scale == pytest.approx(1 / speed)


def test_speed_divides_the_times_of_the_starter():
    normal, quick = pace_settings(1), pace_settings(10)
    assert (normal["poll_ms"], quick["poll_ms"]) == (5000, 500)
    assert normal["concurrency"] == quick["concurrency"] == 4


@pytest.mark.parametrize("speed", [0, -1, MAX_SPEED + 1])
def test_a_speed_out_of_range_is_refused(speed: float):
    with pytest.raises(UsageError, match="speed"):
        pace_settings(speed)
