"""Every error has a cause and a remedy, and no text is split to find one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "chaosfuzz"
MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if "reference" not in p.parts]
ERRORS = {"ChaosfuzzError", "UsageError", "InfrastructureError"}
SPLITTING = {"partition", "rpartition", "split", "rsplit"}


def calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not str(node.value or "").strip()


def without_remedy(call: ast.Call) -> bool:
    """Say whether a call makes an error from an empty remedy or cause, or with one left out."""
    if not isinstance(call.func, ast.Name) or call.func.id not in ERRORS:
        return False
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    return {*given} != {"cause", "remedy"} or any(map(is_empty, given.values()))


def splits(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in SPLITTING:
        return False
    return any(isinstance(a, ast.Constant) and str(a.value).strip() == ";" for a in call.args)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_error_is_raised_without_a_remedy(path: Path):
    assert [call.lineno for call in calls(path) if without_remedy(call)] == []


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_text_is_split_to_find_a_remedy(path: Path):
    assert [call.lineno for call in calls(path) if splits(call)] == []


@pytest.mark.parametrize(
    "source",
    [
        "UsageError('x; y')",
        "UsageError(cause='x')",
        "InfrastructureError(cause='x', remedy='')",
        "InfrastructureError(cause='', remedy='y')",
    ],
)
def test_an_error_without_a_remedy_is_noticed(source: str):
    (call,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    assert without_remedy(call)


def test_errors_are_made_in_many_modules():
    assert sum(any(_is_error(call) for call in calls(path)) for path in MODULES) > 50


def _is_error(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in ERRORS
