"""The plan's model: what a schedule has done so far, as far as its own steps tell."""

from dataclasses import dataclass, field

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.schedule import Schedule, Step


@dataclass(kw_only=True)
class PlanModel:
    """State that follows from the steps alone; it decides what is possible next.

    A step that is not possible is a no-op in a run, so planning does not draw it and
    `repaired` takes it out.
    """

    workers_up: set[int]
    workers_paused: set[int] = field(default_factory=set)
    database_up: bool = True
    server_up: bool = True
    tasks_created: int = 0

    @classmethod
    def of(cls, workers: int) -> "PlanModel":
        """Return the model of a fresh system with so many workers."""
        return cls(workers_up=set(range(1, workers + 1)))

    def possible(self, step: Step) -> bool:
        """Say whether the step does anything here."""
        name = step.action
        if name in {"cancel_task", "retry_task"}:
            return self.server_up and step["task"] <= self.tasks_created
        if name in {"kill_worker", "terminate_backend"}:
            alive = step["worker"] in self.workers_up
            return alive and (name == "kill_worker" or self.database_up)
        if name == "start_worker":
            return step["worker"] not in self.workers_up
        if name == "pause_worker":
            return step["worker"] in self.workers_up - self.workers_paused
        if name == "resume_worker":
            return step["worker"] in self.workers_paused
        if name == "scale_workers":
            return set(range(1, step["workers"] + 1)) != self.workers_up
        if name == "stop_database":
            return self.database_up
        if name == "start_database":
            return not self.database_up
        if name in {"stop_server", "kill_server", "restart_server"}:
            return self.server_up
        if name == "start_server":
            return not self.server_up
        return True

    def apply(self, step: Step) -> None:
        """Advance by a possible step."""
        assert self.possible(step), f"{step} is not possible in {self}"
        name = step.action
        if name == "create_tasks":
            self.tasks_created += step["count"]
        elif name == "kill_worker":
            self.workers_up.discard(step["worker"])
            self.workers_paused.discard(step["worker"])
        elif name == "start_worker":
            self.workers_up.add(step["worker"])
        elif name == "pause_worker":
            self.workers_paused.add(step["worker"])
        elif name == "resume_worker":
            self.workers_paused.discard(step["worker"])
        elif name == "scale_workers":
            self.workers_up = set(range(1, step["workers"] + 1))
            self.workers_paused &= self.workers_up
        elif name in {"stop_database", "start_database"}:
            self.database_up = name == "start_database"
        elif name in {"stop_server", "kill_server", "start_server"}:
            self.server_up = name == "start_server"
        assert self.workers_up <= set(range(1, MAX_WORKERS + 1))
        assert self.workers_paused <= self.workers_up

    def faults_in_force(self) -> int:
        """Return how many things are broken now."""
        return len(self.workers_paused) + (not self.database_up) + (not self.server_up)


def repaired(schedule: Schedule) -> Schedule:
    """Return the schedule without the steps that would do nothing (those that lost a partner)."""
    model = PlanModel.of(schedule.workers)
    idle: dict[int, Step | None] = {}
    for index, step in enumerate(schedule.steps):
        if model.possible(step):
            model.apply(step)
        else:
            idle[index] = None
    return schedule.edited(idle) if idle else schedule
