"""Finds all scenarios: the built-in ones, and the files in `scenarios/` of this directory."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaosfuzz.domain.errors import UsageError
from chaosfuzz.scenarios.builtin import SCENARIOS, Scenario
from chaosfuzz.scenarios.files import load_file

OWN_DIRECTORY = Path("scenarios")
ALL = "all"


@dataclass(frozen=True)
class Catalogue:
    """The usable scenarios, and the error of each broken file by the name of its scenario."""

    scenarios: tuple[Scenario, ...]
    broken: Mapping[str, UsageError]


def known_scenarios(directory: Path | None = None) -> Catalogue:
    """Return the built-in scenarios and those of the directory (by default `scenarios/` here).

    A file with an error, or with the name of another scenario, stands in `broken`; the others stay
    usable. Raises UsageError if `directory` is given and does not exist.
    """
    found = {scenario.name: scenario for scenario in SCENARIOS}
    broken: dict[str, UsageError] = {}
    for path in _files(directory):
        try:
            scenario = load_file(path)
            if scenario.name in found or scenario.name == ALL:
                there = found[scenario.name].source if scenario.name in found else "all of them"
                message = f"{path}: a scenario named {scenario.name!r} is there already ({there})"
                raise UsageError(cause=message, remedy="rename the file")
            found[scenario.name] = scenario
        except UsageError as error:
            broken[path.stem] = error
    return Catalogue(tuple(found.values()), broken)


def choose(names: Sequence[str], known: Catalogue) -> tuple[Scenario, ...]:
    """Return the scenarios of these names in order, each once; `all` means the built-in ones.

    Raises UsageError for a broken file, for an unknown name, with the nearest known one, and if
    `names` is empty.
    """
    by_name = {scenario.name: scenario for scenario in known.scenarios}
    chosen: dict[str, Scenario] = {}
    for name in names:
        if name in known.broken:
            raise known.broken[name]
        if name == ALL:
            chosen.update({scenario.name: scenario for scenario in SCENARIOS})
            continue
        if name not in by_name:
            raise _unknown(name, list(by_name))
        chosen[name] = by_name[name]
    if not chosen:
        raise UsageError(
            cause="no scenario was named",
            remedy=f"name scenarios, separated by commas, or {ALL} for the built-in ones",
        )
    return tuple(chosen.values())


def _unknown(name: str, known: list[str]) -> UsageError:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]}? There are:" if nearest else "choose among:"
    return UsageError(
        cause=f"unknown scenario {name!r}", remedy=f"{hint} {', '.join(known)}, and {ALL}"
    )


def _files(directory: Path | None) -> list[Path]:
    if directory is None:
        directory = OWN_DIRECTORY
        if not directory.is_dir():
            return []
    if not directory.is_dir():
        message = f"{directory}: no such directory of scenarios"
        raise UsageError(cause=message, remedy="give a directory that exists")
    return sorted(
        path
        for path in directory.iterdir()
        if path.suffix in {".toml", ".py"} and not path.name.startswith("_") and path.is_file()
    )
