"""Which HTTP requests are the same request."""

import pytest

from chaosfuzz.domain.moment import Moment
from chaosfuzz.wire.alphabet import LearnedRequest, had_effect, learn
from chaosfuzz.wire.http_key import describe, is_safe, path_template

UUID = "0198f2a4-3c1b-7d2e-9a5f-0123456789ab"


@pytest.mark.parametrize(
    ("target", "template"),
    [
        ("/api/v1/tasks", "/api/v1/tasks"),
        (f"/api/v1/tasks/{UUID}/cancel", "/api/v1/tasks/{id}/cancel"),
        (f"/tasks/{UUID.upper()}", "/tasks/{id}"),
        (f"/tasks/{UUID.replace('-', '')}/", "/tasks/{id}/"),
        ("/tasks/17?full=1&x=/2/", "/tasks/{id}"),
        ("/tasks/17#part", "/tasks/{id}"),
        ("/v1/17a/2", "/v1/17a/{id}"),
        ("http://host:80/a/5", "/a/{id}"),
        ("http://host", "/"),
        ("*", "*"),
        ("host:443", "host:443"),
        ("?x", "/"),
        ("/a\u0007b", "/a?b"),
    ],
)
def test_ids_numbers_and_queries_do_not_count(target: str, template: str):
    assert path_template(target) == template


def test_long_paths_are_told_apart_and_fit_a_moment():
    one, other = (describe("OPTIONS", "/a" * 500 + end).key for end in ("x", "y"))
    assert one != other
    assert Moment(event=one).is_http


def test_what_a_request_is():
    statement = describe("POST", f"/tasks/{UUID}?x=1")
    assert (statement.key, statement.verb, statement.writes) == ("POST /tasks/{id}", "POST", True)
    assert not describe("GET", "/").writes
    assert is_safe("GET /api/v1/health")
    assert not is_safe("SELECT tasks [12345678]")


@pytest.mark.parametrize(
    ("completion", "expected"),
    [("200", True), ("404", True), ("302", True), ("500", False), ("503", False), ("CUT", False)],
)
def test_an_answer_below_500_is_an_effect(completion: str, expected: bool):
    assert had_effect(completion) is expected


def test_requests_after_health_are_background_and_others_are_not():
    keys = ("GET /api/v1/health", "POST /api/v1/tasks")
    seen = [LearnedRequest(role="client", key=key, completion="200", is_idle=False) for key in keys]
    foreground = [letter.key for letter in learn([seen]) if not letter.is_background]
    assert foreground == ["POST /api/v1/tasks"]
