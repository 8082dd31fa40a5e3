"""An action stands in one place: outside `actions/` its name hardly occurs as a literal."""

import ast
from collections import Counter
from pathlib import Path

from chaosfuzz.actions import all_actions

PACKAGE = Path(__file__).parents[2] / "chaosfuzz"
# Keys of scenario files, roles and operations of the reference API that happen to be alike.
MOST = 30


def literals(path: Path, names: set[str]) -> int:
    nodes = ast.walk(ast.parse(path.read_text()))
    return sum(isinstance(n, ast.Constant) and n.value in names for n in nodes)


def test_names_of_actions_are_literals_in_actions_alone():
    names = {action.name for action in all_actions()}
    counted = Counter(
        {
            str(path.relative_to(PACKAGE)): literals(path, names)
            for path in PACKAGE.rglob("*.py")
            if PACKAGE / "actions" not in path.parents
        }
    )
    assert counted.total() < MOST, counted.most_common(5)
