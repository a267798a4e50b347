"""kill -9 in the quickest step of a release; `python -m tests.pipeline.kills` does all of them."""

import pytest

from tests.pipeline.kills import copy_without, finish_step, kill_step

pytestmark = pytest.mark.slow


def test_a_killed_merge_leaves_nothing_and_is_made_again(finished, tmp_path):
    home = copy_without(finished.folder, tmp_path / "killed", ("merge",))
    kill_step(home, "merge", r"^0\.9", finished.small)
    assert finish_step(home, "merge", finished.small) == finished.newest("merge").digest
