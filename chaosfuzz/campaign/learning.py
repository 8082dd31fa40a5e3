"""Learns from undisturbed runs what requests a target makes in the life of one task."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.moment import Alphabet, EventClass
from chaosfuzz.domain.schedule import Schedule, Step, make_step
from chaosfuzz.domain.target import RunResult, TracingRunner
from chaosfuzz.domain.wire import Request
from chaosfuzz.wire import alphabet as wire_alphabet
from chaosfuzz.wire.alphabet import Letter, Sighting

SCHEMA = "chaosfuzz.alphabet/1"
IDLE = make_step("wait", ms=350)
RUNS = 2
# Longer than a heartbeat's interval, shorter than two.
WORK_MS = 150

LIVES: dict[str, Step] = {
    "done": make_step("create_tasks", count=1, duration_ms=WORK_MS),
    "done at the second attempt": make_step("create_tasks", count=1, failures=1),
    "given up": make_step("create_tasks", count=1, failures=9),
}


def life(load: Step) -> Schedule:
    """Return the schedule of one task's life, with nothing to do before and after."""
    return Schedule(workers=1, steps=(IDLE, load, make_step("wait_idle"), IDLE))


def learn(runner: TracingRunner) -> Iterator[tuple[str, Alphabet]]:
    """Yield the name of each life with what was learned from it."""
    for name, load in LIVES.items():
        traces = []
        for _ in range(RUNS):
            result, requests = runner.trace(life(load))
            traces.append(tuple(_sightings(result, requests)))
        letters = wire_alphabet.learn(traces)
        yield name, Alphabet(events=tuple(_event_class(letter) for letter in letters))


def learn_at_once(runner: TracingRunner) -> Alphabet:
    """Return what one run with one life after the other shows, in an order that does not vary."""
    idle = make_step("wait_idle")
    lives = tuple(step for load in LIVES.values() for step in (load, idle))
    result, requests = runner.trace(Schedule(workers=1, steps=(IDLE, *lives, IDLE)))
    letters = wire_alphabet.learn([tuple(_sightings(result, requests))])
    steps = result.history.steps if result.history is not None else []
    plain_until_ns = next((s.ended_ns for s in steps if s.step == idle), 0)
    plain = {request.event for request in requests if request.at_ns <= plain_until_ns}
    events = (replace(_event_class(letter), failing=letter.key not in plain) for letter in letters)
    return Alphabet(events=tuple(sorted(events, key=lambda event: (event.role, event.event))))


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
        message = f"cannot write {path}: {error.strerror}; free space or use --out"
        raise InfrastructureError(message) from error


def _sightings(result: RunResult, requests: Sequence[Request]) -> Iterator[Sighting]:
    history = result.history
    steps = history.steps if history is not None else []
    idle = [(s.began_ns, s.ended_ns) for s in steps if s.step == IDLE]
    until_ns = steps[-1].ended_ns if steps else 0
    for request in requests:
        if request.at_ns <= until_ns:
            yield Sighting(
                role=request.component.partition("-")[0],
                key=request.event,
                completion=request.completion,
                is_idle=any(began <= request.at_ns <= ended for began, ended in idle),
            )


def _event_class(letter: Letter) -> EventClass:
    return EventClass(
        role=letter.role,
        event=letter.key,
        background=letter.is_background,
        polled=max(letter.idle_counts) > 0,
        most=max(1, *letter.fruitful_counts),
    )
