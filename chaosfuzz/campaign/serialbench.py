"""How often the order of requests up to a fault repeats, one at a time and as they come."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from chaosfuzz.campaign.learning import learn_at_once
from chaosfuzz.campaign.nojournal import NoJournal
from chaosfuzz.campaign.scratch import scratch_directory
from chaosfuzz.campaign.serial import serial_seed
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.domain.moment import CLIENT, Alphabet, Moment, Side
from chaosfuzz.domain.schedule import Schedule, make_step
from chaosfuzz.domain.target import TracingRunner
from chaosfuzz.domain.wire import Request
from chaosfuzz.wire.alphabet import is_fruitful, is_housekeeping

SCHEMA = "chaosfuzz.serial/1"
SERIAL, FREE = "serial", "free"
ARMS = (SERIAL, FREE)
WORKERS = 2
STRUCK = "worker-1"
# The second result after the last tasks were asked for: well within the work of both workers.
NTH = 2
_RESULT = "UPDATE tasks SET status='completed'"

Trace = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run of one arm: its trace, and whether the fault's moment never came."""

    arm: str
    number: int
    trace: Trace
    missed: bool


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """How many runs of an arm have the most common trace, and how many traces there were."""

    arm: str
    runs: int
    most_common: int
    distinct: int
    requests: int
    moments_never_came: int


def compose(event: str, seed: int | None) -> Schedule:
    """Return the schedule: eight tasks for two workers, one killed as it has written a result."""
    moment = Moment(event=event, nth=NTH, side=Side.AFTER)
    steps = (
        make_step("create_tasks", count=4, duration_ms=40),
        make_step("create_tasks", count=4, duration_ms=40),
        make_step("kill_worker", worker=1).pinned(moment),
        make_step("wait_idle"),
    )
    return Schedule(workers=WORKERS, steps=steps, serial_seed=seed)


def trace_of(requests: Sequence[Request], alphabet: Alphabet, until_ns: int) -> Trace:
    """Return what is compared: components and keys in the order of the database's answers.

    Requests count that were answered by `until_ns`, when the fault struck; had an effect, as
    how often somebody polls in vain is a matter of time; and are no housekeeping (connections,
    LISTEN, pings) nor background as the alphabet has it (looks for expired leases). The order of
    the answers is that in which requests were let go, one at a time, and what the database did
    otherwise.
    """
    background = {(e.role, e.event) for e in alphabet.events if e.background}
    answered = [
        (request.ended_ns, f"{request.component} {request.event}")
        for request in requests
        if request.ended_ns is not None
        and request.ended_ns <= until_ns
        and is_fruitful(request.completion)
        and request.component != CLIENT
        and not is_housekeeping(request.event)
        and (request.component.partition("-")[0], request.event) not in background
    ]
    return tuple(told for _, told in sorted(answered))


class SerialBench:
    """Runs both arms in turns on the same lane."""

    def __init__(self, runs: int, seed: int, stop: threading.Event) -> None:
        self._runs = runs
        self._seed = seed
        self._stop = stop
        self._samples: list[Sample] = []

    def run(self) -> Iterator[Sample]:
        """Yield every sample as it is taken.

        Raises InfrastructureError if the lane cannot be started, KeyboardInterrupt if stopped.
        """
        setup = Setup(serial=True)
        with (
            scratch_directory("bench serial") as logs,
            closing(setup.runner(0, logs, NoJournal(), self._stop)) as runner,
        ):
            if not isinstance(runner, TracingRunner):
                message = "the target has no moments"
                raise InfrastructureError(message)
            alphabet = learn_at_once(runner, Setup().named.description)
            event = _result_of(alphabet)
            for number in range(1, self._runs + 1):
                for arm in ARMS:
                    seed = serial_seed(self._seed, 1) if arm == SERIAL else None
                    sample = _take(runner, alphabet, compose(event, seed), arm, number)
                    self._samples.append(sample)
                    yield sample

    def repeats(self) -> tuple[Repeats, ...]:
        """Sum up what was measured so far, by arm."""
        found = []
        for arm in ARMS:
            samples = [sample for sample in self._samples if sample.arm == arm]
            traces = Counter(sample.trace for sample in samples)
            for trace, count in traces.most_common(1):
                found.append(
                    Repeats(
                        arm=arm,
                        runs=len(samples),
                        most_common=count,
                        distinct=len(traces),
                        requests=len(trace),
                        moments_never_came=sum(sample.missed for sample in samples),
                    )
                )
        return tuple(found)


def document(repeats: tuple[Repeats, ...], seed: int) -> dict[str, object]:
    """Return the measurement as plain values of the published shape."""
    return {"schema": SCHEMA, "seed": seed, "arms": [asdict(each) for each in repeats]}


def _result_of(alphabet: Alphabet) -> str:
    for event in alphabet.of("worker"):
        if event.event.startswith(_RESULT):
            return event.event
    message = f"no {_RESULT} was seen in a task's life: is the target broken?"
    raise InfrastructureError(message)


def _take(
    runner: TracingRunner, alphabet: Alphabet, schedule: Schedule, arm: str, number: int
) -> Sample:
    result, requests = runner.trace(schedule)
    faults = result.history.faults if result.history is not None else []
    until_ns = min((fault.began_ns for fault in faults), default=None)
    if until_ns is None:
        until_ns = max((r.at_ns for r in requests), default=0)
    return Sample(
        arm=arm,
        number=number,
        trace=trace_of(requests, alphabet, until_ns),
        missed=bool(result.missed),
    )
