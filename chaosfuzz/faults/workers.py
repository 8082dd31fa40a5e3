"""Workers that die, freeze, come and go, or lose their database sessions."""

from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.fault import Performed
from chaosfuzz.domain.history import FaultKind, History
from chaosfuzz.domain.schedule import Step
from chaosfuzz.domain.target import BackendTerminable, Killable, Pausable, System
from chaosfuzz.faults.common import NOT_APPLICABLE, begin, end, lacks, worker_name


class WorkerDeath:
    """Workers that end, start, or both; healed by starting those that should be there again."""

    actions = ("kill_worker", "start_worker", "scale_workers", "restart_worker")

    def __init__(self, healthy_workers: int = 1) -> None:
        self.healthy_workers = healthy_workers

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """End or start workers."""
        if not isinstance(system, Killable):
            raise lacks(step.action)
        if step.action == "start_worker":
            return Performed(applied=system.start(worker_name(step["worker"])))
        if step.action == "restart_worker":
            name = worker_name(step["worker"])
            ended = self._end(name, system, history, graceful=True)
            if ended.applied:
                system.start(name)
            return ended
        if step.action == "kill_worker":
            graceful = step["signal"] == 1
            return self._end(worker_name(step["worker"]), system, history, graceful=graceful)
        changed = False
        running = set(system.worker_names())
        for slot in range(1, MAX_WORKERS + 1):
            name = worker_name(slot)
            if slot <= step["workers"] and name not in running:
                changed |= system.start(name)
            elif slot > step["workers"] and name in running:
                changed |= self._end(name, system, history, graceful=True).applied
        return Performed(applied=True) if changed else NOT_APPLICABLE

    def _end(self, name: str, system: System, history: History, *, graceful: bool) -> Performed:
        assert isinstance(system, Killable)
        if name not in system.worker_names():
            return NOT_APPLICABLE
        how = FaultKind.STOPPED if graceful else FaultKind.KILLED
        begin(history, how, name)
        applied = system.kill(name, graceful=graceful)
        end(history, how, name)
        # Whoever is dead is no longer paused.
        end(history, FaultKind.PAUSED, name)
        return Performed(applied=applied)

    def heal(self, system: System, history: History) -> None:
        """Start the workers that a healthy system has."""
        if isinstance(system, Killable):
            running = system.worker_names()
            for slot in range(1, self.healthy_workers + 1):
                if worker_name(slot) not in running:
                    system.start(worker_name(slot))


class WorkerPause:
    """pause_worker; healed by resuming."""

    actions = ("pause_worker", "resume_worker")

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """Freeze a worker or let it go on."""
        if not isinstance(system, Pausable):
            raise lacks(step.action)
        name = worker_name(step["worker"])
        if step.action == "resume_worker":
            applied = system.resume(name)
            end(history, FaultKind.PAUSED, name)
            return Performed(applied=True) if applied else NOT_APPLICABLE
        if name not in system.worker_names():
            return NOT_APPLICABLE
        begin(history, FaultKind.PAUSED, name)
        if system.pause(name):
            return Performed(applied=True)
        end(history, FaultKind.PAUSED, name)
        return NOT_APPLICABLE

    def heal(self, system: System, history: History) -> None:
        """Let every frozen worker go on."""
        if isinstance(system, Pausable):
            for name in system.worker_names():
                if system.resume(name):
                    end(history, FaultKind.PAUSED, name)


class BackendTermination:
    """terminate_backend; clients heal it themselves by connecting again."""

    actions = ("terminate_backend",)

    def perform(self, step: Step, system: System, history: History) -> Performed:
        """End one or all sessions of a worker."""
        if not isinstance(system, BackendTerminable):
            raise lacks(step.action)
        name = worker_name(step["worker"])
        begin(history, FaultKind.CUT_OFF, name)
        applied = system.terminate_backend(name, step["session"])
        end(history, FaultKind.CUT_OFF, name)
        return Performed(applied=True) if applied else NOT_APPLICABLE

    def heal(self, system: System, history: History) -> None:
        """Nothing stays broken: a lost session is replaced by whoever lost it."""
