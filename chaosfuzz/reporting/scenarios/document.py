"""The run as JSON of a published, versioned shape."""

import json
from dataclasses import asdict

from chaosfuzz.domain.scenario import ScenarioResult, ScenarioRun

SCHEMA = "chaosfuzz.scenarios/1"


def to_json(run: ScenarioRun) -> str:
    """Return the run with every metric; shares come beside their counts."""
    content = {
        "schema": SCHEMA,
        "verdict": run.verdict,
        "total": len(run.planned),
        "passed": run.passed.good,
        "failed": run.failed,
        "pass_rate": round(run.passed.share, 4),
        **asdict(run),
        "duration_s": round(run.duration_s, 3),
        "results": [_result(result) for result in run.results],
    }
    return json.dumps(content, indent=2) + "\n"


def _result(result: ScenarioResult) -> dict[str, object]:
    metrics = result.metrics
    return {
        **asdict(result),
        "metrics": {
            **asdict(metrics),
            "completion_rate": round(metrics.completed.share, 4),
            "api_success_rate": round(metrics.api.share, 4) if metrics.api.of else None,
            "mean_recovery_s": _rounded(metrics.mean_recovery_s),
            "worst_recovery_s": _rounded(metrics.worst_recovery_s),
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
