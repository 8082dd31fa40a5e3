"""A saved failing schedule."""

from dataclasses import dataclass

from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.verdict import Signature, Verdict


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Violations among attempts: never one without the other."""

    violations: int
    attempts: int

    def __post_init__(self) -> None:
        """Check that violations are among the attempts."""
        assert 0 <= self.violations <= self.attempts, "violations are among the attempts"

    def __str__(self) -> str:
        """Say it as '19 of 20'."""
        return f"{self.violations} of {self.attempts}"


@dataclass(frozen=True, kw_only=True)
class Needed:
    """How often the failure showed without one step (numbered from 1)."""

    step: int
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Found:
    """Where a case comes from."""

    date: str
    seed: int
    steps: int
    executions_to_shrink: int


PROCESS, DOCKER = "process", "docker"

# What a case written by hand need not say: any failure counts, its rate and origin are unknown.
ANY_FAILURE = Signature(invariant="", kind="", role="")
UNMEASURED = Rate(violations=0, attempts=0)
BY_HAND = Found(date="", seed=0, steps=0, executions_to_shrink=0)


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """How often the failure showed elsewhere: on containers, say, if it was shrunk on processes."""

    on: str
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Case:
    """A schedule with the failure it shows and how often. `expect` is violated or holds.

    `on` is what it was measured on, process or docker.
    `profile` is the file name of the profile that describes the target; whoever replays the case
    says where it is. `documented` is where the target admits the failure, if it does.
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
        """The failure that the case is about, for a reader."""
        return "any failure" if self.signature == ANY_FAILURE else str(self.signature)
