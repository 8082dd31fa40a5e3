"""Draws schedules with the planner and keeps those that fail, for `drawn_schedules.txt`.

    export PYTHONPATH=tests
    python tests/quality/collect_schedules.py SECONDS >tests/quality/drawn_schedules.txt

One line a schedule: defect, planner seed, number in that seed's draw, workers, steps. Drawing
takes a hundred times as long as reducing, so the tests read what was drawn once.
"""

import itertools
import sys
import time
from collections import Counter

from quality.flaky import FlakyRunner

from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.planning import schedules
from chaosfuzz.targets.simulated import SimulatedTarget

STEPS = range(13, 16)
SCHEDULES_A_SEED = 200
MOST = 24


def shown(schedule: Schedule) -> str:
    """Return workers and steps on one line."""
    steps = "; ".join(
        " ".join((step.action, *(f"{name}={value}" for name, value in step.arguments)))
        for step in schedule.steps
    )
    return f"{schedule.workers} | {steps}"


def collect(seconds: float) -> None:
    """Print lines until the time is up."""
    target = SimulatedTarget()
    runners = {d.name: FlakyRunner((d.name,)) for d in target.description.defects}
    actions = target.description.actions
    kept: Counter[str] = Counter()
    until = time.monotonic() + seconds
    for seed in itertools.count(100):
        drawn = itertools.islice(schedules(actions, max(STEPS), seed), SCHEDULES_A_SEED)
        for number, schedule in enumerate(drawn):
            if len(schedule.steps) not in STEPS:
                continue
            for name, runner in runners.items():
                if kept[name] < MOST and runner.run(schedule).failure is not None:
                    kept[name] += 1
                    print(f"{name} {seed} {number} {shown(schedule)}")
        if time.monotonic() > until:
            return


if __name__ == "__main__":
    collect(float(sys.argv[1]))
