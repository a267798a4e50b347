"""kill -9 in a step that starts a program; `python -m tests.pipeline.kills` kills all steps."""

import pytest

from tests.pipeline.kills import kill, left_behind, make, paths, running

pytestmark = pytest.mark.slow


def test_a_killed_quantization_leaves_nothing_and_is_made_again(finished, tmp_path):
    home = finished.copy(tmp_path / "killed", "quantize")

    def quantizes(seconds):
        return running(home, "llama-quantize") is not None

    before = paths(home)
    assert kill(home, "quantize", quantizes).startswith("exited with -9, ")
    assert make(home, "quantize") == finished.newest("quantize").digest
    made = {name for name in paths(home) if name.startswith("artifacts/quantize")}
    assert left_behind(home, before | made) == set()
