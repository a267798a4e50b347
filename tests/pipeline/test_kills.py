"""kill -9 in the quickest steps of a release; `python -m tests.pipeline.kills` does all of them."""

import pytest

from tests.pipeline.kills import copy_without, finish_step, kill_step

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("step", "moment", "children"), [("merge", r"^0\.9", 0), ("quantize", r"^0\.", 1)]
)
def test_a_killed_step_leaves_nothing_and_is_made_again(finished, tmp_path, step, moment, children):
    home = copy_without(finished.folder, tmp_path / "killed", (step,))
    assert kill_step(home, step, moment, finished.small) == children
    assert finish_step(home, step, finished.small) == finished.newest(step).digest
