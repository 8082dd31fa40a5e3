"""Looks again at a schedule that failed, for the failure that is worth shrinking."""

import threading
from collections import Counter
from dataclasses import dataclass

from chaosfuzz.domain.case import Rate
from chaosfuzz.domain.target import Runner, RunResult
from chaosfuzz.domain.verdict import Signature

RUNS = 8
# Seen so often, the failure that was found is taken; another one has to show once more.
ENOUGH = 2


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """The failure of a schedule that shows most, how often, and the others that showed."""

    result: RunResult
    rate: Rate
    others: tuple[Signature, ...] = ()

    @property
    def rare(self) -> bool:
        """Say whether it has not shown again."""
        return self.rate.violations < ENOUGH


def look_again(runner: Runner, found: RunResult, stop: threading.Event) -> Sighting:
    """Run a failing schedule again until one failure has shown often enough, or RUNS are over.

    A schedule may break several promises; one that breaks now and then hides behind one that
    breaks always, and shrinks far worse.
    """
    assert found.failure is not None
    first = found.failure.signature
    kept: dict[Signature, RunResult] = {}
    seen: Counter[Signature] = Counter()

    def note(result: RunResult) -> None:
        # One look may show the same for several tasks: that is still one run.
        shown = {each.signature: None for each in (result.failure, *result.also) if each}
        for signature in shown:
            seen[signature] += 1
            kept.setdefault(signature, result.showing(signature))

    note(found)
    runs = 1
    while runs <= RUNS and not stop.is_set():
        if seen[first] >= ENOUGH or max(seen.values()) > ENOUGH:
            break
        try:
            result = runner.run(found.schedule)
        except KeyboardInterrupt:
            break
        runs += 1
        note(result)
    chosen = max(seen, key=lambda signature: (seen[signature], signature == first))
    return Sighting(
        result=kept[chosen],
        rate=Rate(violations=seen[chosen], attempts=runs),
        others=tuple(signature for signature in seen if signature != chosen),
    )
