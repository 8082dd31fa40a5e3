"""The plan's model: what a schedule has done so far, as far as its own steps tell."""

from dataclasses import dataclass, field

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.schedule import Schedule, Step

_NEEDING_SERVER = frozenset(
    {
        *("stop_server", "kill_server", "restart_server", "cut_server"),
        *("lose_reply", "reset_request", "delay_reply"),
        *("read_api", "ask_badly"),
    }
)
# Faults that stay with a worker (0: server or database) until healed, each with what heals it.
LASTING = {
    "disconnect_worker": "connect_worker",
    "partition_worker": "rejoin_worker",
    "partition_server": "rejoin_server",
    "lose_packets": "restore_packets",
    "limit_cpu": "lift_limits",
    "limit_memory": "lift_limits",
    "fill_disk": "free_disk",
    "skew_clock": "right_clock",
}
_MENDS = frozenset(LASTING.values())
# No packets, so no others to drop.
_ON_THE_WAY = ("disconnect_worker", "partition_worker", "lose_packets")


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
    afflicted: set[tuple[str, int]] = field(default_factory=set)
    restart_policies: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, workers: int) -> "PlanModel":
        """Return the model of a fresh system with so many workers."""
        return cls(workers_up=set(range(1, workers + 1)))

    def possible(self, step: Step) -> bool:
        """Say whether the step does anything here."""
        name = step.action
        if name in LASTING or name in _MENDS:
            return self._possible_affliction(step)
        if name == "set_restart_policy":
            return self.restart_policies.get(step["worker"], 0) != step["policy"]
        if "worker" in dict(step.arguments):
            return self._possible_for(step["worker"], name)
        if name in {"cancel_task", "retry_task"}:
            return self.server_up and step["task"] <= self.tasks_created
        if name == "scale_workers":
            return set(range(1, step["workers"] + 1)) != self.workers_up
        if name in {"stop_database", "start_database"}:
            full = ("fill_disk", 0) in self.afflicted
            return self.database_up is (name == "stop_database") and not full
        if name in _NEEDING_SERVER:
            return self.server_up
        return name != "start_server" or not self.server_up

    def slots_with(self, heal: str) -> list[int]:
        """Return the workers that an action heals of something, in order."""
        return sorted({slot for fault, slot in self.afflicted if LASTING[fault] == heal})

    def _possible_affliction(self, step: Step) -> bool:
        """Say whether a lasting fault can begin, or one be healed."""
        name, slot = step.action, dict(step.arguments).get("worker", 0)
        if name in _MENDS:
            return slot in self.slots_with(name)
        alike = _ON_THE_WAY if name in _ON_THE_WAY else (name,)
        if any((fault, slot) in self.afflicted for fault in alike):
            return False
        if name == "fill_disk":
            return self.database_up
        return slot in self.workers_up if slot else self.server_up

    def _afflict(self, name: str, slot: int) -> None:
        if name in LASTING:
            self.afflicted.add((name, slot))
            return
        self.afflicted = {
            (fault, of) for fault, of in self.afflicted if of != slot or LASTING[fault] != name
        }

    def _end_afflictions(self, but_of: int = -1) -> None:
        """Whoever is gone takes what it suffered along; so does whoever is started anew."""
        gone = set() if self.server_up else {"partition_server"}
        self.afflicted = {
            (fault, slot)
            for fault, slot in self.afflicted
            if slot in {0, *self.workers_up} and slot != but_of and fault not in gone
        }

    def _possible_for(self, worker: int, name: str) -> bool:
        """Say whether an action does anything to a worker."""
        up = worker in self.workers_up
        if name in {"terminate_backend", "cut_connection", "strand_session", "reset_connections"}:
            return up and self.database_up
        possible = {
            "kill_worker": up,
            "exhaust_memory": up,
            "restart_worker": up,
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
        elif name in {"kill_worker", "exhaust_memory", "restart_worker"}:
            self._end_worker(step)
        elif name == "set_restart_policy":
            self.restart_policies[step["worker"]] = step["policy"]
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
        elif name in LASTING or name in _MENDS:
            self._afflict(name, dict(step.arguments).get("worker", 0))
        self._end_afflictions()
        assert self.workers_up <= set(range(1, MAX_WORKERS + 1))
        assert self.workers_paused <= self.workers_up
        assert self.workers_held <= self.workers_up

    def _end_worker(self, step: Step) -> None:
        """End a worker; one that is back at once is so without what it suffered."""
        worker = step["worker"]
        self.workers_paused.discard(worker)
        self.workers_held.discard(worker)
        asked_politely = dict(step.arguments).get("signal") == 1
        by_policy = self.restart_policies.get(worker) and not asked_politely
        if step.action == "restart_worker" or by_policy:
            self._end_afflictions(but_of=worker)
        else:
            self.workers_up.discard(worker)

    def faults_in_force(self) -> int:
        """Return how many things are broken now."""
        kept_still = len(self.workers_paused) + len(self.workers_held)
        down = (not self.database_up) + (not self.server_up)
        return kept_still + down + len(self.afflicted)


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
