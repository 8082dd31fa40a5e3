"""What a saved case can make run: nothing that the user did not name."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from chaosfuzz.campaign.replay import setup_for
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cases import CaseStore
from chaosfuzz.domain.case import Case
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.planning import schedules
from chaosfuzz.profile_tools.writing import WAYS, Answers, write_profile
from chaosfuzz.targets.profiles import describe, load_profile
from chaosfuzz.targets.registry import ready_profiles

CASE = Path(__file__).parents[3] / "shrunk_cases/reference/stuck-no-lease-recovery.yaml"


def case(target: str, profile: str = "") -> Case:
    saved = CaseStore(CASE.parent).load(CASE)
    return replace(saved, target=target, defects=(), profile=profile)


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    shutil.copy(ready_profiles()["procrastinate"], path)
    path.write_text(path.read_text().replace('name = "procrastinate"', 'name = "mine"', 1))
    return path


def test_a_case_of_a_profile_asks_for_it(profile: Path):
    mine = case("mine", "mine.toml")
    with pytest.raises(UsageError, match=r"whose profile 'mine.toml' was not given\n.*--profile"):
        setup_for(mine)
    setup = setup_for(mine, profiles=[profile])
    assert setup.description.name == "mine"
    assert setup.check() == describe(load_profile(profile))


def test_a_case_whose_target_has_the_name_of_a_given_profile_is_of_that_profile(profile: Path):
    assert setup_for(case("mine"), profiles=[profile]).target == str(profile)
    assert setup_for(case("other"), profiles=[profile]).target == "other"


def test_a_profile_of_another_name_does_not_do(profile: Path):
    with pytest.raises(UsageError, match="was not given"):
        setup_for(case("other", str(profile)), profiles=[profile])


@pytest.mark.parametrize("name", ["/etc/evil.toml", "evil.toml", "../evil"])
def test_a_case_never_names_a_file_to_be_run(name: str):
    with pytest.raises(UsageError, match="a path; a case may not name a file"):
        setup_for(case(name))


def test_schedules_of_a_profile_hold_what_it_offers_and_heeds(profile: Path):
    description = Setup(target=str(profile)).description
    drawn = schedules(description.actions, 15, 1, takes=description.takes)
    for _, schedule in zip(range(20), drawn, strict=False):
        for step in schedule.steps:
            assert step.action in description.actions
            if step.action == "create_tasks":
                assert {name for name, _ in step.arguments} <= {"count", "duration_ms", "priority"}


@pytest.mark.parametrize("way", WAYS)
def test_a_profile_that_is_written_can_be_read(tmp_path: Path, way: str):
    hows = {"sql": "insert into jobs values (%(token)s) returning id", "http": "/tasks"}
    answers = Answers(
        name="mine",
        worker="./worker --dsn '{dsn}'",
        ready="up",
        setup="make schema",
        server="./server {port}" if way == "http" else "",
        create=way,
        how=hows.get(way, "./make-task"),
        query='select "id", token, status from jobs',
        guarantee="at-least-once",
    )
    path = tmp_path / "new.toml"
    write_profile(path, answers)
    assert load_profile(path).worker.command == ("./worker", "--dsn", "{dsn}")
    with pytest.raises(UsageError, match="exists"):
        write_profile(path, answers)


def test_answers_that_make_no_profile_leave_no_file(tmp_path: Path):
    answers = Answers(
        name="mine",
        worker="./worker {dns}",
        ready="up",
        setup="",
        server="",
        create="command",
        how="x",
        query="select 1",
        guarantee="at-least-once",
    )
    with pytest.raises(UsageError, match="unknown placeholder"):
        write_profile(tmp_path / "new.toml", answers)
    assert not (tmp_path / "new.toml").exists()
