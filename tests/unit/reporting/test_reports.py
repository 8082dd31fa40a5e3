import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaosfuzz.domain.verdict import Signature, Verdict
from chaosfuzz.reporting.failures import ReportedFailure
from chaosfuzz.reporting.html import verdict_sentence, write_report
from chaosfuzz.reporting.junit import write_junit
from chaosfuzz.reporting.summary import FailureSummary, Summary


def summary(verdict: str = "violated", message: str = "", schedules: int = 30) -> Summary:
    failure = FailureSummary(
        signature=Signature(invariant="eventual_completion", kind="STUCK", role="worker"),
        case="stuck.yaml",
        steps=2,
        original_steps=14,
        violations=19,
        attempts=20,
        executions_to_shrink=41,
    )
    return Summary(
        command="fuzz",
        target="reference",
        defects=("no-lease-recovery",),
        verdict=Verdict(verdict),
        seed=7,
        schedules=schedules,
        steps=240,
        duration_s=12.0,
        failures=(failure,) if verdict == "violated" else (),
        unknown_schedules=2 if verdict == "unknown" else 0,
        message=message,
    )


def reported(text: str = "task 1 is stuck") -> ReportedFailure:
    return ReportedFailure(
        sentence=text,
        schedule_lines=("with 1 worker:", f"  1. {text}"),
        rate_text="fails 19 of 20",
        case_path="stuck.yaml",
        replay_command="chaosfuzz replay stuck.yaml",
        story=("1.0 ms worker-1 starts", text),
        case_text=f"title: {text}\n",
    )


def junit(directory: Path, *args: ReportedFailure, verdict: str = "violated") -> ET.Element:
    write_junit(directory / "junit.xml", summary(verdict, "the disk is full"), args)
    root = ET.parse(directory / "junit.xml").getroot()
    suite = root.find("testsuite")
    assert suite is not None
    return suite


def test_a_documented_limit_is_no_failure_and_tells_its_source(tmp_path: Path):
    limit = replace(reported(), documented="says so (https://example.org)")
    suite = junit(tmp_path, limit, verdict="holds")
    assert [suite.get(n) for n in ("tests", "failures", "errors", "skipped")] == [
        "2",
        "0",
        "0",
        "1",
    ]
    (skipped,) = suite.iter("skipped")
    assert skipped.get("message") == "documented limit: says so (https://example.org)"
    write_report(tmp_path / "report.html", summary("holds"), [limit])
    text = Page((tmp_path / "report.html").read_text()).text
    assert "No promise is broken: a documented limit. says so" in text


def test_runs_that_faults_excuse_are_listed(tmp_path: Path):
    excuse = "task 3 ran again on worker-1: excused by worker-2 killed (it may be <unheard>)"
    told = replace(summary(), excused_runs=2, excuses=(excuse,))
    write_report(tmp_path / "report.html", told, [reported()])
    text = Page((tmp_path / "report.html").read_text()).text
    assert excuse in text
    assert "Runs repeated and excused, the first 1" in text
    assert "excused by" not in report(tmp_path, reported())


class Page(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def report(directory: Path, *args: ReportedFailure, verdict: str = "violated") -> str:
    write_report(directory / "report.html", summary(verdict, "a < b"), args)
    return (directory / "report.html").read_text(encoding="utf-8")


class TestJUnit:
    def test_a_violation_is_a_failed_test_with_its_story(self, tmp_path: Path):
        suite = junit(tmp_path, reported())
        assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
        case = suite.find("testcase")
        assert case is not None
        assert (case.get("classname"), case.get("name")) == (
            "chaosfuzz.reference",
            "task 1 is stuck",
        )
        assert "replay  chaosfuzz replay stuck.yaml" in (case.findtext("failure") or "")
        assert "fails 19 of 20" in (case.findtext("failure") or "")
        assert "1.0 ms worker-1 starts" in (case.findtext("system-out") or "")

    def test_a_violation_without_a_report_still_fails(self, tmp_path: Path):
        failure = junit(tmp_path).find("testcase/failure")
        assert failure is not None
        assert failure.get("message") == "eventual_completion/STUCK/worker is violated"

    def test_a_run_that_held_is_one_passed_test(self, tmp_path: Path):
        suite = junit(tmp_path, verdict="holds")
        assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0")

    @pytest.mark.parametrize("verdict", ["unknown", "infrastructure"])
    def test_no_verdict_is_an_error_and_not_a_pass(self, tmp_path: Path, verdict: str):
        suite = junit(tmp_path, verdict=verdict)
        assert (suite.get("failures"), suite.get("errors")) == ("0", "1")
        error = suite.find("testcase/error")
        assert error is not None
        assert (error.get("message"), error.get("type")) == ("the disk is full", verdict)

    def test_tells_seed_and_size(self, tmp_path: Path):
        told = {p.get("name"): p.get("value") for p in junit(tmp_path).iter("property")}
        assert (told["seed"], told["schedules"]) == ("7", "30")

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(st.characters()))
    def test_is_valid_whatever_it_tells(self, tmp_path_factory: pytest.TempPathFactory, text: str):
        junit(tmp_path_factory.getbasetemp(), reported(text))


class TestHtml:
    def test_tells_what_broke_and_how_to_run_it_again(self, tmp_path: Path):
        text = Page(report(tmp_path, reported())).text
        for expected in (
            "reference broke a promise in 30 schedules: eventual_completion/STUCK/worker.",
            "1. task 1 is stuck",
            "fails 19 of 20; 14 steps shrunk to 2 in 41 executions",
            "with 1 worker:",
            "chaosfuzz replay stuck.yaml",
            "1.0 ms worker-1 starts",
            "title: task 1 is stuck",
            "30 (150 a minute)",
            "a < b",
        ):
            assert expected in text

    def test_needs_nothing_else(self, tmp_path: Path):
        page = report(tmp_path, reported())
        parsed = Page(page)
        assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
        assert parsed.links == []
        assert not re.search(r"url\(|@import|https?:", page)
        assert "default-src 'none'" in page

    def test_escapes_everything(self, tmp_path: Path):
        hostile = "<script>alert(1)</script>\"'&</pre><img src=x>"
        page = report(tmp_path, reported(hostile))
        parsed = Page(page)
        assert "script" not in parsed.tags
        assert "img" not in parsed.tags
        assert parsed.text.count(hostile) == 4

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(st.text(st.characters()))
    def test_is_one_page_whatever_it_tells(
        self, tmp_path_factory: pytest.TempPathFactory, text: str
    ):
        plain = Page(report(tmp_path_factory.getbasetemp(), reported("plain")))
        assert Page(report(tmp_path_factory.getbasetemp(), reported(text))).tags == plain.tags

    @pytest.mark.parametrize(
        ("verdict", "sentence"),
        [
            ("holds", "reference kept every promise checked in 30 schedules; that is no proof."),
            ("unknown", "2 of 30 schedules could not be decided: no verdict."),
            ("infrastructure", "The harness or its environment failed after 30 schedules: no "),
        ],
    )
    def test_says_the_verdict_in_a_sentence(self, verdict: str, sentence: str):
        assert verdict_sentence(summary(verdict)).startswith(sentence)

    def test_says_that_nothing_was_run(self):
        sentence = "Nothing was run against reference: no verdict."
        assert verdict_sentence(summary("unknown", schedules=0)) == sentence

    def test_counts_one_as_one(self):
        assert " in 1 schedule;" in verdict_sentence(summary("holds", schedules=1))
