"""What the author of a target runs with pytest, to see that it keeps the protocol's promises.

    from chaosfuzz.testing import TargetConformance

    class TestMine(TargetConformance):
        @pytest.fixture(scope="class")
        @classmethod
        def target(cls):
            return MyTarget()

Tests of abilities that the target's systems do not have are skipped, and say so.
"""

from chaosfuzz.testing.conformance import TargetConformance

__all__ = ["TargetConformance"]
