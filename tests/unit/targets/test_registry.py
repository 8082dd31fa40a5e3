"""A target that somebody else registers has every ability that the bundled ones have."""

import tempfile
from pathlib import Path

import pytest

from chaosfuzz.cli import run
from chaosfuzz.domain.check_result import MISSING, OK
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.machine.doctor import check_target
from chaosfuzz.targets.registry import (
    DEFAULT_TARGET,
    describe,
    find_profile,
    find_target,
    ready_profiles,
    target_names,
)

TOY = """
import time
from dataclasses import replace

from chaosfuzz.domain.check_result import BROKEN, OK, CheckResult
from chaosfuzz.domain.contract import Contract, Guarantee
from chaosfuzz.domain.history import Observation
from chaosfuzz.domain.outcome import Reception, Reply
from chaosfuzz.domain.target import Defect, TargetDescription
from chaosfuzz.domain.task import Execution, TaskState, TaskStatus

CONTRACT = Contract(
    guarantee=Guarantee.AT_LEAST_ONCE,
    lease_ms=500,
    recovery_ms=500,
    acknowledgement_grace_ms=200,
    request_timeout_ms=1000,
    health_ms=1000,
    max_attempts=0,
    priorities=False,
)


class ToySystem:
    def __init__(self, contract, forgets):
        self.contract, self.forgets = contract, forgets
        self.tasks, self.runs = [], []

    def observe(self, *, ask_health, count_sessions=False):
        return Observation(at_ns=time.monotonic_ns(), tasks=tuple(self.tasks))

    def executions(self):
        return tuple(self.runs)

    def exits(self):
        return ()

    def worker_names(self):
        return ("worker-1",)

    def create(self, request, due_ns):
        now = time.monotonic_ns()
        if not self.forgets:
            self.runs.append(
                Execution(
                    task_id=request.token,
                    token=request.token,
                    attempt=1,
                    component="worker-1",
                    pid=1,
                    start_ns=now,
                    end_ns=now + 1,
                    result="finished",
                )
            )
            self.tasks.append(
                TaskState(
                    task_id=request.token,
                    token=request.token,
                    status=TaskStatus.COMPLETED,
                    attempts=1,
                    max_attempts=0,
                )
            )
        return Reply(
            reception=Reception.ANSWERED,
            status=201,
            task_id=request.token,
            sent_ns=now,
            ended_ns=time.monotonic_ns(),
        )

    def close(self):
        pass


class ToyLane:
    def __init__(self, target):
        self.target = target

    def open(self, workers):
        return ToySystem(self.target.description.contract, bool(self.target.defects))

    def close(self):
        pass


class Toy:
    guarantees = (Guarantee.AT_LEAST_ONCE, Guarantee.EXACTLY_ONCE_EFFECT)
    places = ("docker",)

    def __init__(self, defects=(), guarantee=Guarantee.AT_LEAST_ONCE, place="memory"):
        self.defects, self.guarantee, self.place = defects, guarantee, place
        self.description = TargetDescription(
            name="toy",
            summary=f"a list in {place}",
            actions=("create_tasks", "wait", "wait_idle"),
            contract=replace(CONTRACT, guarantee=guarantee),
            defects=(Defect(name="forgets", summary="drops tasks", mirrors="a cache"),),
            takes=(),
        )

    def with_defects(self, names):
        return Toy(names, self.guarantee, self.place)

    def with_guarantee(self, guarantee):
        return Toy(self.defects, guarantee, self.place)

    def on(self, place):
        return Toy(self.defects, self.guarantee, "a container")

    def lane(self, index, directory):
        return ToyLane(self)

    def check_machine(self):
        yield CheckResult(name="toy memory", state=OK, detail="there is some")
        yield CheckResult(name="toy broker", state=BROKEN, detail="none", remedy="start one")
        raise RuntimeError("and then it crashed")


class Idle:
    description = replace(Toy().description, name="idle")


class Other:
    description = replace(Toy().description, name="another")
"""
ENTRIES = """
[chaosfuzz.targets]
toy = toy_target:Toy
idle = toy_target:Idle
other = toy_target:Other
gone = toy_target:Gone
"""


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the toy as pip would, for this process alone."""
    (tmp_path / "toy_target.py").write_text(TOY)
    installed = tmp_path / "toy-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)


def chaosfuzz(*arguments: str) -> int:
    """Run a command; each has its results in a directory of its own."""
    return run([*arguments, "--out", tempfile.mkdtemp(dir=Path.cwd())])


def fuzz(*options: str) -> int:
    given = ("--no-faults", "--no-shrink", "--examples", "3", "--seed", "1", "--lanes", "1")
    return chaosfuzz("fuzz", "toy", *given, *options)


def test_it_is_listed_with_the_others():
    names = target_names()
    assert names[0] == DEFAULT_TARGET
    assert {"toy", "simulated", *ready_profiles()} <= set(names)


def test_its_defects_are_listed_planted_and_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["defects", "toy"]) == 0
    assert "forgets\n    drops tasks" in capsys.readouterr().out
    assert fuzz() == 0
    assert fuzz("--defect", "forgets") == 1
    (saved,) = (tmp_path / "shrunk_cases/toy").glob("*.yaml")
    assert chaosfuzz("replay", str(saved), "--times", "1") == 1
    assert chaosfuzz("replay", str(saved), "--times", "1", "--defect", "none") == 0
    assert fuzz("--defect", "unheard-of") == 2
    assert "unknown defect 'unheard-of' of toy" in capsys.readouterr().err


def test_it_runs_elsewhere_and_promises_what_it_is_asked(capsys: pytest.CaptureFixture[str]):
    assert describe("toy", "docker").summary == "a list in a container"
    assert fuzz("--on", "docker", "--contract", "exactly-once-effect") == 0
    assert "toy on docker" in capsys.readouterr().out
    with pytest.raises(UsageError, match="simulated does not run on docker"):
        find_target("simulated", "docker")


def test_doctor_asks_it_and_a_failed_check_of_it_stops_nothing():
    found = [(result.name, result.state, result.detail) for result in check_target("toy")]
    assert found[:2] == [("toy memory", OK, "there is some"), ("toy broker", MISSING, "none")]
    ((name, state, detail),) = found[2:]
    assert (name, state) == ("toy", MISSING)
    assert "RuntimeError: and then it crashed" in detail


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone", "cannot be loaded: AttributeError"),
        ("idle", "has neither `lane` nor `runner`\ngive it a method `lane` or `runner`"),
        ("other", "has no TargetDescription named 'other'"),
        ("unheard-of", "choose among: reference, simulated"),
    ],
)
def test_one_that_cannot_be_used_is_told_with_its_remedy(name: str, told: str):
    with pytest.raises(UsageError) as caught:
        find_target(name)
    assert told in caught.value.text
    (result,) = check_target(name)
    assert (result.state, told in f"{result.detail}\n{result.remedy}") == (MISSING, True)


def test_every_ready_profile_says_what_it_requires():
    for name in ready_profiles():
        (result,) = check_target(name)
        assert (result.name, result.state in {OK, MISSING}) == (name, True)
        assert describe(name).released
        assert find_profile(name).name == name
    with pytest.raises(UsageError, match="not described by a profile"):
        find_profile(DEFAULT_TARGET)
