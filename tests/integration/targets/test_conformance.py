"""The targets that come with chaosfuzz pass its own conformance suite."""

import pytest

from chaosfuzz.targets.process import ReferenceTarget
from chaosfuzz.targets.profiles import ProfileTarget, load_profile
from chaosfuzz.targets.registry import ready_profiles
from chaosfuzz.targets.simulated import SimulatedTarget
from chaosfuzz.testing import TargetConformance
from chaosfuzz.wire import LaneWire


class TestSimulated(TargetConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> SimulatedTarget:
        return SimulatedTarget()


@pytest.mark.long
class TestReference(TargetConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> ReferenceTarget:
        return ReferenceTarget(make_wire=LaneWire)


@pytest.mark.long
class TestProcrastinate(TargetConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> ProfileTarget:
        return ProfileTarget(load_profile(ready_profiles()["procrastinate"]), LaneWire)
