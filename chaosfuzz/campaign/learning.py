"""Learns from runs without faults which requests a target makes in the life of one task.

A life is one way in which a task can go, such as success, a retry or a dead letter.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from chaosfuzz.actions import wait, wait_idle
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.moment import Alphabet, EventClass
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.target import RunResult, TargetDescription, TracingRunner
from chaosfuzz.domain.wire import Request
from chaosfuzz.planning.enumeration import GIVEN_UP, SHORT_LEASE_MS, lives_of
from chaosfuzz.wire import alphabet as wire_alphabet
from chaosfuzz.wire.alphabet import KeyStatistics, LearnedRequest

SCHEMA = "chaosfuzz.alphabet/1"
# Long enough to see a periodic request of an idle target twice. Targets with leases of seconds
# poll every second or two. Chosen by hand.
IDLE = wait(ms=350)
LONG_IDLE = wait(ms=2500)
RUNS = 2


def life(load: Step, idle: Step = IDLE) -> Schedule:
    """Return a schedule in which the target idles, does the tasks of `load`, and idles again."""
    return Schedule(workers=1, steps=(idle, load, wait_idle(), idle))


def idle_of(description: TargetDescription) -> Step:
    """Return the wait in which a target shows its idle requests: longer if its lease is."""
    return IDLE if description.contract.lease_ms <= SHORT_LEASE_MS else LONG_IDLE


def lives(description: TargetDescription) -> dict[str, Step]:
    """Return the step that creates a task of each life that the target supports, by life."""
    return lives_of(description.takes, description.contract.max_attempts)


def learn(runner: TracingRunner, description: TargetDescription) -> Iterator[tuple[str, Alphabet]]:
    """Run each life RUNS times, and yield its name with the alphabet of its requests."""
    for name, load in lives(description).items():
        traces = []
        for _ in range(RUNS):
            result, requests = runner.trace(life(load, idle_of(description)))
            traces.append(tuple(_learned_requests(result, requests)))
        statistics = wire_alphabet.learn(traces)
        events = [_event_class(entry) for entry in statistics]
        if idle_of(description) == LONG_IDLE:
            # An idle request with a long period does not come in each run of the same life.
            events = [
                replace(event, background=event.background or not min(entry.effect_counts))
                for event, entry in zip(events, statistics, strict=True)
            ]
        yield name, Alphabet(events=tuple(events))


def learn_at_once(runner: TracingRunner, description: TargetDescription) -> Alphabet:
    """Return the alphabet of one run that has one life after the other, sorted by role and event.

    `failing` marks the events that did not come in the first life, which succeeds.
    """
    idle, nothing = wait_idle(), idle_of(description)
    every = tuple(step for load in lives(description).values() for step in (load, idle))
    result, requests = runner.trace(Schedule(workers=1, steps=(nothing, *every, nothing)))
    statistics = wire_alphabet.learn([tuple(_learned_requests(result, requests))])
    steps = result.history.steps if result.history is not None else []
    plain_until_ns = next((s.ended_ns for s in steps if s.step == idle), 0)
    plain = {request.event for request in requests if request.at_ns <= plain_until_ns}
    events = (replace(_event_class(entry), failing=entry.key not in plain) for entry in statistics)
    if nothing == LONG_IDLE:
        done = sum(name != GIVEN_UP for name in lives(description))
        # An idle request with a long period may be missing from the idle time of a run. A request
        # that came less often than tasks were done is not made for each task: it is background.
        events = (
            replace(e, background=e.background or not (e.failing or e.most >= done)) for e in events
        )
    return Alphabet(events=tuple(sorted(events, key=lambda event: (event.role, event.event))))


def merged(alphabets: Sequence[Alphabet]) -> Alphabet:
    """Return one alphabet of several.

    An event is background if it is background in every alphabet that has it.
    """
    found: dict[tuple[str, str], EventClass] = {}
    for event in (event for alphabet in alphabets for event in alphabet.events):
        known = found.get((event.role, event.event))
        if known is None or (known.background and not event.background):
            found[event.role, event.event] = event
    return Alphabet(events=tuple(found.values()))


def save(alphabet: Alphabet, directory: Path) -> None:
    """Write the alphabet to alphabet.json; raises InfrastructureError if that fails."""
    content = {"schema": SCHEMA, "events": [asdict(event) for event in alphabet.events]}
    path = directory / "alphabet.json"
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InfrastructureError(
            cause=f"cannot write {path}: {error.strerror}", remedy="free space or use --out"
        ) from error


def _learned_requests(result: RunResult, requests: Sequence[Request]) -> Iterator[LearnedRequest]:
    history = result.history
    steps = history.steps if history is not None else []
    idle = [(s.began_ns, s.ended_ns) for s in steps if s.step in {IDLE, LONG_IDLE}]
    # Requests before the first step belong to the start of a component.
    from_ns = steps[0].began_ns if steps else 0
    until_ns = steps[-1].ended_ns if steps else 0
    for request in requests:
        if from_ns <= request.at_ns <= until_ns:
            yield LearnedRequest(
                role=request.component.partition("-")[0],
                key=request.event,
                completion=request.completion,
                is_idle=any(began <= request.at_ns <= ended for began, ended in idle),
            )


def _event_class(entry: KeyStatistics) -> EventClass:
    return EventClass(
        role=entry.role,
        event=entry.key,
        background=entry.is_background,
        polled=max(entry.idle_counts) > 0,
        most=max(1, *entry.effect_counts),
    )
