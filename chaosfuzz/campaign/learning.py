"""Learns from undisturbed runs what requests a target makes in the life of one task."""

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
# Long enough to see twice what comes again and again with nothing to do. Who gives leases of
# seconds looks around every second or two.
IDLE = wait(ms=350)
LONG_IDLE = wait(ms=2500)
RUNS = 2


def life(load: Step, idle: Step = IDLE) -> Schedule:
    """Return the schedule of one task's life, with nothing to do before and after."""
    return Schedule(workers=1, steps=(idle, load, wait_idle(), idle))


def idle_of(description: TargetDescription) -> Step:
    """Return the wait in which a target shows what it does with nothing to do."""
    return IDLE if description.contract.lease_ms <= SHORT_LEASE_MS else LONG_IDLE


def lives(description: TargetDescription) -> dict[str, Step]:
    """Return the lives that a task of a target can have."""
    return lives_of(description.takes, description.contract.max_attempts)


def learn(runner: TracingRunner, description: TargetDescription) -> Iterator[tuple[str, Alphabet]]:
    """Yield the name of each life with what was learned from it."""
    for name, load in lives(description).items():
        traces = []
        for _ in range(RUNS):
            result, requests = runner.trace(life(load, idle_of(description)))
            traces.append(tuple(_learned_requests(result, requests)))
        statistics = wire_alphabet.learn(traces)
        events = [_event_class(entry) for entry in statistics]
        if idle_of(description) == LONG_IDLE:
            # What is seldom done with nothing to do does not come in each run of the same life.
            events = [
                replace(event, background=event.background or not min(entry.effect_counts))
                for event, entry in zip(events, statistics, strict=True)
            ]
        yield name, Alphabet(events=tuple(events))


def learn_at_once(runner: TracingRunner, description: TargetDescription) -> Alphabet:
    """Return what one run with one life after the other shows, in an order that does not vary."""
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
        events = (_of_a_task(event, done) for event in events)
    return Alphabet(events=tuple(sorted(events, key=lambda event: (event.role, event.event))))


def _of_a_task(event: EventClass, done: int) -> EventClass:
    """Return the event, as background if it came less often than tasks were done: it is no task's.

    What is seldom done with nothing to do cannot be waited for.
    """
    return event if event.failing or event.most >= done else replace(event, background=True)


def merged(alphabets: Sequence[Alphabet]) -> Alphabet:
    """Return one alphabet of several; an event is background if it is in all that have it."""
    found: dict[tuple[str, str], EventClass] = {}
    for event in (event for alphabet in alphabets for event in alphabet.events):
        known = found.get((event.role, event.event))
        if known is None or (known.background and not event.background):
            found[event.role, event.event] = event
    return Alphabet(events=tuple(found.values()))


def save(alphabet: Alphabet, directory: Path) -> None:
    """Write the alphabet beside the other results of a run."""
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
    # What a component asks when it starts comes once in its life, before any step.
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
