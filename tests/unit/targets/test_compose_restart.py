"""When a compose file wants its workers back."""

import pytest

from chaosfuzz.targets.compose.project import restart_policy


@pytest.mark.parametrize(
    ("service", "policy"),
    [
        ({}, "never"),
        ({"restart": "no"}, "never"),
        ({"restart": "always"}, "always"),
        ({"restart": "unless-stopped"}, "always"),
        ({"restart": "on-failure"}, "on-failure"),
        ({"restart": "on-failure:3"}, "on-failure"),
        ({"deploy": {"replicas": 2}}, "never"),
        ({"deploy": {"restart_policy": {"condition": "none"}}}, "never"),
        ({"deploy": {"restart_policy": {"condition": "on-failure"}}}, "on-failure"),
        ({"deploy": {"restart_policy": {"condition": "any"}}}, "always"),
        ({"deploy": {"restart_policy": {"delay": "1s"}}}, "always"),
    ],
)
def test_the_file_says_who_comes_back(service: dict[str, object], policy: str) -> None:
    assert restart_policy({"services": {"jobs": service}}, "jobs") == policy
