import pytest

from chaosfuzz.domain.task import CANARY, TaskRequest


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        (TaskRequest(number=3, token="0a1b"), "task 3"),
        (TaskRequest(number=3, token="0a1b", tag="canaries"), "task 3"),
        (TaskRequest(number=4, token="canary-17"), "the canary task of chaosfuzz"),
        (TaskRequest(number=4, token="0a1b", tag=CANARY), "the canary task of chaosfuzz"),
    ],
)
def test_the_task_that_chaosfuzz_creates_itself_is_called_so(request_: TaskRequest, name: str):
    assert request_.name == name
