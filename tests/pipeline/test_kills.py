"""kill -9 in the quickest step of a release that starts a program; `python -m tests.pipeline.kills`
does all steps.
"""

import pytest

from tests.pipeline.kills import copy_without, finish_step, kill_step

pytestmark = pytest.mark.slow


def test_a_killed_quantization_leaves_nothing_and_is_made_again(finished, tmp_path):
    home = copy_without(finished.folder, tmp_path / "killed", ("quantize",))
    children = kill_step(home, "quantize", r"^0\..* tensors", finished.small)
    assert children > 0, "llama-quantize ran, and kill_step saw it end"
    assert finish_step(home, "quantize", finished.small) == finished.newest("quantize").digest
