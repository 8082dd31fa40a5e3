import pytest

from chaosfuzz.domain.outcome import Outcome, classify
from chaosfuzz.domain.task import TaskRequest
from chaosfuzz.targets.profiles.creating import create_by_line, fill_json, read_answer, value_at
from chaosfuzz.targets.profiles.placeholders import fill, placeholders_in

REQUEST = TaskRequest(number=1, token="abc", duration_ms=5)


@pytest.mark.parametrize(
    ("answer", "outcome", "task_id"),
    [
        ('{"id": "7", "ok": true}', Outcome.OK, "7"),
        ('{"id": 7, "ok": true}', Outcome.OK, "7"),
        ('{"ok": true}', Outcome.OK, None),
        ('{"ok": false, "error": "no", "certain": true}', Outcome.FAILED, None),
        ('{"ok": false, "error": "no", "certain": false}', Outcome.UNKNOWN, None),
        ('{"ok": false}', Outcome.UNKNOWN, None),
        ('{"ok": "yes"}', Outcome.UNKNOWN, None),
        ("[]", Outcome.UNKNOWN, None),
        ("Traceback", Outcome.UNKNOWN, None),
    ],
)
def test_answers_of_a_producer_have_one_outcome(answer: str, outcome: Outcome, task_id: str | None):
    reply = read_answer(answer.encode(), 0)
    assert (classify(reply), reply.task_id) == (outcome, task_id)


def test_no_answer_is_unknown_and_says_why():
    reply = create_by_line(lambda _: "it ended", REQUEST, 0)
    assert classify(reply) is Outcome.UNKNOWN
    assert reply.detail == "it ended"


def test_a_line_names_what_is_asked_for():
    asked: list[bytes] = []

    def ask(line: bytes) -> bytes:
        asked.append(line)
        return b'{"ok": true}'

    create_by_line(ask, REQUEST, 30)
    assert asked == [
        b'{"token": "abc", "duration_ms": 5, "failures": 0, "priority": 1, "delay_ms": 30}\n'
    ]


def test_a_placeholder_alone_keeps_its_type():
    body = {"t": "{token}", "n": ["{duration_ms}"], "text": "{duration_ms} ms", "same": 1}
    values = {"token": "abc", "duration_ms": 5}
    assert fill_json(body, values) == {"t": "abc", "n": [5], "text": "5 ms", "same": 1}


def test_doubled_braces_are_braces():
    assert list(placeholders_in("{{a}} {b}")) == ["b"]
    assert fill("{{a}} {b}", {"b": "1"}) == "{a} 1"


@pytest.mark.parametrize(
    ("pointer", "found"),
    [("/data/id", "7"), ("/list/1", "y"), ("/a~1b", "z"), ("/none", None), (None, None)],
)
def test_pointers_find_ids(pointer: str | None, found: str | None):
    content = b'{"data": {"id": 7}, "list": ["x", "y"], "a/b": "z"}'
    assert value_at(content, pointer) == found
    assert value_at(b"<html>", pointer) is None
