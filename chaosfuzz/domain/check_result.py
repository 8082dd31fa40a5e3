"""Results of checks of the machine and of the programs on it."""

from collections.abc import Callable
from dataclasses import dataclass

from chaosfuzz.domain.errors import ChaosfuzzError

OK, MISSING, BROKEN = "ok", "missing", "broken"


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check. `state` is OK, MISSING (optional) or BROKEN (prevents runs)."""

    name: str
    state: str
    detail: str
    remedy: str = ""


def failed_check(name: str, error: ChaosfuzzError, state: str = BROKEN) -> CheckResult:
    """Return the result of a check that ended with an error, with its cause and its remedy."""
    return CheckResult(name=name, state=state, detail=error.cause, remedy=error.remedy)


def look(name: str, check: Callable[[], CheckResult]) -> CheckResult:
    """Return the result of a check; BROKEN if it raises a ChaosfuzzError or an OSError."""
    try:
        return check()
    except ChaosfuzzError as error:
        return failed_check(name, error)
    except OSError as error:
        detail = f"{type(error).__name__}: {error}"
        return CheckResult(
            name=name,
            state=BROKEN,
            detail=detail,
            remedy="correct this cause",
        )
