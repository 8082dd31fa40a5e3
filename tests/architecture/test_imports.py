"""What may import what, and how large a module may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "chaosfuzz"
MAX_LINES = 400
MODULES = sorted(PACKAGE.rglob("*.py"))
INVARIANTS = sorted((ROOT / "invariants").glob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_imports_flow_one_way():
    program = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((PACKAGE / "reference").rglob("*.py")), ids=shown)
def test_the_reference_system_imports_nothing_else_of_chaosfuzz(path: Path):
    own = [module for module in imported(path) if within(module, "chaosfuzz")]
    assert [module for module in own if not within(module, "chaosfuzz.reference")] == []


def test_planning_alone_imports_hypothesis():
    importers = {
        shown(path)
        for path in MODULES
        if any(within(module, "hypothesis") for module in imported(path))
    }
    assert importers
    assert {path for path in importers if not path.startswith("chaosfuzz/planning/")} == set()


@pytest.mark.parametrize("path", sorted((PACKAGE / "domain").rglob("*.py")), ids=shown)
def test_the_domain_imports_itself_and_the_standard_library(path: Path):
    for module in imported(path):
        top = module.split(".")[0]
        assert within(module, "chaosfuzz.domain") or top in sys.stdlib_module_names, module


@pytest.mark.parametrize("path", INVARIANTS, ids=shown)
def test_an_invariant_imports_the_domain_and_the_standard_library(path: Path):
    for module in imported(path):
        top = module.split(".")[0]
        assert module == "chaosfuzz.domain" or top in sys.stdlib_module_names, module


@pytest.mark.parametrize("path", INVARIANTS, ids=shown)
def test_an_invariant_file_is_named_after_its_invariant(path: Path):
    assert f"def {path.stem}(view: View)" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*MODULES, *INVARIANTS], ids=shown)
def test_a_module_is_of_a_size_that_one_can_read(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_no_module_imports_itself_by_way_of_others():
    """Imports for type checkers alone may go round: they are not there when the code runs."""
    graph = grimp.build_graph("chaosfuzz", cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    # A module that imports nothing that is left cannot be on a circle.
    while done := {module for module, found in imports.items() if not found & imports.keys()}:
        imports = {module: found for module, found in imports.items() if module not in done}
    importers = {
        module: {m for m, found in imports.items() if module in found} for module in imports
    }
    while outer := {module for module, found in importers.items() if not found & importers.keys()}:
        importers = {module: found for module, found in importers.items() if module not in outer}
    assert sorted(importers) == []
