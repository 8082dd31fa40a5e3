"""The run as JUnit XML: one test case a scenario."""

from pathlib import Path
from xml.etree import ElementTree as ET

from chaosfuzz.domain.scenario import Grade, ScenarioResult, ScenarioRun
from chaosfuzz.reporting.junit import clean


def write_junit(path: Path, run: ScenarioRun) -> None:
    """Write it; may raise OSError. What did not come to a verdict is an error, never a pass."""
    cases = [_case(result) for result in run.results]
    finished = {result.name for result in run.results}
    cases += [_missing(name, run) for name in run.planned if name not in finished]
    suite = ET.Element(
        "testsuite",
        name=f"chaosfuzz.scenario.level-{run.level}",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{run.duration_s:.3f}",
    )
    suite.extend(cases)
    root = ET.Element("testsuites", suite.attrib | {"name": "chaosfuzz"})
    root.append(suite)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _case(result: ScenarioResult) -> ET.Element:
    case = _element(result.name, result.duration_s)
    if not result.grade.passed:
        kind = "failure" if result.grade is Grade.FAIL else "error"
        told = ET.SubElement(case, kind, message=clean(result.why), type=result.grade.value)
        told.text = clean("\n".join(str(failure.message) for failure in result.failures))
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
