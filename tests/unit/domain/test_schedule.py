from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosfuzz.actions import PlanModel, all_actions, apply, make_step, possible, repaired
from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import CLIENT, Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step

BEFORE = Moment(event="POST /tasks", side=Side.BEFORE)
AFTER = Moment(event="POST /tasks", side=Side.AFTER)
MANY = settings(max_examples=200, deadline=None, derandomize=True)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    action = draw(st.sampled_from(all_actions()))
    low = {p.name: draw(st.integers(p.low, min(p.high, p.low + 4))) for p in action.parameters}
    return make_step(action.name, **low)


schedules = st.builds(
    lambda workers, drawn: Schedule(workers=workers, steps=tuple(drawn)),
    st.integers(0, MAX_WORKERS),
    st.lists(steps(), max_size=15),
)


def schedule(*drawn: Step) -> Schedule:
    return Schedule(workers=1, steps=drawn)


class TestSteps:
    def test_arguments_are_in_the_order_of_the_action(self):
        one = make_step("create_tasks", delay_ms=5, count=2)
        assert one == make_step("create_tasks", count=2, delay_ms=5)
        assert str(one) == "create_tasks(count=2, delay_ms=5)"

    def test_defaults_are_left_out(self):
        assert make_step("create_tasks", count=2, delay_ms=0) == make_step("create_tasks", count=2)

    def test_what_a_reader_wants_to_see_is_shown_even_so(self):
        assert str(make_step("kill_worker", worker=1)) == "kill_worker(worker=1)"
        assert str(make_step("stop_database", mode=0)) == "stop_database(mode=fast)"

    def test_an_argument_left_out_has_its_default(self):
        assert make_step("create_tasks", count=2)["priority"] == 1

    def test_a_change_keeps_the_canonical_form(self):
        step = make_step("create_tasks", count=2, delay_ms=5)
        assert step.having(delay_ms=0) == make_step("create_tasks", count=2)

    def test_unknown_and_impossible_arguments_are_refused(self):
        with pytest.raises(UsageError, match="unknown argument 'size'"):
            make_step("create_tasks", size=1)
        with pytest.raises(UsageError, match="count=11 is out of range\nuse 1 to 10"):
            make_step("create_tasks", count=11)

    @MANY
    @given(steps())
    def test_making_a_step_of_a_step_changes_nothing(self, step: Step):
        assert make_step(step.action, **dict(step.arguments)) == step

    @pytest.mark.parametrize(
        ("action", "moment", "problem"),
        [
            (
                "lose_reply",
                None,
                "lose_reply strikes only in a request\nname the request with `at`",
            ),
            (
                "lose_reply",
                BEFORE,
                "lose_reply strikes after a request, not before it\nwrite `after:`",
            ),
            (
                "delay_reply",
                BEFORE,
                "delay_reply strikes after a request, not before it\nwrite `after:`",
            ),
            (
                "reset_request",
                AFTER,
                "reset_request strikes before a request, not after it\nwrite `before:`",
            ),
            (
                "lose_reply",
                replace(AFTER, component="worker-1"),
                "lose_reply strikes client-1, not worker-1\nremove `on`",
            ),
        ],
    )
    def test_a_moment_at_which_it_cannot_strike_is_refused(
        self, action: str, moment: Moment | None, problem: str
    ):
        with pytest.raises(UsageError, match=problem):
            make_step(action).pinned(moment)

    def test_what_strikes_the_client_needs_a_server(self):
        model = PlanModel.of(1)
        lose = make_step("lose_reply").pinned(replace(AFTER, component=CLIENT))
        assert possible(lose, model)
        apply(make_step("kill_server"), model)
        assert not possible(lose, model)


class TestSchedules:
    @pytest.mark.parametrize("workers", [-1, MAX_WORKERS + 1])
    def test_a_number_of_workers_that_no_target_runs_is_refused(self, workers: int):
        with pytest.raises(UsageError, match=f"workers={workers} is out of range\nuse 0 to 5"):
            Schedule(workers=workers, steps=())

    def test_a_prefix_is_the_first_steps(self):
        whole = schedule(make_step("wait_idle"), make_step("wait_lease"))
        assert whole.prefix(1) == schedule(make_step("wait_idle"))


class TestEditing:
    def test_a_reference_follows_its_task(self):
        edited = schedule(
            make_step("create_tasks", count=2),
            make_step("create_tasks", count=1),
            make_step("cancel_task", task=3),
        ).edited({0: None})
        assert edited == schedule(
            make_step("create_tasks", count=1), make_step("cancel_task", task=1)
        )

    def test_a_reference_without_its_task_goes_with_it(self):
        edited = schedule(
            make_step("create_tasks", count=2), make_step("cancel_task", task=2)
        ).edited({0: make_step("create_tasks", count=1)})
        assert edited == schedule(make_step("create_tasks", count=1))

    def test_more_tasks_move_later_ones(self):
        edited = schedule(
            make_step("create_tasks", count=1),
            make_step("create_tasks", count=1),
            make_step("retry_task", task=2),
        ).edited({0: make_step("create_tasks", count=4)})
        assert edited.steps[2] == make_step("retry_task", task=5)

    @MANY
    @given(schedules, st.data())
    def test_every_reference_left_means_the_same_task(self, whole: Schedule, data: st.DataObject):
        whole = repaired(whole)
        removed = data.draw(st.sets(st.integers(0, max(0, len(whole.steps) - 1))))
        loads = [n for n, step in enumerate(whole.steps) if step.action == "create_tasks"]
        left = [index for index in loads if index not in removed]
        expected = [
            (index, meant)
            for index, meant in references(whole, loads)
            if index not in removed and meant[0] in left
        ]
        edited = whole.edited(dict.fromkeys(removed))
        assert [m for _, m in references(edited, left)] == [m for _, m in expected]

    @MANY
    @given(schedules)
    def test_no_edit_changes_nothing(self, whole: Schedule):
        whole = repaired(whole)
        assert whole.edited({}) == whole


class TestPlan:
    @MANY
    @given(schedules)
    def test_every_step_of_a_repaired_schedule_does_something(self, whole: Schedule):
        mended = repaired(whole)
        model = PlanModel.of(mended.workers)
        for step in mended.steps:
            assert possible(step, model)
            apply(step, model)

    @MANY
    @given(schedules)
    def test_repairing_twice_is_repairing_once(self, whole: Schedule):
        assert repaired(repaired(whole)) == repaired(whole)

    @MANY
    @given(schedules)
    def test_repairing_takes_nothing_out_that_does_something(self, whole: Schedule):
        model = PlanModel.of(whole.workers)
        useful = []
        for step in whole.steps:
            if possible(step, model):
                apply(step, model)
                useful.append(step)
        assert list(repaired(whole).steps) == useful

    def test_a_healing_that_lost_its_fault_is_taken_out(self):
        broken = schedule(make_step("stop_database", mode=0), make_step("start_database"))
        assert repaired(broken.edited({0: None})) == schedule()

    def test_a_moment_of_a_task_follows_its_task_or_goes_with_it(self):
        def struck(task: int) -> Step:
            return make_step("kill_worker", worker=1).pinned(Moment(event="UPDATE", task=task))

        one = make_step("create_tasks", count=1)
        assert schedule(one, one, struck(2)).edited({0: None}) == schedule(one, struck(1))
        assert schedule(one, one, struck(1)).edited({0: None}) == schedule(one)

    @pytest.mark.parametrize(
        ("before", "step", "expected"),
        [
            ([], make_step("kill_worker", worker=1), True),
            ([], make_step("kill_worker", worker=2), False),
            ([], make_step("start_worker", worker=1), False),
            ([], make_step("start_worker", worker=2), True),
            ([], make_step("resume_worker", worker=1), False),
            ([make_step("pause_worker", worker=1)], make_step("pause_worker", worker=1), False),
            ([make_step("pause_worker", worker=1)], make_step("resume_worker", worker=1), True),
            ([make_step("pause_worker", worker=1)], make_step("kill_worker", worker=1), True),
            ([make_step("kill_server")], make_step("stop_server"), False),
            ([make_step("kill_server")], make_step("start_server"), True),
            ([make_step("stop_database", mode=1)], make_step("start_database"), True),
            (
                [make_step("stop_database", mode=1)],
                make_step("terminate_backend", worker=1),
                False,
            ),
            ([], make_step("scale_workers", workers=1), False),
            ([], make_step("scale_workers", workers=0), True),
            ([], make_step("cancel_task", task=1), False),
            ([make_step("create_tasks", count=1)], make_step("cancel_task", task=1), True),
            ([], make_step("wait_idle"), True),
        ],
    )
    def test_what_is_possible_follows_from_the_steps(
        self, before: list[Step], step: Step, expected: bool
    ):
        model = PlanModel.of(1)
        for earlier in before:
            apply(earlier, model)
        assert possible(step, model) is expected

    def test_faults_in_force_are_counted(self):
        model = PlanModel.of(2)
        for name in ("stop_database", "kill_server"):
            apply(make_step(name), model)
        apply(make_step("pause_worker", worker=2), model)
        assert model.faults_in_force() == 3
        apply(make_step("kill_worker", worker=2), model)
        assert model.faults_in_force() == 2


def references(whole: Schedule, loads: list[int]) -> list[tuple[int, tuple[int, int]]]:
    """Return each reference's index, and its task as (name of the creation, place in it).

    `loads` names the creations in order.
    """
    names = iter(loads)
    created: list[tuple[int, int]] = []
    found: list[tuple[int, tuple[int, int]]] = []
    for index, step in enumerate(whole.steps):
        if step.action == "create_tasks":
            name = next(names)
            created += [(name, offset) for offset in range(step["count"])]
        number = dict(step.arguments).get("task")
        if number is not None:
            found.append((index, created[number - 1]))
    return found
