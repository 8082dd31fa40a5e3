"""The report of a run as one HTML page without scripts and other files."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from chaosfuzz.domain.counted import counted
from chaosfuzz.domain.verdict import Verdict
from chaosfuzz.reporting.failures import ReportedFailure
from chaosfuzz.reporting.summary import Summary

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; border-left: .5rem solid; padding-left: .7rem; }
.violated { border-color: #c62828; } .holds { border-color: #2e7d32; }
.unknown, .infrastructure { border-color: #ef6c00; }
section { border-top: 1px solid #8886; margin-top: 2rem; }
h2 { font-size: 1.15rem; } h3 { font-size: 1rem; margin-bottom: .2rem; }
pre { background: #8882; padding: .7rem; overflow-x: auto; border-radius: .3rem; }
table { border-collapse: collapse; } th { text-align: left; font-weight: normal; }
th, td { padding: .1rem 1.5rem .1rem 0; } td { font-variant-numeric: tabular-nums; }
"""
# Even if escaping failed, the page could neither run nor fetch anything.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_report(path: Path, summary: Summary, failures: Sequence[ReportedFailure]) -> None:
    """Write the page: verdict, figures, and every failure with its story. May raise OSError."""
    sections = "".join(_failure(number, each) for number, each in enumerate(failures, 1))
    note = f"<p>{escape(summary.message)}</p>" if summary.message else ""
    title = f"chaosfuzz {summary.command}: {summary.target} {summary.verdict}"
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head><body>\n"
        f'<h1 class="{escape(summary.verdict)}">{escape(verdict_sentence(summary))}</h1>\n'
        f"{note}{_figures(summary)}\n{sections}{_excuses(summary)}</body></html>\n"
    )
    # Characters that UTF-8 cannot encode (lone surrogates) become question marks.
    path.write_bytes(page.encode("utf-8", errors="replace"))


def verdict_sentence(summary: Summary) -> str:
    """Return the verdict in one sentence, with the number of schedules."""
    sample = counted(summary.schedules, "schedule")
    if summary.verdict is Verdict.VIOLATED:
        kinds = sorted({str(failure.signature) for failure in summary.failures})
        return f"{summary.target} broke a promise in {sample}: {', '.join(kinds) or 'see below'}."
    if summary.verdict is Verdict.HOLDS:
        return f"{summary.target} kept every promise checked in {sample}; that is no proof."
    if summary.verdict is Verdict.INFRASTRUCTURE:
        return f"The harness or its environment failed after {sample}: no verdict."
    if not summary.schedules:
        return f"Nothing was run against {summary.target}: no verdict."
    return f"{summary.unknown_schedules} of {sample} could not be decided: no verdict."


def _figures(summary: Summary) -> str:
    rate = 60 * summary.schedules / summary.duration_s if summary.duration_s else 0.0
    rows = [
        ("command", summary.command),
        ("target", summary.target),
        ("defects planted", ", ".join(summary.defects) or "none"),
        ("seed", str(summary.seed)),
        ("schedules run", f"{summary.schedules} ({rate:.0f} a minute)"),
        ("undecided", f"{summary.unknown_schedules} of {summary.schedules}"),
        ("steps", str(summary.steps)),
        ("faults", str(summary.faults)),
        ("runs repeated and excused", str(summary.excused_runs)),
        ("states seen", str(summary.states_seen)),
        ("duration", f"{summary.duration_s:.1f} s"),
    ]
    for failure in summary.failures:
        shrunk = (
            f"fails {failure.violations} of {failure.attempts}; "
            f"{counted(failure.original_steps, 'step')} shrunk to {failure.steps} in "
            f"{counted(failure.executions_to_shrink, 'execution')}"
        )
        rows.append((str(failure.signature), shrunk))
    for limit in summary.limits:
        shown = f"no promise broken; shows {limit.violations} of {limit.attempts}; {limit.case}"
        rows.append((f"documented limit {limit.signature}", shown))
    cells = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>\n" for a, b in rows)
    return f"<table>{cells}</table>"


def _excuses(summary: Summary) -> str:
    if not summary.excuses:
        return ""
    shown = f", the first {len(summary.excuses)}" * (summary.excused_runs > len(summary.excuses))
    lines = escape("\n".join(summary.excuses))
    return f"<section><h2>Runs repeated and excused{shown}</h2><pre>{lines}</pre></section>\n"


def _failure(number: int, failure: ReportedFailure) -> str:
    parts = (
        ("Minimal schedule", "\n".join(failure.schedule_lines)),
        ("Run it again", failure.replay_command),
        ("What happened", "\n".join(failure.story)),
        (f"Case: {failure.case_path}", failure.case_text),
    )
    blocks = "".join(f"<h3>{escape(a)}</h3><pre>{escape(b)}</pre>\n" for a, b in parts if b)
    admitted = ""
    if failure.documented:
        source = escape(failure.documented)
        admitted = f"<p>No promise is broken: a documented limit. {source}</p>\n"
    return (
        f"<section><h2>{number}. {escape(failure.sentence)}</h2>\n"
        f"{admitted}<p>{escape(failure.rate_text)}</p>\n{blocks}</section>\n"
    )
