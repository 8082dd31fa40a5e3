"""The guide's 44 checks, against the server and against nobody."""

from collections.abc import Callable

from integration.reference.conftest import TOKENS

from chaosfuzz.api import check_api
from chaosfuzz.api.checks import NUMBER_OF_CHECKS
from chaosfuzz.targets.keeper import Child


def test_all_checks_pass_on_the_server(
    launch: Callable[..., Child], worker: Callable[..., Child], free_port: int
) -> None:
    launch("server", "server-1")
    worker()
    url = f"http://127.0.0.1:{free_port}"
    for token in (None, TOKENS["moderator"]):
        checks = list(check_api(url, moderator_token=token))
        assert [check.number for check in checks] == list(range(1, NUMBER_OF_CHECKS + 1))
        assert [check for check in checks if not check.passed] == []
    counts = [check.expected for check in checks if check.name.startswith("counts of tasks")]
    assert counts == [(200,), (200,)]


def test_without_a_server_every_check_fails_and_says_why(free_port: int) -> None:
    checks = list(check_api(f"http://127.0.0.1:{free_port}", timeout_s=2))
    assert len(checks) == NUMBER_OF_CHECKS
    assert not any(check.passed for check in checks)
    assert all("no answer" in check.detail for check in checks)
    assert {check.status for check in checks} == {None}


def test_without_the_database_the_checks_that_need_it_fail(
    launch: Callable[..., Child], free_port: int
) -> None:
    launch("server", "server-1", dsn="host=127.0.0.1 port=1 dbname=nowhere user=nobody")
    checks = list(check_api(f"http://127.0.0.1:{free_port}"))
    passed = {check.name for check in checks if check.passed}
    assert "GET /health/live" in passed
    assert "GET /health" not in passed
    assert "create an email" not in passed
