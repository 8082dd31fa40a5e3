from chaosfuzz.scenarios.levels import WORKER_SLOTS
from chaosfuzz.targets.process.tuning import SETTINGS


def test_scenarios_know_how_much_a_worker_runs_at_once():
    assert SETTINGS["concurrency"] == WORKER_SLOTS
