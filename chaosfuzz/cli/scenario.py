"""`chaosfuzz scenario`: run the guide's scenarios and grade them."""

import json
import os
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

import chaosfuzz
from chaosfuzz.campaign.results import create_run_directory
from chaosfuzz.campaign.scenario import (
    FOUNDATION,
    ScenarioBegan,
    ScenarioCampaign,
    ScenarioDone,
    ScenarioEvent,
    ScenarioPlan,
)
from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.cli.help import Command, examples
from chaosfuzz.cli.interrupts import EXIT_INTERRUPTED, stopping
from chaosfuzz.cli.options import (
    DEFAULT_OUT,
    contract_option,
    defects_option,
    invariants_option,
    json_option,
    pick_seed,
)
from chaosfuzz.cli.progress import Progress, make_console
from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.errors import ChaosfuzzError, UsageError
from chaosfuzz.domain.scenario import Grade, ScenarioResult, ScenarioRun
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.eventlog import EventLog
from chaosfuzz.reporting.scenarios import rows, to_json, write_reports
from chaosfuzz.reporting.scenarios.table import row
from chaosfuzz.scenarios import find_level
from chaosfuzz.scenarios.catalogue import choose, known_scenarios

_STYLES = {Grade.PASS: "green", Grade.LATE: "yellow", Grade.FAIL: "bold red"}


@click.command(
    cls=Command,
    epilog=examples(
        "chaosfuzz scenario --list",
        "chaosfuzz scenario all --level 1 --speed 10",
        "chaosfuzz scenario db-failure,task-flood --level 3",
        "chaosfuzz scenario worker-restart --defect no-lease-recovery",
    ),
)
@click.argument("names", nargs=-1, metavar="NAME[,NAME]|all")
@click.option("--list", "listing", is_flag=True, help="List the scenarios and run none.")
@click.option(
    "--level",
    type=int,
    default=1,
    show_default=True,
    help="Load and faults: 1 (few) to 6 (overload).",
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 100),
    default=1.0,
    show_default=True,
    help="Divide all times of the guide by this: tasks, deadlines, pauses between faults.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), help="Draw the same victims and times between kills."
)
@defects_option
@contract_option
@invariants_option
@click.option(
    "--scenarios",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory of your own scenarios. Default: ./scenarios, if there is one.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    envvar="PORT",
    help="Port of the server (or PORT). Default: a free port.",
)
@click.option(
    "--base-url", envvar="BASE_URL", metavar="URL", help="Always refused (or BASE_URL): see above."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    envvar="OUTPUT_DIR",
    default=DEFAULT_OUT,
    show_default=True,
    metavar="DIR",
    help="Directory of results and logs (or OUTPUT_DIR).",
)
@json_option
@click.option(
    "-v", "--verbose", is_flag=True, envvar="VERBOSE", help="Print each step (or VERBOSE=true)."
)
def scenario(
    names: tuple[str, ...],
    listing: bool,
    level: int,
    speed: float,
    seed: int | None,
    defects: tuple[str, ...],
    contract: str,
    invariants: Path | None,
    directory: Path | None,
    port: int | None,
    base_url: str | None,
    out: Path,
    json_to: str | None,
    verbose: bool,
) -> int:
    """Run scenarios of the chaos guide and grade them.

    They run on the bundled system, whose server, workers and database are real processes and are
    killed with SIGKILL. A scenario is held to its criteria and to every invariant: a lost or
    repeated task fails it at every level. A foundation check comes first. Your own scenarios are
    TOML or Python files in ./scenarios.

    \b
    PASS            in time
    PASS*           in full, but late
    FAIL            a criterion was missed or a promise broken; the line says which
    NOT OVERLOADED  at level 6, more than half was completed by the deadline
    UNKNOWN         could not be decided
    ERROR           chaosfuzz failed

    A scenario kills processes and reads the database, which it cannot do to a server elsewhere:
    with BASE_URL set, scenarios are refused.

    Exit code: 0 all passed, 1 one failed, 2 bad usage, 3 chaosfuzz failed or could not decide.
    """  # noqa: D301 - click reads the escape
    known = known_scenarios(directory)
    if listing:
        for each in known.scenarios:
            click.echo(f"{each.name:20} {each.summary} ({each.source})")
        for error in known.broken.values():
            click.echo(f"cannot be run: {error.cause}\n  {error.remedy}", err=True)
        return 0
    if base_url:
        message = (
            f"BASE_URL is {base_url}, but a scenario kills processes and reads the database, "
            "which it cannot do to a server elsewhere"
        )
        raise UsageError(cause=message, remedy="unset it to run them on the bundled system")
    if not names:
        raise UsageError(
            cause="no scenario is named",
            remedy="name some, separated by commas, or all; --list shows them",
        )
    wanted = [part.strip() for each in names for part in each.split(",") if part.strip()]
    plan = ScenarioPlan(
        setup=Setup(
            defects=tuple(dict.fromkeys(defects)),
            mode=contract,
            seed=pick_seed(seed),
            invariants=invariants,
        ),
        scenarios=choose(wanted, known),
        level=find_level(level),
        speed=speed,
        out=Path(),
        port=port,
    )
    plan.check()
    return _Session(plan.into(create_run_directory(out, "scenario")), json_to, verbose).run()


class _Session:
    """One invocation: what is shown while it runs, and what is written at the end."""

    def __init__(self, plan: ScenarioPlan, json_to: str | None, verbose: bool) -> None:
        self.plan = plan
        self.json_to = json_to
        self.verbose = verbose
        self.console = make_console(to_stderr=json_to == "-")
        self.results: list[ScenarioResult] = []
        self.began = time.monotonic()
        self.width = max(len(each.name) for each in plan.scenarios)

    def run(self) -> int:
        """Run to the end and return the exit code."""
        plan = self.plan
        self._write_manifest()
        planted = "".join(f" with {name}" for name in plan.setup.defects)
        self.console.print(
            f"{counted(len(plan.scenarios), 'scenario')}{planted} at level {plan.level.number} "
            f"({plan.level.name}), speed {plan.speed:g}, seed {plan.setup.seed}"
        )
        failed: ChaosfuzzError | None = None
        log = EventLog(plan.out / "events.jsonl")
        campaign = ScenarioCampaign(plan, log)
        with (
            closing(log),
            stopping(campaign.stop) as interrupts,
            (plan.out / "scenario.log").open("w", encoding="utf-8") as self.log,
        ):
            try:
                with Progress(self.console) as progress:
                    for event in campaign.run():
                        self._take(event, progress)
            except ChaosfuzzError as error:
                failed = error
        return self._finish(failed, interrupted=interrupts.seen)

    def _take(self, event: ScenarioEvent, progress: Progress) -> None:
        if isinstance(event, ScenarioDone):
            result = event.result
            if result.name != FOUNDATION.name:
                self.results.append(result)
            self._log(row(result, self.width))
            number = f"{len(self.results)}/{len(self.plan.scenarios)}"
            why = "" if result.grade is Grade.PASS else f": {result.why}"
            progress.say(
                f"{number:>5}  {result.name} {result.grade} in {result.duration_s:.1f} s{why}",
                style=_STYLES.get(result.grade, "bold magenta"),
            )
        elif isinstance(event, ScenarioBegan):
            self._log(f"{event.scenario.name}: begins ({event.number} of {event.of})")
            progress.update(f"{event.scenario.name}: starting the system")
        elif event.stays:
            self._log(event.line)
            if self.verbose:
                progress.say(event.line)
        else:
            progress.update(event.line)

    def _log(self, line: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.log.write(f"{at} {line}\n")
        self.log.flush()

    def _finish(self, failed: ChaosfuzzError | None, *, interrupted: bool) -> int:
        plan = self.plan
        run = ScenarioRun(
            level=plan.level.number,
            level_name=plan.level.name,
            speed=plan.speed,
            seed=plan.setup.seed,
            defects=plan.setup.defects,
            planned=tuple(each.name for each in plan.scenarios),
            results=tuple(self.results),
            duration_s=time.monotonic() - self.began,
            interrupted=interrupted,
            error=str(failed) if failed else "",
        )
        self.console.print()
        for line in rows(run):
            self.console.print(line)
        if interrupted:
            self.console.print(
                f"interrupted: {len(run.results)} of {len(run.planned)} scenarios finished"
            )
        problem = write_reports(plan.out, run)
        self.console.print(f"results {plan.out}" if not problem else f"results: {problem}")
        self._write_json(run)
        if failed is not None:
            raise failed
        if interrupted and run.verdict is not Verdict.VIOLATED:
            return EXIT_INTERRUPTED
        return run.verdict.exit_code

    def _write_manifest(self) -> None:
        plan = self.plan
        manifest = {
            "chaosfuzz": chaosfuzz.__version__,
            "command": "scenario",
            "pid": os.getpid(),
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "scenarios": [each.name for each in plan.scenarios],
            "level": plan.level.number,
            "speed": plan.speed,
            "seed": plan.setup.seed,
            "defects": list(plan.setup.defects),
        }
        path = plan.out / "manifest.json"
        path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    def _write_json(self, run: ScenarioRun) -> None:
        if self.json_to == "-":
            sys.stdout.write(to_json(run))
        elif self.json_to is not None:
            try:
                Path(self.json_to).write_text(to_json(run), encoding="utf-8")
            except OSError as error:
                message = f"--json {self.json_to}: {error.strerror}"
                remedy = "choose a file that can be written"
                raise UsageError(cause=message, remedy=remedy) from error
