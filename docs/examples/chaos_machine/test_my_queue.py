"""A Hypothesis state machine that tests a job system, with a rule and an invariant of its own."""

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from chaosfuzz import ChaosMachine
from chaosfuzz.actions import create_tasks, pause_worker, resume_worker, wait_lease
from chaosfuzz.domain import Finding, View, invariant


class MyQueue(ChaosMachine):
    """The bundled job system; name a target or the path of your profile here."""

    target = "reference"

    @precondition(lambda self: bool(self.model.workers_up))
    @rule(count=st.integers(1, 3))
    def outlast_a_lease(self, count: int) -> None:
        """Freeze a worker that has work until its leases have expired, and let it go on."""
        worker = min(self.model.workers_up)
        self.do(create_tasks(count=count, duration_ms=100))
        self.do(pause_worker(worker=worker))
        self.do(wait_lease())
        self.do(resume_worker(worker=worker))

    @invariant(kind="RERUN", at_end=True)
    def at_most_ten_runs(view: View) -> Iterator[Finding]:  # noqa: N805 - a function of the view
        """No task is run more than ten times."""
        for task in view.tasks:
            if len(task.executions) > 10:
                yield Finding(message=f"task {task.number} ran {len(task.executions)} times")


TestMyQueue = MyQueue.TestCase
TestMyQueue.settings = settings(max_examples=8, stateful_step_count=8)
