from pathlib import Path

import pytest

from chaosfuzz.campaign.wiring import Setup
from chaosfuzz.domain.errors import UsageError


@pytest.mark.parametrize("target", ["reference", "simulated"])
def test_a_directory_of_invariants_must_be_there(tmp_path: Path, target: str):
    setup = Setup(target=target, invariants=tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no such directory of invariants\nname one"):
        setup.check()
