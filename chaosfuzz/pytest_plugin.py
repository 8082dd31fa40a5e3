"""Collects saved cases as tests: `shrunk_cases/**/*.yaml`.

The test of a case that is to hold fails when its failure shows again; the report has the story.
The test of a case that is to be violated (a known failure or a planted defect) fails when its rate
has fallen. Either fails when the case is stale: its target no longer makes the request of a moment.
docs/cases.md describes the statistical tests.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from chaosfuzz.campaign.replay import CaseReplay

FOLDER = "shrunk_cases"
NOTE = "chaosfuzz-note"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option --chaosfuzz-tries and the setting chaosfuzz_profiles."""
    group = parser.getgroup("chaosfuzz")
    group.addoption(
        "--chaosfuzz-tries",
        type=int,
        default=None,
        metavar="N",
        help="runs of a case that is to hold, and most runs of one that is to be violated "
        "(default: as many as it takes to decide against the saved rate)",
    )
    parser.addini(
        "chaosfuzz_profiles",
        "profiles of the targets of cases; their commands are run",
        type="paths",
        default=[],
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add `shrunk_cases` of the root directory if the paths to collect come from `testpaths`."""
    folder = config.rootpath / FOLDER
    chosen = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if chosen and folder.is_dir() and not any(Path(a).resolve() == folder for a in config.args):
        config.args.append(str(folder))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "CaseFile | None":
    """Collect a `*.yaml` file that has a directory `shrunk_cases` in its path."""
    if file_path.suffix == ".yaml" and FOLDER in file_path.parts:
        return CaseFile.from_parent(parent, path=file_path)
    return None


class CaseFile(pytest.File):
    """A case file; holds one test."""

    def collect(self) -> Iterator["CaseItem"]:
        """Yield the test. It reads the file when it runs, so a bad file fails one test only."""
        yield CaseItem.from_parent(self, name="replay")


class CaseFailedError(Exception):
    """The case is not as expected or stale; the text is the report."""


class CaseItem(pytest.Item):
    """Replays one case against its target."""

    def runtest(self) -> None:
        """Run the case and judge it; skip the test if it is undecided or needs containers.

        Raises CaseFailedError, or UsageError for a file that is not a case or lacks its profile.
        """
        from chaosfuzz.campaign.replay import CaseReplay, Standing, setup_for
        from chaosfuzz.cases import CaseStore
        from chaosfuzz.domain.case import DOCKER
        from chaosfuzz.domain.errors import InfrastructureError, UsageError

        case = CaseStore(self.path.parent).load(self.path)
        try:
            setup = setup_for(case, profiles=self.config.getini("chaosfuzz_profiles"))
        except UsageError as error:
            remedy = f"{error.remedy}; in pytest's configuration: chaosfuzz_profiles = FILE"
            raise UsageError(cause=f"{self.path}: {error}", remedy=remedy) from error
        try:
            setup.check_case(case)
        except InfrastructureError as error:
            if case.on == DOCKER:
                pytest.skip(f"it needs containers: {error}")
            raise
        replay = CaseReplay(case, setup, most=self.config.getoption("--chaosfuzz-tries"))
        _run(replay)
        judgement = replay.judgement(self.path)
        if judgement.note:
            self.user_properties.append((NOTE, f"{self.path}: {judgement.note}"))
        if judgement.standing is Standing.UNDECIDED:
            pytest.skip(f"undecided: {judgement.reason}")
        if judgement.standing is not Standing.EXPECTED:
            reason = f"{judgement.standing.value}: {judgement.reason}"
            raise CaseFailedError(self._report(replay, reason))

    def _report(self, replay: "CaseReplay", reason: str) -> str:
        from chaosfuzz.reporting.description import describe_schedule
        from chaosfuzz.reporting.story import story_of

        broken = replay.broken
        lines = [f"{self.path}: {reason}"]
        if broken is not None and broken.result.failure is not None:
            which = f"try {broken.number} of {len(replay.tries)}"
            lines += [
                f"broken in {which}: {broken.result.failure.signature}",
                *describe_schedule(replay.case),
                *story_of(broken.result),
            ]
        return "\n".join([*lines, f"replay: chaosfuzz replay {self.path}"])

    def repr_failure(
        self,
        excinfo: pytest.ExceptionInfo[BaseException],
        style: str | None = None,
    ) -> str:
        """Return the report of a case, or a chaosfuzz error with its remedy, without a traceback.

        Other errors are shown with their traceback.
        """
        from chaosfuzz.domain.errors import ChaosfuzzError

        if isinstance(excinfo.value, ChaosfuzzError):
            return excinfo.value.text
        if isinstance(excinfo.value, CaseFailedError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return the file and the name of the test."""
        return self.path, None, f"case {self.path.name}"


def _run(replay: "CaseReplay") -> None:
    from chaosfuzz.domain.stop import StopSignal
    from chaosfuzz.reporting.eventlog import EventLog
    from chaosfuzz.targets.postgres.runtime_directory import scratch_directory

    with (
        scratch_directory("pytest") as logs,
        closing(EventLog(logs / "events.jsonl")) as journal,
    ):
        for _ in replay.run(logs, journal, StopSignal()):
            pass


def pytest_terminal_summary(terminalreporter: "TerminalReporter") -> None:
    """Print the notes on cases: too few runs, moments that never came, undecided runs."""
    reports = (r for kind in terminalreporter.stats.values() for r in kind)
    named = (pair for report in reports for pair in getattr(report, "user_properties", ()))
    notes = list(dict.fromkeys(str(text) for name, text in named if name == NOTE))
    if notes:
        terminalreporter.section("saved cases")
        for note in notes:
            terminalreporter.line(note)
