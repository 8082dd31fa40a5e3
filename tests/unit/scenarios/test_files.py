import re
from pathlib import Path

import pytest

from chaosfuzz.checked_toml import keys_at
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.scenarios import LEVELS, SCENARIOS, Chaos, Create, StopDatabase
from chaosfuzz.scenarios.catalogue import Catalogue, choose, known_scenarios
from chaosfuzz.scenarios.files import PHASES, load_file
from chaosfuzz.scenarios.runner import planned

MINIMAL = 'summary = "x"\n[[phases]]\ndo = "create"\n'


def toml(directory: Path, text: str, name: str = "mine.toml") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_what_a_file_leaves_out_comes_from_the_level(tmp_path: Path):
    text = MINIMAL + '[[phases]]\ndo = "chaos"\n'
    scenario = load_file(toml(tmp_path, text))
    for level in (LEVELS[2], LEVELS[5]):
        program = scenario.plan(level)
        create, chaos = program.phases
        assert isinstance(create, Create)
        assert isinstance(chaos, Chaos)
        assert (create.count, create.task_s) == (level.tasks, level.task_s)
        assert (chaos.interval_s, chaos.at_least) == (level.interval_s, level.kills)
        assert (program.workers, program.deadline_s) == (level.workers, level.deadline_s)
        assert (program.completion, program.may_be_late) == (level.completion, level.may_be_late)


def test_what_a_file_says_is_kept(tmp_path: Path):
    text = (
        'summary = "x"\nworkers = 3\ndeadline_s = 7\ncompletion = 0.5\nmay_be_late = true\n'
        '[[phases]]\ndo = "stop_database"\ndown_s = 3\nmode = "kill"\n'
        '[[phases]]\ndo = "chaos"\ninterval_s = [1, 2.5]\n'
    )
    scenario = load_file(toml(tmp_path, text))
    program = scenario.plan(LEVELS[1])
    assert (scenario.name, scenario.summary) == ("mine", "x")
    assert program.phases[0] == StopDatabase(down_s=3, mode="kill")
    assert program.phases[1] == Chaos(interval_s=(1, 2.5), at_least=1)
    figures = (program.workers, program.deadline_s, program.completion, program.may_be_late)
    assert figures == (3, 7, 0.5, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("summary = ", "1: not TOML: Invalid value"),
        (
            "[[phases]]\ndo = 'wait'\nfor_s = 1",
            "1: summary is missing (one line about the scenario)\nadd it",
        ),
        ("summary = 'x'\nphases = []", "2: phases is empty\ngive at least one"),
        ("summary = 1\n" + MINIMAL[14:], "1: summary=1: it has to be text in quotes\n"),
        ("speed = 3\n" + MINIMAL, "unknown key speed\nremove it, or use one of: summary, phases"),
        ("workers = 9\n" + MINIMAL, "1: workers=9 is out of range\nuse 1 to 5"),
        ("completion = 1.5\n" + MINIMAL, "completion=1.5 is out of range\nuse 0 to 1"),
        (MINIMAL + "[[phases]]\n", "4: phases[1].do is None\nuse one of: create, "),
        (MINIMAL + "[[phases]]\ndo = 'explode'", "5: phases[1].do is 'explode'\nuse one of"),
        (MINIMAL + "count = 0", "4: phases[0].count=0 is out of range\nuse 1 to 1000"),
        (MINIMAL + "count = 'many'", "phases[0].count='many': it has to be a whole number\n"),
        (
            MINIMAL + "colour = 'red'",
            "unknown key phases[0].colour\nremove it, or use one of: count",
        ),
        (MINIMAL + "task_type = 'tea'", "phases[0].task_type: 'tea' is unknown\nuse one of: probe"),
        (MINIMAL + "[[phases]]\ndo = 'wait'", "4: phases[1].for_s is missing (how long)\nadd it"),
        (
            MINIMAL + "[[phases]]\ndo = 'chaos'\ninterval_s = [2, 1]",
            "6: phases[1].interval_s: it ends at 1, before 2\nput",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_told_with_file_line_key_value_and_remedy(
    tmp_path: Path, text: str, told: str
):
    path = toml(tmp_path, text)
    with pytest.raises(UsageError, match=re.escape(told)) as raised:
        load_file(path)
    assert raised.value.text.startswith(f"{path}:")


def test_the_page_tells_what_each_phase_takes():
    text = (Path(__file__).parents[3] / "docs/scenarios.md").read_text(encoding="utf-8")
    for name, phase in PHASES.items():
        row = re.search(rf"^\| {name} \|(.*)\|$", text, re.MULTILINE)
        assert row is not None, name
        assert set(keys_at(phase, ())) <= set(re.findall(r"[a-z_]+", row[1])), name


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path):
    text = 'summary = 1\nworkers = 9\n[[phases]]\ndo = "wait"\nfor = 1\n[[phases]]\ndo = "pause"\n'
    with pytest.raises(UsageError) as raised:
        load_file(toml(tmp_path, text))
    told = raised.value.cause.replace(f"{tmp_path / 'mine.toml'}:", "").splitlines()
    assert told[::2] == [
        "1: summary=1: it has to be text in quotes",
        "2: workers=9 is out of range",
        "3: phases[0].for_s is missing (how long)",
        "5: unknown key phases[0].for",
        "7: phases[1].do is 'pause'",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "has no function plan(level) that returns a Program"),
    ],
)
def test_a_python_file_that_is_no_scenario_is_told(tmp_path: Path, text: str, told: str):
    with pytest.raises(UsageError, match=re.escape(told)):
        load_file(toml(tmp_path, text, "mine.py"))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("from chaosfuzz.scenarios import Scale; Scale(workers=9)", r"Scale: workers=9 is out of"),
        ("return 1", "gave 1, which is no Program"),
        ("return level.nothing", "AttributeError"),
    ],
)
def test_a_python_plan_that_fails_is_told_with_its_file(tmp_path: Path, body: str, told: str):
    path = toml(tmp_path, f"def plan(level):\n    {body}\n", "mine.py")
    with pytest.raises(UsageError, match=told) as raised:
        planned(load_file(path), LEVELS[1])
    assert str(path) in raised.value.text


@pytest.mark.parametrize("name", ["Mine.toml", "my scenario.toml", "-x.toml"])
def test_a_file_whose_name_is_no_scenario_name_is_refused(tmp_path: Path, name: str):
    with pytest.raises(UsageError, match="is no name of a scenario\nuse lower case"):
        load_file(toml(tmp_path, MINIMAL, name))


def test_files_join_the_built_in_ones(tmp_path: Path):
    toml(tmp_path, MINIMAL, "mine.toml")
    toml(tmp_path, "not even TOML", "_draft.toml")
    toml(tmp_path, "not a scenario", "README.md")
    names = [scenario.name for scenario in known_scenarios(tmp_path).scenarios]
    assert names == [*(scenario.name for scenario in SCENARIOS), "mine"]


BUILT_IN = Catalogue(SCENARIOS, {})


@pytest.mark.parametrize("name", ["baseline.toml", "all.toml"])
def test_a_file_cannot_take_a_name_that_is_taken(tmp_path: Path, name: str):
    toml(tmp_path, MINIMAL, name)
    with pytest.raises(UsageError, match=r"is there already .*\nrename the file"):
        choose([name.removesuffix(".toml")], known_scenarios(tmp_path))


def test_a_broken_file_stops_no_other_scenario(tmp_path: Path):
    toml(tmp_path, "summary = ", "broken.toml")
    toml(tmp_path, MINIMAL, "good.toml")
    known = known_scenarios(tmp_path)
    assert [scenario.name for scenario in choose(["good", "baseline"], known)] == [
        "good",
        "baseline",
    ]
    assert [*known.broken] == ["broken"]
    with pytest.raises(UsageError, match=r"broken.toml:1: not TOML: .*\ncorrect this line"):
        choose(["broken"], known)


def test_scenarios_are_chosen_once_each_in_the_order_named():
    chosen = choose(["recovery", "baseline", "recovery"], BUILT_IN)
    assert [scenario.name for scenario in chosen] == ["recovery", "baseline"]
    assert choose(["all"], BUILT_IN) == SCENARIOS


def test_an_unknown_scenario_is_told_with_the_nearest_and_all_there_are():
    with pytest.raises(UsageError, match=r"unknown scenario 'basline'\ndid you mean baseline\?"):
        choose(["basline"], BUILT_IN)
    with pytest.raises(UsageError, match=r"choose among: baseline, db-failure, .*, and all"):
        choose(["zzz"], BUILT_IN)
