"""Shrinks on processes what was found on containers, and confirms it there."""

import threading
from collections.abc import Iterator
from dataclasses import replace

from chaosfuzz.campaign.events import Event
from chaosfuzz.campaign.reduction import Reduction
from chaosfuzz.campaign.sighting import Sighting
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.case import Confirmed, Rate
from chaosfuzz.domain.moment import Alphabet
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.target import Runner
from chaosfuzz.domain.verdict import Signature

LOOKS = 8
CONFIRMATIONS = 10


def shows_on(
    runner: Runner, setup: Setup, sighting: Sighting, stop: threading.Event
) -> Sighting | None:
    """Return the same failure of the same schedule as a quicker runner shows it, None if not."""
    assert sighting.result.failure is not None
    wanted = sighting.result.failure.signature
    offered = setup.check().actions
    if any(step.action not in offered for step in sighting.result.schedule.steps):
        return None
    for number in range(1, LOOKS + 1):
        if stop.is_set():
            return None
        result = runner.run(sighting.result.schedule).showing(wanted)
        if result.failure is not None and result.failure.signature == wanted:
            return Sighting(result=result, rate=Rate(violations=1, attempts=number))
    return None


def reduce_elsewhere(
    reduction: Reduction,
    setup: Setup,
    quick: Runner,
    slow: Runner,
    sighting: Sighting,
    alphabet: Alphabet | None,
    stop: threading.Event,
) -> Iterator[Event]:
    """Reduce on the quick runner and confirm on the slow one; on that alone if only it fails."""
    seen = shows_on(quick, setup, sighting, stop)
    if seen is None:
        yield from reduction.reduce(slow, sighting, alphabet)
        return

    def confirm(schedule: Schedule, signature: Signature) -> Confirmed | None:
        runs = [slow.run(schedule) for _ in range(CONFIRMATIONS) if not stop.is_set()]
        failures = [result.showing(signature).failure for result in runs]
        same = sum(f is not None and f.signature == signature for f in failures)
        rate = Rate(violations=same, attempts=len(failures))
        return Confirmed(on=reduction.setup.on, rate=rate) if failures else None

    yield from replace(reduction, setup=setup, confirm=confirm).reduce(quick, seen, alphabet)
