import os
import sys
from pathlib import Path

import pytest

from chaosfuzz.domain.errors import InfrastructureError
from chaosfuzz.targets.profiles import load_profile
from chaosfuzz.targets.profiles.installing import packages_of
from chaosfuzz.targets.profiles.model import Requirements
from chaosfuzz.targets.profiles.node_packages import NodePackages, cache_root
from chaosfuzz.targets.registry import ready_profiles

# Stands in for npm: makes what package.json names, or fails as the environment asks.
FAKE_NPM = """#!{python}
import json, os, pathlib, sys, time
if os.environ.get("FAKE_NPM") == "fail":
    print("E404 no such package"); sys.exit(7)
if os.environ.get("FAKE_NPM") == "hang":
    time.sleep(60)
wrong = os.environ.get("FAKE_NPM") == "wrong"
assert json.load(open("package.json"))["private"]
for package in (word for word in sys.argv[2:] if not word.startswith("--")):
    name, _, version = package.rpartition("@")
    directory = pathlib.Path("node_modules", name)
    directory.mkdir(parents=True)
    found = "0.0.1" if wrong else version
    (directory / "package.json").write_text(json.dumps({{"version": found}}))
with open(os.environ["FAKE_NPM_CALLS"], "a") as calls:
    print(*sys.argv[1:], file=calls)
"""


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    npm = programs / "npm"
    npm.write_text(FAKE_NPM.format(python=sys.executable))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_NPM_CALLS", str(tmp_path / "calls"))
    return npm


def packages(tmp_path: Path, version: str = "1.2.3", timeout_s: float = 20) -> NodePackages:
    return NodePackages([f"@some/queue@{version}"], tmp_path / "cache", timeout_s)


def calls(tmp_path: Path) -> int:
    path = tmp_path / "calls"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_every_shipped_pin_is_exact():
    pins = [load_profile(path).npm for path in ready_profiles().values()]
    pinned = {
        name: version for npm in pins for name, _, version in (p.rpartition("@") for p in npm)
    }
    assert {"node", "pg-boss", "graphile-worker"} <= pinned.keys()
    for version in pinned.values():
        assert all(part.isdigit() for part in version.split(".")), version
    assert int(pinned["node"].partition(".")[0]) == 22


@pytest.mark.usefixtures("fake_npm")
def test_packages_are_installed_once_and_again_when_a_pin_changes(tmp_path: Path):
    said: list[str] = []
    first = packages(tmp_path)
    first.ensure(said.append)
    assert (first.directory / "node_modules" / "@some" / "queue" / "package.json").exists()
    assert "@some/queue 1.2.3" in said[0]
    packages(tmp_path).ensure(said.append)
    assert calls(tmp_path) == 1
    second = packages(tmp_path, version="1.2.4")
    second.ensure(said.append)
    assert second.directory != first.directory
    assert calls(tmp_path) == 2


@pytest.mark.usefixtures("fake_npm")
def test_what_a_killed_installer_left_is_removed_and_made_anew(tmp_path: Path):
    wanted = packages(tmp_path)
    leftover = tmp_path / "cache" / "npm" / ".partial-1"
    leftover.mkdir(parents=True)
    wanted.directory.mkdir()
    assert not wanted.are_installed()
    wanted.ensure(lambda _: None)
    assert wanted.are_installed()
    assert not leftover.exists()


@pytest.mark.usefixtures("fake_npm")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("fail", "exit code 7: E404 no such package\ncheck that npm reaches its registry"),
        ("hang", "took longer than 0 s"),
        ("wrong", "@some/queue 0.0.1 where 1.2.3 is required"),
    ],
)
def test_an_npm_that_fails_is_quoted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, said: str
):
    monkeypatch.setenv("FAKE_NPM", how)
    wanted = packages(tmp_path, timeout_s=0.3 if how == "hang" else 20)
    with pytest.raises(InfrastructureError, match=said):
        wanted.ensure(lambda _: None)
    assert [path.name for path in (tmp_path / "cache" / "npm").iterdir()] == ["lock"]


def test_a_missing_npm_is_said_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InfrastructureError, match=r"npm is not on PATH.*\ninstall Node.js"):
        packages(tmp_path).ensure(lambda _: None)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("CHAOSFUZZ_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "chaosfuzz"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == Path.home() / ".cache" / "chaosfuzz"
    monkeypatch.setenv("CHAOSFUZZ_CACHE", str(tmp_path / "mine"))
    assert cache_root() == tmp_path / "mine"


NODE = "#!/bin/sh\necho v{version}\n"


@pytest.mark.parametrize(("version", "own"), [("22.5.0", False), ("20.20.2", True), ("", True)])
def test_node_comes_from_npm_if_the_one_on_the_path_is_too_old_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, own: bool
):
    if version:
        (tmp_path / "node").write_text(NODE.format(version=version))
        (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if version else str(tmp_path))
    found = packages_of(Requirements(npm=("some-queue@1.2.3",), node=22))
    assert ("node@22" in found.packages) is own
    assert (found.node is not None) is own


def test_a_node_among_the_packages_is_the_one_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = packages_of(Requirements(npm=("node@22.23.3",)))
    assert found.node == str(found.directory / "node_modules" / ".bin" / "node")
    assert found.names == "node 22.23.3"
