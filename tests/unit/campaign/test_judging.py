"""Judging and refreshing without a target."""

from dataclasses import replace
from pathlib import Path

import pytest

from chaosfuzz.campaign import replay as replaying
from chaosfuzz.campaign.refreshing import nearest, renamed
from chaosfuzz.campaign.replay import CaseReplay, Standing, stale_steps
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import load_case
from chaosfuzz.domain.case import Case, Rate
from chaosfuzz.domain.moment import Alphabet, EventClass
from chaosfuzz.domain.schedule import Schedule
from chaosfuzz.domain.stop import StopSignal
from chaosfuzz.domain.target import RunResult
from chaosfuzz.domain.verdict import Failure, Signature, Verdict
from chaosfuzz.reporting.eventlog import EventLog

EVENT = "UPDATE tasks SET status='running' [49d0f7f9]"
OWN = Signature(invariant="no_overlap", kind="OVERLAP", role="worker")


def case(expect: str = "violated", *, violations: int = 10, attempts: int = 10) -> Case:
    text = (
        "target: {name: simulated}\nsteps:\n  - create_tasks: {}\n"
        f'  - kill_worker: {{worker: 1, at: {{after: "{EVENT}"}}}}\n'
    )
    rate = Rate(violations=violations, attempts=attempts)
    return replace(load_case(text, "x"), expect=Verdict(expect), signature=OWN, reproduces=rate)


class Scripted:
    """A runner whose runs go as written: v violated, o another failure, h holds, m missed, u."""

    def __init__(self, script: str) -> None:
        self.script = script
        self.runs = 0

    def run(self, schedule: Schedule) -> RunResult:
        kind = self.script[self.runs % len(self.script)]
        self.runs += 1
        if kind in "vo":
            signature = OWN if kind == "v" else replace(OWN, kind="LOST")
            failure = Failure(signature=signature, message="broken", tasks=(), step=None)
            return RunResult(schedule=schedule, verdict=Verdict.VIOLATED, failure=failure)
        if kind == "u":
            return RunResult(
                schedule=schedule, verdict=Verdict.UNKNOWN, undecided=("the machine stood still",)
            )
        missed = (1,) if kind == "m" else ()
        return RunResult(schedule=schedule, verdict=Verdict.HOLDS, missed=missed)

    def close(self) -> None:
        return None


def judged(
    case: Case, script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[CaseReplay, Scripted]:
    runner = Scripted(script)
    monkeypatch.setattr(Setup, "runner", lambda *_: runner)
    replay = CaseReplay(case, Setup(target="simulated"))
    log = EventLog(tmp_path / "events.jsonl")
    assert list(replay.run(tmp_path, log, StopSignal())) == replay.tries
    log.close()
    return replay, runner


@pytest.mark.parametrize(
    ("script", "runs", "standing"),
    [
        ("v", 2, Standing.EXPECTED),
        ("hv", 8, Standing.EXPECTED),
        ("h", 13, Standing.UNEXPECTED),
        ("v" + "h" * 19, 18, Standing.UNEXPECTED),
        # A run that another failure ended could not show the case's own.
        ("o", 20, Standing.UNDECIDED),
        ("ov", 4, Standing.EXPECTED),
        ("oh", 26, Standing.UNEXPECTED),
        ("oooh", 26, Standing.UNDECIDED),
        ("hhv", 60, Standing.UNDECIDED),
        ("m", 3, Standing.UNDECIDED),
        ("u", 20, Standing.UNDECIDED),
        ("muv", 6, Standing.EXPECTED),
    ],
)
def test_a_violated_case_is_run_until_it_is_decided(
    script: str, runs: int, standing: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    replay, runner = judged(case(), script, tmp_path, monkeypatch)
    assert (runner.runs, replay.judgement("x").standing) == (runs, standing)


@pytest.mark.parametrize(
    ("script", "rate", "runs", "standing"),
    [
        ("h", (10, 10), 1, Standing.EXPECTED),
        ("h", (2, 10), 22, Standing.EXPECTED),
        ("h", (0, 0), 3, Standing.EXPECTED),
        ("hv", (2, 10), 2, Standing.UNEXPECTED),
        ("o", (10, 10), 1, Standing.UNEXPECTED),
        ("mmh", (10, 10), 3, Standing.EXPECTED),
        ("m", (10, 10), 3, Standing.UNDECIDED),
        ("h", (1, 100), 60, Standing.EXPECTED),
    ],
)
def test_a_case_that_is_to_hold_is_run_until_the_old_rate_would_have_shown(
    script: str,
    rate: tuple[int, int],
    runs: int,
    standing: Standing,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    held = case("holds", violations=rate[0], attempts=rate[1])
    replay, runner = judged(held, script, tmp_path, monkeypatch)
    assert (runner.runs, replay.judgement("x").standing) == (runs, standing)


def test_what_limits_a_judgement_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    replay, _ = judged(case(), "muv", tmp_path, monkeypatch)
    assert replay.judgement("x").note == (
        "the moment of step 2 never came in 2 of 6 runs; "
        "2 of 6 runs were undecided: the machine stood still"
    )
    rare = case("holds", violations=1, attempts=100)
    replay, _ = judged(rare, "h", tmp_path, monkeypatch)
    assert "at the saved rate of 1 of 100, " in replay.judgement("x").note


def test_another_failure_that_hides_the_case_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    replay, _ = judged(case(), "ov", tmp_path, monkeypatch)
    other = "another failure showed first in 2 of 4 runs (no_overlap/LOST/worker)"
    assert (str(replay.today), replay.judgement("x").note) == ("2 of 2", other)
    replay, _ = judged(case(), "o", tmp_path, monkeypatch)
    reason = replay.judgement("my.yaml").reason
    assert "another failure showed first in 20 of 20 runs (no_overlap/LOST/worker)" in reason
    assert "my.yaml" in reason


def test_a_case_is_stale_if_its_request_is_no_longer_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    today = Alphabet(events=(EventClass(role="worker", event="UPDATE jobs [00000000]"),))
    monkeypatch.setattr(replaying, "requests_of", lambda *_: today)
    for expect in ("violated", "holds"):
        replay, runner = judged(case(expect), "m", tmp_path, monkeypatch)
        judgement = replay.judgement("my.yaml")
        assert (runner.runs, judgement.standing) == (3, Standing.STALE)
        assert EVENT in judgement.reason
        assert "chaosfuzz cases refresh my.yaml" in judgement.reason


def test_a_moment_is_looked_for_among_the_requests_of_its_role():
    worker, server = (
        Alphabet(events=(EventClass(role=role, event=EVENT),)) for role in ("worker", "server")
    )
    schedule = case().schedule
    pinned = schedule.steps[1]
    assert pinned.at is not None
    # Without a component the moment is of the worker that the step kills.
    assert stale_steps(schedule, worker) == ()
    assert stale_steps(schedule, server) == (pinned,)
    of_server = pinned.pinned(replace(pinned.at, component="server-1"))
    schedule = replace(schedule, steps=(schedule.steps[0], of_server))
    assert stale_steps(schedule, server) == ()
    assert stale_steps(schedule, worker) == (of_server,)
    assert stale_steps(schedule, None) == ()


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["UPDATE tasks SET status='done' [1]", "INSERT tasks status='running' [49d0f7f9]"], 0),
        (["UPDATE jobs SET status='running' [00000000]", "UPDATE users [49d0f7f9]"], 1),
        (["UPDATE jobs SET status='running' [00000000]", "UPDATE tasks SET a='b' [00000001]"], 1),
        (["SELECT tasks [00000000]", "UPDATE jobs SET status='running' [00000000]"], 1),
        (["UPDATE tasks~0123 [00000000]", "UPDATE x [00000000]"], 0),
    ],
)
def test_the_nearest_request_has_verb_then_statement_then_relation_then_words(
    known: list[str], expected: int
):
    assert nearest(EVENT, known) == (known[expected],)


def test_requests_that_are_equally_near_are_all_told_and_distant_ones_not():
    twins = ["UPDATE tasks SET status='running' [00000001]", f"{EVENT[:-10]}[00000002]"]
    assert nearest(EVENT, twins) == tuple(sorted(twins))
    assert nearest(EVENT, ["UPDATE a SET b='c', d='e' [00000000]", "DELETE tasks"]) == ()
    assert nearest(EVENT, []) == ()


def test_a_renamed_case_has_the_new_event_and_all_else():
    new = renamed(case(), {EVENT: "UPDATE jobs"})
    at = new.schedule.steps[1].at
    assert at is not None
    assert at.event == "UPDATE jobs"
    assert renamed(new, {"UPDATE jobs": EVENT}) == case()
