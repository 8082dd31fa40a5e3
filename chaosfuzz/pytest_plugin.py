"""Collects saved cases as tests: `shrunk_cases/**/*.yaml`.

A case that is expected to hold fails the test when its violation shows again, with its story;
one that is expected to be violated (a known failure or a planted defect) fails when it does not.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chaosfuzz.campaign.replay import Try
    from chaosfuzz.campaign.wiring import Setup
    from chaosfuzz.domain.case import Case

FOLDER = "shrunk_cases"
TRIES_HOLDS = 3
TRIES_VIOLATED = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    group = parser.getgroup("chaosfuzz")
    group.addoption(
        "--chaosfuzz-tries",
        type=int,
        default=None,
        metavar="N",
        help=f"runs of a case that is to hold (default {TRIES_HOLDS}), and most runs until "
        f"one that is to be violated shows it (default {TRIES_VIOLATED})",
    )
    parser.addini(
        "chaosfuzz_profiles",
        "profiles that cases may be of: their commands are run",
        type="paths",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the cases of the root directory too when only `testpaths` chose what to run."""
    folder = config.rootpath / FOLDER
    chosen = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if chosen and folder.is_dir() and not any(Path(a).resolve() == folder for a in config.args):
        config.args.append(str(folder))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "CaseFile | None":
    """Take up YAML files below a folder of cases."""
    if file_path.suffix == ".yaml" and FOLDER in file_path.parts:
        return CaseFile.from_parent(parent, path=file_path)
    return None


class CaseFile(pytest.File):
    """A case file; holds one test."""

    def collect(self) -> Iterator["CaseItem"]:
        """Yield the test; the file is read when it runs, so that one bad file stops no other."""
        yield CaseItem.from_parent(self, name="replay")


class CaseFailedError(Exception):
    """The case is not as expected; the text is the report."""


class CaseItem(pytest.Item):
    """Replays one case against its target."""

    def runtest(self) -> None:
        """Run the case and compare with what it expects."""
        from chaosfuzz.campaign.replay import setup_for
        from chaosfuzz.cases import CaseStore
        from chaosfuzz.domain.case import DOCKER
        from chaosfuzz.domain.errors import InfrastructureError, UsageError

        case = CaseStore(self.path.parent).load(self.path)
        try:
            setup = setup_for(case, profiles=self.config.getini("chaosfuzz_profiles"))
        except UsageError as error:
            remedy = f"{error.remedy}, in pytest: chaosfuzz_profiles = FILE"
            raise UsageError(cause=f"{self.path}: {error}", remedy=remedy) from error
        try:
            setup.check_case(case)
        except InfrastructureError as error:
            if case.on == DOCKER:
                pytest.skip(f"it needs containers: {error}")
            raise
        tries = self._tries(case, setup)
        undecided = [t for t in tries if t.result.undecided and t.result.failure is None]
        if case.expect == "violated":
            if not any(t.violated for t in tries):
                raise CaseFailedError(self._not_shown(case, tries))
            return
        broken = next((t for t in tries if t.result.failure is not None), None)
        if broken is not None:
            raise CaseFailedError(self._shown(case, broken, len(tries)))
        if all(t.result.missed for t in tries):
            pytest.skip("the moment never came: the system no longer makes that request")
        if undecided:
            pytest.skip(f"undecided: {undecided[0].result.undecided[0]}")

    def _tries(self, case: "Case", setup: "Setup") -> "list[Try]":
        from chaosfuzz.campaign.replay import replay
        from chaosfuzz.domain.stop import StopSignal
        from chaosfuzz.reporting.eventlog import EventLog
        from chaosfuzz.targets.postgres.runtime_directory import scratch_directory

        until_violated = case.expect == "violated"
        times = self.config.getoption("--chaosfuzz-tries")
        if times is None:
            times = TRIES_VIOLATED if until_violated else TRIES_HOLDS
        with (
            scratch_directory("pytest") as logs,
            closing(EventLog(logs / "events.jsonl")) as journal,
        ):
            return list(
                replay(
                    case,
                    setup,
                    times,
                    logs,
                    journal,
                    StopSignal(),
                    until_violated=until_violated,
                )
            )

    def _shown(self, case: "Case", broken: "Try", tries: int) -> str:
        from chaosfuzz.reporting.description import describe_schedule
        from chaosfuzz.reporting.story import story_of

        failure = broken.result.failure
        assert failure is not None
        lines = [
            f"{self.path}: {failure.message}",
            f"broken in try {broken.number} of {tries}: {failure.signature}",
            *describe_schedule(case),
            *story_of(broken.result),
            f"replay: chaosfuzz replay {self.path}",
        ]
        return "\n".join(lines)

    def _not_shown(self, case: "Case", tries: "list[Try]") -> str:
        seen = {str(t.result.failure.signature) for t in tries if t.result.failure is not None}
        instead = f"; instead: {', '.join(sorted(seen))}" if seen else ""
        return (
            f"{self.path}: {case.signature} did not show in {len(tries)} tries "
            f"(when saved: {case.reproduces}){instead}\n"
            "If it is fixed, set `expect: holds` in the case to keep it so."
        )

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: str | None = None,
    ) -> str:
        """Show the report of a case, or the one-line error of chaosfuzz, without a traceback."""
        from chaosfuzz.domain.errors import ChaosfuzzError

        if isinstance(excinfo.value, CaseFailedError | ChaosfuzzError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Say where the test is from."""
        return self.path, None, f"case {self.path.name}"
