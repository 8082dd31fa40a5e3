from dataclasses import replace

import pytest

from chaosfuzz.actions import make_step
from chaosfuzz.domain.case import Case, Found, Rate
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.verdict import Signature
from chaosfuzz.reporting.description import describe_case

CASE = Case(
    title="a task is never picked up again",
    target="reference",
    defects=(),
    contract="at-least-once",
    signature=Signature(invariant="eventual_completion", kind="STUCK", role="worker"),
    schedule=Schedule(
        workers=1, steps=(make_step("create_tasks", count=1), make_step("kill_worker", worker=1))
    ),
    reproduces=Rate(violations=20, attempts=20),
    found=Found(date="2026-11-23", seed=1, steps=9, executions_to_shrink=40),
)


@pytest.mark.parametrize(
    ("executions", "exhausted", "told"),
    [
        (40, False, "shrunk from 9 to 2 steps in 40 executions"),
        (1, False, "shrunk from 9 to 2 steps in 1 execution"),
        (40, True, "shrunk from 9 to 2 steps in 40 executions, stopped early"),
        (0, True, "not shrunk: 2 steps"),
    ],
)
def test_how_far_a_case_was_shrunk(executions: int, exhausted: bool, told: str):
    case = replace(CASE, found=replace(CASE.found, executions_to_shrink=executions))
    lines = describe_case(case, "x.yaml", original_steps=9, exhausted=exhausted)
    assert f"fails 20 of 20; {told}" in lines
    assert "with 1 worker:" in lines
