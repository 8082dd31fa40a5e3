"""Public tools for tests of what you add to chaosfuzz.

`HistoryBuilder` builds the history of a run by hand, for tests of an invariant
(docs/invariants.md). `TargetConformance` is a suite of tests for a target (docs/targets.md):

    from chaosfuzz.testing import TargetConformance

    class TestMine(TargetConformance):
        @pytest.fixture(scope="class")
        @classmethod
        def target(cls):
            return MyTarget()

If the target's systems lack an ability, its tests are skipped with the name of the ability.
"""

from chaosfuzz.testing.conformance import TargetConformance
from chaosfuzz.testing.history import HistoryBuilder

__all__ = ["HistoryBuilder", "TargetConformance"]
