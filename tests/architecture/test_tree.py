"""The tree in ARCHITECTURE.md names every package, and nothing that is not there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TREE = re.search(r"```\n(chaosfuzz/\n.*?)```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)


def named(pattern: str) -> set[str]:
    assert TREE is not None
    return set(re.findall(pattern, TREE[1], re.MULTILINE))


def packages(directory: Path) -> set[str]:
    return {path.parent.name for path in directory.glob("*/__init__.py")}


def modules(directory: Path) -> set[str]:
    return {path.stem for path in directory.glob("*.py") if not path.stem.startswith("_")}


def test_the_tree_names_every_package():
    assert named(r"^  (\w+)/ ") == packages(ROOT / "chaosfuzz")


def test_the_tree_names_every_kind_of_target():
    assert named(r"^    (\w+)/ ") == packages(ROOT / "chaosfuzz/targets")


def test_the_tree_names_the_modules_beside_the_packages():
    assert named(r"^  (\w+) ") == modules(ROOT / "chaosfuzz")


def test_the_tree_names_the_directories_beside_the_package():
    for name in named(r"^(\w+)/ "):
        assert (ROOT / name).is_dir(), name
