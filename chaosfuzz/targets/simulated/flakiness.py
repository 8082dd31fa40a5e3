"""How reliably a planted defect shows in the simulation, and what else fails by chance."""

from dataclasses import dataclass

FULL_LENGTH_STEPS = 15
LOWEST_RATE = 0.02


@dataclass(frozen=True, kw_only=True)
class Flakiness:
    """Probabilities per run, all between 0 and 1.

    A run that reaches a defect shows it with `rate`, which moves in a straight line to
    `final_rate` over `drift_runs` runs and stays there (None: no drift). A schedule of one step
    shows it `short_factor` times as often as one of 15 steps; lengths between lie between.
    `spurious_rate` is the share of runs that fail at a random step with a signature that no
    schedule causes.
    """

    rate: float = 1.0
    final_rate: float | None = None
    drift_runs: int = 200
    short_factor: float = 1.0
    spurious_rate: float = 0.0

    def rate_of(self, *, run: int, steps: int) -> float:
        """Return the probability that the run with this number shows a defect it reaches."""
        rate = self.rate
        if self.final_rate is not None:
            share = min(1.0, run / max(1, self.drift_runs))
            rate += (self.final_rate - self.rate) * share
        shortness = 1 - min(1.0, steps / FULL_LENGTH_STEPS)
        rate *= 1 - shortness * (1 - self.short_factor)
        return min(1.0, max(LOWEST_RATE, rate))


RELIABLE = Flakiness()
