"""Whether this machine can run systems in containers."""

from contextlib import closing

from chaosfuzz.domain.check_result import MISSING, OK, CheckResult
from chaosfuzz.domain.errors import ChaosfuzzError
from chaosfuzz.targets.docker.abilities import probe
from chaosfuzz.targets.docker.engine import Engine
from chaosfuzz.targets.docker.leftovers import find_engine_leftovers


def check_engine() -> CheckResult:
    """Ask whether a Docker engine answers, and try what it and the kernel can do to containers."""
    try:
        engine = Engine()
    except ChaosfuzzError as error:
        remedy = f"optional, for --on docker: {error.remedy}"
        return CheckResult(name="docker", state=MISSING, detail=error.cause, remedy=remedy)
    with closing(engine):
        abilities = probe(engine)
        leftovers = len(find_engine_leftovers(engine))
    able = ", ".join(probed.ability for probed in abilities if probed.works)
    lacking = [
        f"{each.ability} unsupported: {each.problem}" for each in abilities if not each.works
    ]
    if leftovers:
        lacking.append(f"{leftovers} leftovers of dead runs; run: chaosfuzz clean")
    detail = f"engine {engine.version} at {engine.url}; can do: {able}"
    return CheckResult(name="docker", state=OK, detail=detail, remedy="; ".join(lacking))
