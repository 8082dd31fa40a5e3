import pytest

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.scenarios import LEVELS, SCENARIOS, Create, KillWorker, Scenario, find_level
from chaosfuzz.scenarios.levels import SCALING, WORKER_CHAOS, WORKER_SLOTS
from chaosfuzz.scenarios.phases import AwaitBreaker, Chaos, Scale, StopDatabase
from chaosfuzz.targets.process.tuning import SETTINGS

GUIDE = {
    1: (2, 10, 1, 45, (20, 30), 0.9),
    2: (2, 15, 2, 90, (15, 25), 0.85),
    3: (3, 25, 3, 60, (10, 15), 0.8),
    4: (3, 35, 4, 90, (5, 10), 0.75),
    5: (4, 30, 5, 80, (3, 7), 0.6),
    # The guide's 40 tasks are what two workers of two slots just manage: four times as many.
    6: (2, 160, 6, 60, (2, 5), 0.2),
}
NAMES = [
    "baseline",
    "db-failure",
    "server-restart",
    "worker-restart",
    "task-flood",
    "circuit-breaker",
    "mixed-chaos",
    "recovery",
    "multi-worker-chaos",
    "dynamic-scaling",
]


@pytest.mark.parametrize("number", GUIDE)
def test_a_level_has_the_figures_of_the_guide(number: int):
    level = LEVELS[number]
    figures = (level.workers, level.tasks, level.task_s, level.deadline_s, level.interval_s)
    assert (*figures, level.completion) == GUIDE[number]
    assert level.number == number


def test_worker_chaos_and_scaling_have_the_figures_of_the_guide():
    rows = [WORKER_CHAOS[n] for n in range(1, 7)]
    assert [r.workers for r in rows] == [2, 2, 3, 3, 4, 2]
    assert [r.task_s for r in rows] == [1, 2, 2, 2, 3, 4]
    assert [r.deadline_s for r in rows] == [45, 90, 120, 150, 180, 120]
    scaling = [(s.first, s.second, s.task_s, s.deadline_s) for s in SCALING.values()]
    assert scaling == [
        (15, 8, 0.5, 90),
        (20, 10, 0.5, 150),
        (30, 15, 1, 180),
        (40, 20, 1, 240),
        (50, 25, 1.5, 300),
        (60, 30, 2, 360),
    ]


def test_the_capacity_counts_the_slots_that_a_worker_has():
    assert SETTINGS["concurrency"] == WORKER_SLOTS


# The guide has these complete in full at every level, or gives them a fixed amount of work.
COMPLETE = {"baseline", "circuit-breaker", "recovery", "dynamic-scaling"}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_level_6_overloads_workers_that_always_work(scenario: Scenario):
    program = scenario.plan(LEVELS[6])
    if scenario.name in COMPLETE:
        assert program.at_most == 1
        return
    assert program.at_most == 0.5
    # The faults take from the capacity at least the time in which nothing can work.
    idle_s = 0.0
    for phase in program.phases:
        if isinstance(phase, StopDatabase):
            idle_s += program.workers * phase.down_s
        elif isinstance(phase, Chaos):
            idle_s += program.deadline_s / (sum(phase.interval_s) / 2) * phase.down_s
    capacity_s = WORKER_SLOTS * (program.workers * program.deadline_s - idle_s)
    work_s = sum(p.count * p.task_s for p in program.phases if isinstance(p, Create))
    # More than half by the deadline would be more than the capacity.
    assert work_s >= capacity_s / program.at_most
    # A run reads all tasks many times a second.
    assert sum(p.count for p in program.phases if isinstance(p, Create)) <= 500


@pytest.mark.parametrize("number", range(1, 6))
@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_only_level_6_overloads(scenario: Scenario, number: int):
    assert scenario.plan(LEVELS[number]).at_most == 1


@pytest.mark.parametrize("number", [0, 7, -1])
def test_a_level_that_does_not_exist_is_refused_with_those_that_do(number: int):
    with pytest.raises(UsageError, match=f"level {number} does not exist\nuse 1 .* to 6"):
        find_level(number)


def test_there_are_the_ten_scenarios_of_the_guide_in_its_order():
    assert [scenario.name for scenario in SCENARIOS] == NAMES
    assert all(scenario.summary for scenario in SCENARIOS)


@pytest.mark.parametrize("number", GUIDE)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=NAMES)
def test_every_scenario_has_a_program_at_every_level(scenario: Scenario, number: int):
    program = scenario.plan(LEVELS[number])
    assert any(isinstance(phase, Create) for phase in program.phases)
    assert 1 <= program.workers <= 5


@pytest.mark.parametrize("number", GUIDE)
def test_scenarios_that_kill_workers_do_so_at_every_level(number: int):
    programs = {scenario.name: scenario.plan(LEVELS[number]) for scenario in SCENARIOS}
    for name in ("worker-restart", "mixed-chaos", "recovery"):
        kills = [p for p in programs[name].phases if isinstance(p, KillWorker)]
        assert sum(kill.times for kill in kills) >= 1
    (chaos,) = (p for p in programs["multi-worker-chaos"].phases if isinstance(p, Chaos))
    assert chaos.at_least >= 1


@pytest.mark.parametrize("number", GUIDE)
def test_scaling_creates_all_tasks_under_a_tag_per_phase_and_goes_down_and_up(number: int):
    (scenario,) = (s for s in SCENARIOS if s.name == "dynamic-scaling")
    phases = scenario.plan(LEVELS[number]).phases
    created: dict[str, int] = {}
    for phase in phases:
        if isinstance(phase, Create):
            created[phase.tag] = created.get(phase.tag, 0) + phase.count
    row = SCALING[number]
    assert created == {"dynamic_phase_1": row.first, "dynamic_phase_2": row.second}
    assert [p.workers for p in phases if isinstance(p, Scale)] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("number", "turns"),
    [
        (1, ["open", "half-open", "closed"]),
        (3, ["open", "half-open", "open", "closed"]),
    ],
)
def test_the_breaker_is_waited_for_at_each_turn(number: int, turns: list[str]):
    (scenario,) = (s for s in SCENARIOS if s.name == "circuit-breaker")
    phases = scenario.plan(LEVELS[number]).phases
    assert [p.state for p in phases if isinstance(p, AwaitBreaker)] == turns
