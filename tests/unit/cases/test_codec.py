import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chaosfuzz.actions import Action, all_actions, make_step
from chaosfuzz.cases import dump_case, load_case
from chaosfuzz.cases.codec import rename_moments
from chaosfuzz.domain.action import MAX_WORKERS
from chaosfuzz.domain.case import ANY_FAILURE, UNMEASURED, Case, Found, Needed, Rate
from chaosfuzz.domain.component import ComponentRole
from chaosfuzz.domain.contract import Guarantee
from chaosfuzz.domain.errors import UsageError
from chaosfuzz.domain.moment import CLIENT, MAX_EVENT_LENGTH, MAX_NTH, MAX_TASK, Moment, Side
from chaosfuzz.domain.schedule import Schedule, Step
from chaosfuzz.domain.verdict import Kind, Signature, Verdict

EXAMPLE = """\
chaosfuzz_case: 1
title: a task claimed by a worker that dies is never picked up again
target: {name: reference, defects: [no-lease-recovery]}
contract: at-least-once
signature: {invariant: eventual_completion, kind: STUCK, role: worker}
reproduces: {violations: 20, attempts: 20}
found: {date: 2026-11-23, seed: 81236, steps: 14, executions_to_shrink: 41}
expect: violated
workers: 1
steps:
  - create_tasks: {count: 1, duration_ms: 40, priority: high, lost_reply: yes}
  - kill_worker: {worker: 1}
needed:  # rate without the step
  - {step: 2, violations: 0, attempts: 20}
"""
INTEGER = "it has to be a whole number"
FOUND = "date, seed, steps, executions_to_shrink"
KEYS = (
    "chaosfuzz_case, title, target, contract, signature, reproduces, confirmed, found, expect, "
    "documented, workers, steps, needed"
)
SAVED = sorted((Path(__file__).parents[3] / "shrunk_cases").rglob("*.yaml"))
SCRAPS = ["", "\n", " ", ":", "{", "}", "[]", "null", "-1", "'", "? ", "\t"]


@st.composite
def moments(draw: st.DrawFn, action: Action) -> Moment:
    events = st.text(min_size=1, max_size=MAX_EVENT_LENGTH)
    of_client = action.strikes is ComponentRole.CLIENT
    requesters = ["", CLIENT] if of_client else ["", "worker-2", "server-1"]
    return Moment(
        event=draw(events.filter(lambda text: text.isprintable() and bool(text.strip()))),
        nth=draw(st.integers(1, MAX_NTH)),
        task=draw(st.integers(0, MAX_TASK)),
        side=draw(st.sampled_from(Side)) if action.side is None else action.side,
        component=draw(st.sampled_from(requesters)),
    )


@st.composite
def steps(draw: st.DrawFn) -> Step:
    action = draw(st.sampled_from(all_actions()))
    arguments = {
        p.name: draw(st.integers(p.low, p.high)) for p in action.parameters if draw(st.booleans())
    }
    step = make_step(action.name, **arguments)
    if action.needs_moment or (action.pinnable and draw(st.booleans())):
        return step.pinned(draw(moments(action)))
    return step


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    attempts = draw(st.integers(0, 10**30))
    return Rate(violations=draw(st.integers(0, attempts)), attempts=attempts)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    planned = tuple(draw(st.lists(steps(), max_size=6)))
    numbers = st.integers(1, max(1, len(planned)))
    needed = draw(st.lists(st.tuples(numbers, rates()), max_size=3)) if planned else []
    return Case(
        title=draw(st.text()),
        target=draw(st.text()),
        defects=tuple(draw(st.lists(st.text(), max_size=3))),
        contract=draw(st.sampled_from(Guarantee)).value,
        signature=Signature(
            invariant=draw(st.text()), kind=draw(st.sampled_from(Kind)).value, role=draw(st.text())
        ),
        schedule=Schedule(
            workers=draw(st.integers(0, MAX_WORKERS)),
            steps=planned,
        ),
        reproduces=draw(rates()),
        found=Found(
            date=draw(st.dates()).isoformat(),
            seed=draw(st.integers(0)),
            steps=draw(st.integers(0)),
            executions_to_shrink=draw(st.integers(0)),
        ),
        expect=draw(st.sampled_from([Verdict.VIOLATED, Verdict.HOLDS])),
        profile=draw(st.text()),
        documented=draw(st.text()),
        needed=tuple(Needed(step=number, rate=rate) for number, rate in needed),
    )


def simple_case() -> Case:
    return load_case(EXAMPLE, "case.yaml")


def read(text: str) -> Case | str:
    try:
        return load_case(text, "case.yaml")
    except UsageError as error:
        return error.text


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load_case(text, "case.yaml")
    return caught.value.text


class TestReading:
    def test_reads_the_published_example(self):
        case = simple_case()
        assert case.title == "a task claimed by a worker that dies is never picked up again"
        assert case.found.date == "2026-11-23"
        assert case.expect == "violated"
        assert [str(step) for step in case.schedule.steps] == [
            "create_tasks(count=1, duration_ms=40, priority=high, lost_reply=yes)",
            "kill_worker(worker=1)",
        ]
        assert case.needed == (Needed(step=2, rate=Rate(violations=0, attempts=20)),)

    def test_writes_the_published_example(self):
        assert dump_case(simple_case()) == EXAMPLE

    def test_a_reference_to_a_task_that_is_never_created_is_harmless(self):
        case = load_case(EXAMPLE.replace("kill_worker: {worker: 1}", "cancel_task: {task: 9}"), "x")
        assert case.schedule.steps[1] == make_step("cancel_task", task=9)

    def test_a_case_by_hand_needs_only_target_and_steps(self):
        case = load_case("target: {name: reference}\nsteps:\n  - create_tasks: {}\n", "x")
        assert (case.signature, case.reproduces) == (ANY_FAILURE, UNMEASURED)
        assert (case.expect, case.schedule.workers, case.contract) == ("holds", 1, "at-least-once")
        assert case.failure == "any failure"
        assert case.is_own(simple_case().signature)
        assert load_case(dump_case(case), "x") == case

    @pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.stem}")
    def test_every_saved_case_is_written_as_it_was_read(self, path: Path):
        text = path.read_text(encoding="utf-8")
        assert dump_case(load_case(text, str(path))) == text

    def test_there_are_saved_cases(self):
        assert len(SAVED) >= 51

    def test_what_is_left_out_has_its_default(self):
        text = EXAMPLE[: EXAMPLE.index("needed:")].replace("expect: violated\n", "")
        case = load_case(text.replace(", defects: [no-lease-recovery]", ""), "x")
        assert (case.expect, case.needed, case.defects) == ("holds", (), ())


REFUSED = [
    ("", "case.yaml:1: the file is empty\ngive the path of a case file"),
    ("- 1\n", "case.yaml:1: not a case"),
    ("just text", "case.yaml:1: not a case"),
    ("\0\1\2", "case.yaml:1: not YAML: unacceptable character"),
    ("a: 1\nb: \x07", "case.yaml:2: not YAML: unacceptable character"),
    ("a: [1\nb: 2", "case.yaml:2: not YAML: "),
    ("a: 1\n---\nb: 2\n", "case.yaml:2: not YAML: but found another document"),
    ("chaosfuzz_case: 2\n", "made by a newer chaosfuzz (format 2)\nupgrade chaosfuzz"),
    ("chaosfuzz_case: true\n", "chaosfuzz_case=True is no version\nwrite 1"),
    ("chaosfuzz_case: 0\n", "chaosfuzz_case=0 is no version"),
    ("chaosfuzz_case: one\n", "chaosfuzz_case='one' is no version"),
    ("a: 1\n", "case.yaml:1: not a case: it has neither target nor steps\ngive the path"),
    ("a: !!python/object/apply:os.system [ls]\n", "case.yaml:1: tag tag:yaml.org,2002:python/obj"),
    ("a: !!set {b}\n", "tag tag:yaml.org,2002:set is not allowed\nwrite a plain value"),
    ("a: &b 1\n", "case.yaml:1: anchors are not allowed\nremove the anchor"),
    ("a: 1\nb: *a\n", "case.yaml:2: aliases are not allowed\nwrite the value out"),
    ("[" * 1000, "case.yaml:1: nested more than 12 deep, but a case is flat"),
    ("{a: " * 1000, "nested more than 12 deep"),
    ("? [a]\n: 1\n", "case.yaml:1: a key is a list or mapping\nwrite a word as key"),
    ("a: 1\na: 2\n", "case.yaml:2: key 'a' is given twice\nremove one"),
    (
        "a: " + "x" * 200_000,
        "case.yaml:1: over 131072 bytes, so it is not a case\ngive the path",
    ),
]
CHANGED = [
    ("workers: 1", "workers: true", "case.yaml:9: workers=True: it has to be a whole number"),
    ("workers: 1", "workers: 9", "case.yaml:9: workers=9 is out of range\nuse 0 to 5"),
    ("workers: 1", "workers: -1", "case.yaml:9: workers=-1 is out of range\nuse 0 to 5"),
    ("workers: 1", "workers: 1.5", "case.yaml:9: workers='1.5': it has to be a whole number"),
    (
        "workers: 1",
        "workers: 1\nserial_seed: 7",
        "case.yaml:10: the key serial_seed was removed with --serial\ndelete the line",
    ),
    ("workers: 1", "colour: blue\nworkers: 1", "case.yaml:9: unknown key colour\n"),
    ("role: worker", "rule: worker", "case.yaml:5: signature.role is missing\n  add it"),
    ("kind: STUCK", "kind: SAD", "case.yaml:5: signature.kind='SAD' is unknown\nuse one of: LOST"),
    ("at-least-once", "maybe", "case.yaml:4: contract='maybe' is unknown\nuse one of: at-most-on"),
    (
        "expect: violated",
        "expect: pain",
        "case.yaml:8: expect='pain' is unknown\nuse one of: violated",
    ),
    ("{violations: 20,", "{violations: 21,", "case.yaml:6: reproduces: violations=21 are more"),
    ("{violations: 20,", "{violations: -1,", "case.yaml:6: reproduces.violations=-1: it has to be"),
    ("step: 2", "step: 3", "case.yaml:14: needed[0]: step=3 is none of the 2\nremove the entry"),
    ("step: 2", "step: 0", "case.yaml:14: needed[0].step=0: it has to be greater"),
    ("violations: 0", "violations: 21", "case.yaml:14: needed[0]: violations=21 are more"),
    (
        "count: 1",
        "count: 0",
        "case.yaml:11: steps[0]: create_tasks: count=0 is out of range\nuse 1 to 10",
    ),
    ("count: 1", "count: -5", "case.yaml:11: steps[0]: create_tasks: count=-5 is out of range"),
    ("count: 1", "count: " + "9" * 3000, "case.yaml:11: steps[0]: create_tasks: count=9999"),
    ("count: 1", "count: " + "9" * 5000, "is not a whole number"),
    (
        "count: 1",
        "count: true",
        "case.yaml:11: steps[0]: create_tasks: count=True is not a whole number",
    ),
    (
        "count: 1",
        "count: two",
        "case.yaml:11: steps[0]: create_tasks: count='two' is not a whole number",
    ),
    ("count: 1", "amount: 1", "create_tasks: unknown argument 'amount'\nchoose among: count, "),
    ("priority: high", "priority: 2", "priority=2 is unknown\nuse low, normal, high, critical"),
    (
        "- kill_worker",
        "- rm_rf",
        "case.yaml:12: steps[1]: unknown action 'rm_rf'\nchoose among: create_tasks",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {nth: 1}}",
        "case.yaml:12: steps[1]: kill_worker: at={'nth': 1} is no moment\nwrite {after: EVENT",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {after: UPDATE, nth: 0}}",
        "case.yaml:12: steps[1]: at: nth=0 is out",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {after: UPDATE, task: 1000}}",
        "case.yaml:12: steps[1]: at: task=1000",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {after: UPDATE, task: a}}",
        "case.yaml:12: steps[1].kill_worker.at.t",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {after: UPDATE, on: me}}",
        "case.yaml:12: steps[1]: at: on='me' is no",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {after: UPDATE, how: 1}}",
        "case.yaml:12: steps[1].kill_worker.at: un",
    ),
    (
        "{worker: 1}",
        "{worker: 1, at: {after: 7}}",
        "case.yaml:12: steps[1].kill_worker.at.after=7: it",
    ),
    (
        "{count: 1",
        "{at: {after: UPDATE}, count: 1",
        "case.yaml:11: steps[0]: create_tasks cannot strike",
    ),
    (
        "{worker: 1}",
        "{worker: 1}\n    wait: {ms: 1}",
        "case.yaml:12: steps[1]: {'kill_worker': {'worker': 1}, 'wa",
    ),
    (
        "kill_worker: {worker: 1}",
        "kill_worker",
        "case.yaml:12: steps[1]: 'kill_worker' is no step\nwrite",
    ),
    (
        "{worker: 1}",
        "1",
        "case.yaml:12: steps[1]: kill_worker: 1 are no arguments\nwrite {argument: value}",
    ),
    (
        "- kill_worker: {worker: 1}",
        "- {}",
        "case.yaml:12: steps[1]: {} is no step\nwrite each step on a line, as `- a",
    ),
    ("[no-lease-recovery]", "no-lease-recovery", "case.yaml:3: target.defects='no-lease-recovery'"),
    ("name: reference", "name: 7", "case.yaml:3: target.name=7: it has to be text in quotes"),
    ("seed: 81236", "seed: -1", "case.yaml:7: found.seed=-1: it has to be greater"),
    ("{violations: 20,", "{<<: {a: 1}, violations: 20,", "unknown key reproduces.<<\nremove it"),
]


class TestRefusing:
    def test_names_all_that_is_missing_or_wrong_at_once(self):
        wrong = EXAMPLE.replace("workers: 1", "workers: 9\ncolour: blue").replace("seed", "sed")
        wrong = wrong.replace("kill_worker: {worker: 1}", "kill_worker: {worker: 1, at: {nth: a}}")
        told = refusal(wrong.replace("count: 1", "count: 0"))
        assert told.splitlines() == [
            "case.yaml:7: found.seed is missing",
            "  add it",
            "case.yaml:7: unknown key found.sed",
            f"  did you mean seed? remove it, or use one of: {FOUND}",
            "case.yaml:9: workers=9 is out of range",
            "  use 0 to 5",
            "case.yaml:10: unknown key colour",
            f"  remove it, or use one of: {KEYS}",
            "case.yaml:12: steps[0]: create_tasks: count=0 is out of range",
            "  use 1 to 10 (how many)",
            f"case.yaml:13: steps[1].kill_worker.at.nth='a': {INTEGER}",
            "  correct the value",
            "correct each of these places",
        ]
        told = refusal("chaosfuzz_case: 1\n")
        assert told.splitlines() == [
            "case.yaml:1: steps is missing",
            "  add it",
            "case.yaml:1: target is missing (as {name: reference})",
            "  add it",
            "correct each of these places",
        ]

    @pytest.mark.parametrize(("text", "expected"), REFUSED, ids=range(len(REFUSED)))
    def test_names_what_is_wrong_with_a_file(self, text: str, expected: str):
        assert expected in refusal(text)

    @pytest.mark.parametrize(("old", "new", "expected"), CHANGED, ids=range(len(CHANGED)))
    def test_names_line_value_and_remedy(self, old: str, new: str, expected: str):
        assert EXAMPLE.count(old) == 1, old
        assert expected in refusal(EXAMPLE.replace(old, new))

    @pytest.mark.parametrize(("text", "_"), REFUSED, ids=range(len(REFUSED)))
    def test_answers_in_one_short_line(self, text: str, _: str):
        assert "\n" not in refusal(text).replace("\n", "", 1)
        assert len(refusal(text)) < 1000

    def test_answers_shortly_to_endless_values(self):
        endless = "9" * 3900
        for old in ("count: 1", "workers: 1", "violations: 20", "step: 2", "chaosfuzz_case: 1"):
            name = old.split(":")[0]
            assert len(refusal(EXAMPLE.replace(old, f"{name}: {endless}"))) < 1000, name

    def test_a_bomb_of_aliases_is_refused_at_once(self):
        lines = ["a: &a0 [x, x]"] + [f"b{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
        began = time.process_time()
        assert "anchors are not allowed" in refusal("\n".join(lines))
        assert time.process_time() - began < 2


class TestRenaming:
    def test_only_the_event_of_the_moment_changes(self):
        text = EXAMPLE.replace(
            "{worker: 1}", "{ worker: 1, at: {before: 'UPDATE [1]', nth: 2} }  # é is kept"
        )
        renamed = rename_moments(text, "x", {"UPDATE [1]": "UPDATE a='b', c [2]"})
        assert renamed == text.replace("'UPDATE [1]'", "'UPDATE a=''b'', c [2]'")
        assert rename_moments(text, "x", {"other": "new"}) == text

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(cases(), st.text(min_size=1, max_size=60))
    def test_any_new_name_is_read_as_it_was_given(self, case: Case, name: str):
        pinned = {step.at.event for step in case.schedule.steps if step.at is not None}
        if not name.strip() or not name.isprintable():
            name = "UPDATE"
        text = rename_moments(dump_case(case), "x", dict.fromkeys(pinned, name))
        moments = [step.at for step in load_case(text, "x").schedule.steps]
        before = [step.at for step in case.schedule.steps]
        assert moments == [at and replace(at, event=name) for at in before]


class TestAnyText:
    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(cases())
    def test_reading_what_was_written_gives_the_same_case(self, case: Case):
        assert load_case(dump_case(case), "case.yaml") == case

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(cases())
    def test_a_case_is_ordinary_yaml_with_one_line_a_step(self, case: Case):
        text = dump_case(case)
        assert yaml.safe_load(text)["workers"] == case.schedule.workers
        fixed = 11 + bool(case.documented)
        assert len(text.splitlines()) == fixed + len(case.schedule.steps) + len(case.needed)

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(st.text() | st.text("{}[]:,-?!&*#|>%@`\"'\n ~<=0aA\t.", max_size=60))
    @example("\ud800")
    @example("\ufeff")
    @example("chaosfuzz_case: 0o1")
    @example("? ")
    @example("%YAML 9.9\n---\na: 1")
    @example("--- !<x\n")
    @example("%TAG ! tag:x,2000:\n---\n!a b")
    def test_any_text_is_a_case_or_a_usage_error(self, text: str):
        answer = read(text)
        assert isinstance(answer, Case) or answer.startswith("case.yaml:")

    @pytest.mark.parametrize("seed", range(20))
    def test_any_damage_to_a_case_gives_a_case_or_a_usage_error(self, seed: int):
        draw = random.Random(seed)
        for _ in range(20):
            text = EXAMPLE
            for _ in range(draw.randint(1, 4)):
                at, length = draw.randrange(len(text)), draw.choice([0, 1, 1, 5, 40])
                text = text[:at] + draw.choice(SCRAPS) + text[at + length :]
            answer = read(text)
            assert isinstance(answer, Case) or answer.startswith("case.yaml:")
