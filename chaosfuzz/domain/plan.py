"""The plan's model: what a schedule has done so far, as far as its own steps tell."""

from dataclasses import dataclass, field

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.schedule import Schedule, Step

_NEEDING_SERVER = frozenset(
    {
        *("stop_server", "kill_server", "restart_server", "cut_server"),
        *("lose_reply", "reset_request", "delay_reply"),
    }
)


@dataclass(kw_only=True)
class PlanModel:
    """State that follows from the steps alone; it decides what is possible next.

    A step that is not possible is a no-op in a run, so planning does not draw it and
    `repaired` takes it out.
    """

    workers_up: set[int]
    workers_paused: set[int] = field(default_factory=set)
    workers_held: set[int] = field(default_factory=set)
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
        if "worker" in dict(step.arguments):
            return self._possible_for(step["worker"], name)
        if name in {"cancel_task", "retry_task"}:
            return self.server_up and step["task"] <= self.tasks_created
        if name == "scale_workers":
            return set(range(1, step["workers"] + 1)) != self.workers_up
        if name in {"stop_database", "start_database"}:
            return self.database_up is (name == "stop_database")
        if name in _NEEDING_SERVER:
            return self.server_up
        return name != "start_server" or not self.server_up

    def _possible_for(self, worker: int, name: str) -> bool:
        """Say whether an action does anything to a worker."""
        up = worker in self.workers_up
        if name in {"terminate_backend", "cut_connection", "strand_session"}:
            return up and self.database_up
        possible = {
            "kill_worker": up,
            "start_worker": not up,
            "pause_worker": up and worker not in self.workers_paused,
            "resume_worker": worker in self.workers_paused,
            "hold_connection": up and worker not in self.workers_held,
            "release_connection": worker in self.workers_held,
        }
        return possible[name]

    def apply(self, step: Step) -> None:
        """Advance by a possible step."""
        assert self.possible(step), f"{step} is not possible in {self}"
        name = step.action
        if name == "create_tasks":
            self.tasks_created += step["count"]
        elif name == "kill_worker":
            self.workers_up.discard(step["worker"])
            self.workers_paused.discard(step["worker"])
            self.workers_held.discard(step["worker"])
        elif name == "start_worker":
            self.workers_up.add(step["worker"])
        elif name == "pause_worker":
            self.workers_paused.add(step["worker"])
        elif name == "resume_worker":
            self.workers_paused.discard(step["worker"])
        elif name == "scale_workers":
            self.workers_up = set(range(1, step["workers"] + 1))
            self.workers_paused &= self.workers_up
            self.workers_held &= self.workers_up
        elif name == "hold_connection" and not step["ms"]:
            self.workers_held.add(step["worker"])
        elif name == "release_connection":
            self.workers_held.discard(step["worker"])
        elif name in {"stop_database", "start_database"}:
            self.database_up = name == "start_database"
        elif name in {"stop_server", "kill_server", "start_server"}:
            self.server_up = name == "start_server"
        assert self.workers_up <= set(range(1, MAX_WORKERS + 1))
        assert self.workers_paused <= self.workers_up
        assert self.workers_held <= self.workers_up

    def faults_in_force(self) -> int:
        """Return how many things are broken now."""
        kept_still = len(self.workers_paused) + len(self.workers_held)
        return kept_still + (not self.database_up) + (not self.server_up)


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
