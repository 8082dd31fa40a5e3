from pathlib import Path

import pytest

from chaosfuzz.checking import default_directories, load_invariants
from chaosfuzz.checking.loading import builtin_directory
from chaosfuzz.domain.errors import UsageError

GOOD = '''
from chaosfuzz.domain import Finding, invariant

@invariant(kind="LOST")
def {name}(view):
    """{summary}"""
    yield Finding(message="m")
'''


def put(directory: Path, file: str, name: str, summary: str = "Nothing is lost.") -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / file
    path.write_text(GOOD.format(name=name, summary=summary))
    return path


def refusal(directory: Path) -> str:
    with pytest.raises(UsageError) as caught:
        load_invariants([directory])
    assert "\n" not in caught.value.cause
    return caught.value.text


def test_the_built_in_ones_are_found():
    names = [found.name for found in load_invariants([builtin_directory()])]
    assert "no_lost_tasks" in names
    assert len(names) == len(set(names)) >= 19


def test_every_built_in_one_says_what_it_is_about():
    for found in load_invariants([builtin_directory()]):
        assert found.summary.endswith("."), found.name


def test_a_file_dropped_into_a_directory_is_found(tmp_path: Path):
    put(tmp_path, "mine.py", "mine")
    (tmp_path / "_helper.py").write_text("1 / 0")
    (tmp_path / "notes.txt").write_text("")
    (found,) = load_invariants([tmp_path])
    assert (found.name, found.kind, found.summary) == ("mine", "LOST", "Nothing is lost.")


def test_one_file_may_hold_several(tmp_path: Path):
    text = GOOD.format(name="one", summary="") + GOOD.format(name="two", summary="")
    (tmp_path / "both.py").write_text(text + "\nalias = one\n")
    assert [found.name for found in load_invariants([tmp_path])] == ["one", "two"]


def test_a_file_replaces_one_of_the_same_name(tmp_path: Path):
    put(tmp_path / "a", "lost.py", "lost", "Theirs.")
    put(tmp_path / "b", "lost.py", "lost", "Mine.")
    (found,) = load_invariants([tmp_path / "a", tmp_path / "b"])
    assert found.summary == "Mine."


def test_refuses_two_of_one_name(tmp_path: Path):
    first = put(tmp_path, "a.py", "lost")
    second = put(tmp_path, "b.py", "lost")
    told = refusal(tmp_path)
    assert told.startswith(f"{second}: invariant 'lost' is already in {first}\nrename one")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("x = 1\ndef broken(:\n", ":2: cannot be imported: SyntaxError: "),
        ("\n\nimport no_such_module\n", ":3: cannot be imported: ModuleNotFoundError: No module"),
        ("def f():\n    1 / 0\nf()\n", ":2: cannot be imported: ZeroDivisionError: "),
        (
            "import sys\nsys.exit('bye')\n",
            ":2: cannot be imported: SystemExit: bye\ncorrect that line",
        ),
        ("x = 1\n", ": defines no invariant\ndecorate a function with @invariant(kind=...)"),
        ("", ": defines no invariant\ndecorate"),
        ("\0", ": cannot be imported: "),
        ("# coding: klingon\n", ": cannot be imported: "),
        (
            "from chaosfuzz.domain import invariant\n@invariant(kind='SAD')\ndef f(v): ...\n",
            ":2: cannot be imported: ValueError: 'SAD' is not a valid Kind\ncorrect that line",
        ),
    ],
)
def test_refuses_a_file_that_gives_none(tmp_path: Path, content: str, expected: str):
    path = tmp_path / "mine.py"
    path.write_text(content)
    told = refusal(tmp_path)
    assert told.startswith(str(path))
    assert expected in told


class TestDirectories:
    def test_those_here_are_added_if_there_are_any(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.chdir(tmp_path)
        assert default_directories() == (builtin_directory(),)
        (tmp_path / "invariants").mkdir()
        assert default_directories() == (builtin_directory(), tmp_path / "invariants")

    def test_a_directory_named_must_be_there(self, tmp_path: Path):
        with pytest.raises(
            UsageError, match="there is no such directory of invariants\nname one that exists"
        ):
            default_directories(tmp_path / "none")

    def test_a_directory_named_must_hold_something(self, tmp_path: Path):
        with pytest.raises(UsageError, match=r"holds no invariants\nput a \.py file"):
            default_directories(tmp_path)

    def test_the_built_in_ones_named_again_are_themselves(self):
        found = load_invariants(default_directories(builtin_directory()))
        assert len(found) == len(load_invariants([builtin_directory()]))
