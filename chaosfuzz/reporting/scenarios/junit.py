"""The run as JUnit XML: one test case a scenario."""

from pathlib import Path
from xml.etree import ElementTree as ET

from chaosfuzz.domain.scenario import Grade, ScenarioResult, ScenarioRun
from chaosfuzz.reporting.junit import clean, write_suite


def write_junit(path: Path, run: ScenarioRun) -> None:
    """Write the file. A scenario without a verdict is an error. May raise OSError."""
    cases = [_case(result) for result in run.results]
    finished = {result.name for result in run.results}
    cases += [_missing(name, run) for name in run.planned if name not in finished]
    write_suite(path, f"chaosfuzz.scenario.level-{run.level}", cases, run.duration_s, {})


def _case(result: ScenarioResult) -> ET.Element:
    case = _element(result.name, result.duration_s)
    if not result.grade.passed:
        kind = "failure" if result.grade is Grade.FAIL else "error"
        element = ET.SubElement(case, kind, message=clean(result.why), type=result.grade.value)
        element.text = clean("\n".join(str(failure.message) for failure in result.failures))
    lines = [f"{c.mark}: {c.name}: {c.measured}, target {c.target}" for c in result.criteria]
    ET.SubElement(case, "system-out").text = clean("\n".join([*lines, *result.notes]))
    return case


def _missing(name: str, run: ScenarioRun) -> ET.Element:
    case = _element(name, 0.0)
    why = run.error or ("interrupted" if run.interrupted else "it was not run")
    ET.SubElement(case, "error", message=clean(why), type=Grade.UNKNOWN.value)
    return case


def _element(name: str, duration_s: float) -> ET.Element:
    return ET.Element(
        "testcase", classname="chaosfuzz.scenario", name=clean(name), time=f"{duration_s:.3f}"
    )
