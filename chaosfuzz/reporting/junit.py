"""JUnit XML for continuous integration: a test case for each failure, or one for the run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.failures import ReportedFailure
from chaosfuzz.reporting.summary import Summary

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, summary: Summary, failures: Sequence[ReportedFailure]) -> None:
    """Write the run as JUnit XML. May raise OSError.

    A violation is a failure, also if only the summary has it. A run without a verdict is an error.
    A documented limit is skipped, with its source. Characters that XML cannot hold are replaced.
    """
    broken = [failure for failure in failures if not failure.documented]
    cases = [_failed(summary, failure) for failure in broken]
    if not cases and summary.verdict is Verdict.VIOLATED:
        cases = [_violation(summary, str(failure.signature)) for failure in summary.failures]
    if not cases or summary.verdict is Verdict.INFRASTRUCTURE:
        cases.append(_whole_run(summary))
    cases += [_limit(summary, failure) for failure in failures if failure.documented]
    properties = {
        "seed": str(summary.seed),
        "defects": ",".join(summary.defects),
        "verdict": summary.verdict,
        "schedules": str(summary.schedules),
        "steps": str(summary.steps),
    }
    name = f"chaosfuzz.{summary.command}.{summary.target}"
    write_suite(path, name, cases, summary.duration_s, properties)


def write_suite(
    path: Path,
    name: str,
    cases: Sequence[ET.Element],
    duration_s: float,
    properties: Mapping[str, str],
) -> None:
    """Write a file with one test suite, with its numbers of failed, wrong and skipped cases."""
    suite = ET.Element("testsuite", name=clean(name), tests=str(len(cases)))
    for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(plural, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", f"{duration_s:.3f}")
    if properties:
        parent = ET.SubElement(suite, "properties")
        for key, value in properties.items():
            ET.SubElement(parent, "property", name=key, value=clean(value))
    suite.extend(cases)
    root = ET.Element("testsuites", suite.attrib | {"name": "chaosfuzz"})
    root.append(suite)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def clean(text: str) -> str:
    """Return the text with characters that XML cannot hold shown as U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def _failed(summary: Summary, failure: ReportedFailure) -> ET.Element:
    case = _case(summary, failure.sentence)
    element = ET.SubElement(case, "failure", message=clean(failure.sentence), type="violation")
    element.text = clean("\n".join(_body(failure)))
    output = ET.SubElement(case, "system-out")
    output.text = clean("\n".join([*failure.story, "", failure.case_text]))
    return case


def _limit(summary: Summary, failure: ReportedFailure) -> ET.Element:
    case = _case(summary, failure.sentence)
    ET.SubElement(case, "skipped", message=clean(f"documented limit: {failure.documented}"))
    output = ET.SubElement(case, "system-out")
    output.text = clean("\n".join([*_body(failure), "", *failure.story, "", failure.case_text]))
    return case


def _body(failure: ReportedFailure) -> list[str]:
    return [
        *failure.schedule_lines,
        failure.rate_text,
        f"case    {failure.case_path}",
        f"replay  {failure.replay_command}",
    ]


def _violation(summary: Summary, signature: str) -> ET.Element:
    case = _case(summary, signature)
    ET.SubElement(case, "failure", message=clean(f"{signature} is violated"), type="violation")
    return case


def _whole_run(summary: Summary) -> ET.Element:
    case = _case(summary, "every promise holds")
    if summary.verdict is not Verdict.HOLDS:
        message = summary.message or f"the run ended without a verdict: {summary.verdict}"
        ET.SubElement(case, "error", message=clean(message), type=clean(summary.verdict))
    return case


def _case(summary: Summary, name: str) -> ET.Element:
    return ET.Element(
        "testcase",
        classname=clean(f"chaosfuzz.{summary.target}"),
        name=clean(name),
        time=f"{summary.duration_s:.3f}",
    )
