"""Computes the metrics of a scenario from its history."""

from collections.abc import Iterable

from chaosfuzz.domain.scenario import Count, Metrics, PhaseCount
from chaosfuzz.domain.task import TaskRequest, TaskStatus
from chaosfuzz.execution.loop import is_canary
from chaosfuzz.scenarios.stage import Stage, can_succeed


def measure(stage: Stage) -> Metrics:
    """Return the metrics of a scenario, also of one that ended early. The canary does not count.

    Call it while the system is open.
    """
    history = stage.history
    created = [c for c in history.creations if not is_canary(c.request)]
    owed = stage.owed()
    done_ns = _completed_ns(stage)
    began_ns = created[0].sent_ns if created else history.began_ns
    deadline_ns = began_ns + round(stage.deadline_s() * 1e9)
    completed = [r for r in owed if r.token in done_ns]
    ended_ns = max((done_ns[r.token] for r in completed), default=began_ns)
    duration_s = (ended_ns - began_ns) / 1e9
    rows = stage.rows()
    buried = sum(r.token in rows and rows[r.token].status is TaskStatus.FAILED for r in owed)
    unfinished = sum(not is_canary(r) for r in stage.unfinished())
    tokens = {c.request.token for c in created}
    executions = [e for e in history.executions if e.token in tokens]
    latest = history.observations[-1] if history.observations else None
    return Metrics(
        created=sum(c.acknowledged for c in created),
        completed=Count(good=len(completed), of=len(owed)),
        in_time=Count(good=sum(done_ns[r.token] <= deadline_ns for r in completed), of=len(owed)),
        buried=buried,
        unfinished=unfinished,
        reruns=len(executions) - len({e.token for e in executions}),
        duration_s=round(duration_s, 3),
        throughput_per_s=round(len(completed) / duration_s, 2) if duration_s > 0 else 0.0,
        api=stage.monitor.api(history),
        outage=stage.monitor.outage(history, stage.contract.request_timeout_ms),
        strikes=tuple(stage.kills),
        recoveries=tuple(stage.recoveries),
        transitions=latest.transitions if latest else (),
        phases=_phases((c.request for c in created if c.acknowledged), done_ns),
        samples=tuple(stage.monitor.samples),
    )


def _completed_ns(stage: Stage) -> dict[str, int]:
    """Return, by token, the time of the first observation that showed a task completed."""
    first: dict[str, int] = {}
    for seen in stage.history.observations:
        for row in seen.tasks or ():
            if row.status is TaskStatus.COMPLETED:
                first.setdefault(row.token, seen.at_ns)
    return first


def _phases(requests: Iterable[TaskRequest], done_ns: dict[str, int]) -> tuple[PhaseCount, ...]:
    tagged: dict[str, list[TaskRequest]] = {}
    for request in requests:
        if request.tag and can_succeed(request):
            tagged.setdefault(request.tag, []).append(request)
    return tuple(
        PhaseCount(
            tag=tag,
            completed=Count(good=sum(r.token in done_ns for r in group), of=len(group)),
        )
        for tag, group in tagged.items()
    )
