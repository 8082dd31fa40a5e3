from collections.abc import Iterator

from chaosfuzz.domain import Finding, Health, Kind, Outcome, View, invariant


@invariant(kind=Kind.UNHEALTHY, at_end=True)
def recovers_after_healing(view: View) -> Iterator[Finding]:
    """Within the health bound after healing, health is well and the API accepts tasks."""
    healed_ns = view.history.healed_ns or view.now_ns
    stalled = view.machine_stalled(healed_ns, view.now_ns)
    seen = view.latest
    if seen is not None and seen.health not in {Health.WELL, Health.UNASKED}:
        message = f"health is {seen.health} {view.contract.health_ms} ms after healing"
        yield Finding(message=message, role="server", certain=not stalled)
    asked = [task.creation for task in view.tasks if task.creation.sent_ns > healed_ns]
    if asked and asked[-1].outcome is not Outcome.OK:
        message = f"after healing, creating a task gave: {asked[-1].detail}"
        late = asked[-1].ended_ns - healed_ns >= view.contract.health_ms * 10**6
        yield Finding(message=message, role="server", certain=late and not stalled)
