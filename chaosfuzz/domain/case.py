"""A saved failing schedule."""

from dataclasses import dataclass

from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.verdict import Signature, Verdict


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How many of a number of runs showed a failure. `str` gives "19 of 20"."""

    violations: int
    attempts: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        assert 0 <= self.violations <= self.attempts, "violations are among the attempts"

    def __str__(self) -> str:
        """Return violations and attempts as '19 of 20'."""
        return f"{self.violations} of {self.attempts}"


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How often the failure showed without one step (numbered from 1)."""

    step: int
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Found:
    """When and how a case was found.

    `date` is the ISO date, `seed` that of the search, `steps` the length of the schedule before
    shrinking, `executions_to_shrink` the number of runs that shrinking took.
    """

    date: str
    seed: int
    steps: int
    executions_to_shrink: int


PROCESS, DOCKER = "process", "docker"

# A case written by hand may leave these out: any failure counts, rate and origin are unknown.
ANY_FAILURE = Signature(invariant="", kind="", role="")
UNMEASURED = Rate(violations=0, attempts=0)
BY_HAND = Found(date="", seed=0, steps=0, executions_to_shrink=0)


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """How often the failure showed on `on` (process or docker), if it was shrunk on the other."""

    on: str
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Case:
    """A schedule with the failure it shows and how often.

    - `expect`: the verdict that a replay should have now, VIOLATED or HOLDS.
    - `on`: the platform on which `reproduces` was measured, process or docker.
    - `profile`: the file name of the target's profile; a replay needs its path. Empty: no file.
    - `documented`: the source where the target admits the failure. Empty: it does not.
    """

    title: str
    target: str
    defects: tuple[str, ...]
    contract: str
    signature: Signature
    schedule: Schedule
    reproduces: Rate
    found: Found
    expect: Verdict = Verdict.HOLDS
    needed: tuple[Needed, ...] = ()
    on: str = PROCESS
    confirmed: Confirmed | None = None
    profile: str = ""
    documented: str = ""

    def is_own(self, signature: Signature) -> bool:
        """Say whether a failure of this signature is the one that the case is about."""
        return self.signature in {ANY_FAILURE, signature}

    @property
    def failure(self) -> str:
        """The failure that the case is about in words: its signature, or "any failure"."""
        return "any failure" if self.signature == ANY_FAILURE else str(self.signature)
