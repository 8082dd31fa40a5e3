"""The judge of runs that only show what a target does."""

from chaosfuzz.domain.fault import Judgement
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.domain.view import View


class Unjudging:
    """Implements Judge; leaves everything undecided."""

    def judge(self, view: View, step: int | None) -> Judgement:
        """Find nothing."""
        return Judgement(verdict=Verdict.UNKNOWN)
