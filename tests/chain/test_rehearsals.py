"""A rehearsal runs before the training that it is for, and never because it is new."""

import shutil

import pytest

from tasks.core.chain.plan import is_idle, plan
from tasks.core.chain.store import Store
from tests.chain.test_plan import build, world

MADE_LATER = ("release.quantization=Q8_0",)  # what quantizes runs, and nothing is trained


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def released(store):
    """A home in which all was made before there were rehearsals."""
    build(world(store))
    shutil.rmtree(store.root / "rehearse")
    return store


def line(world_now, targets=None):
    targets = targets or list(world_now.steps)
    return {line.step: line for line in plan(world_now, targets)}.get("rehearse")


def test_it_runs_before_anything_is_trained(store):
    lines = [planned.step for planned in plan(world(store), list(world(store).steps))]
    assert line(world(store)).action == "run"
    assert lines.index("rehearse") < lines.index("stage1")


def test_a_finished_home_has_nothing_to_do(released):
    lines = plan(world(released), list(world(released).steps))
    assert {planned.action for planned in lines} == {"skip"}
    assert line(world(released)).reason == "nothing that register needs is trained"


def test_another_quantization_alone_needs_no_rehearsal(released):
    assert line(world(released, *MADE_LATER)).action == "skip"


def test_a_stage_that_may_be_trained_again_does(released):
    assert line(world(released, "synthesis.rows=130")).action == "run"
    assert line(world(released, "stage3.epochs=2")).action == "run"


def test_once_made_it_is_found_again(store):
    build(world(store))
    trained_again = world(store, "stage3.epochs=2")
    assert line(trained_again).action == "skip"
    assert line(trained_again).reason == "intact"


def test_other_target_modules_or_tools_are_rehearsed_anew(store):
    build(world(store))
    assert line(world(store, "training.target_modules=[q_proj]")).action == "run"
    newer = {"download": {"base": "abc"}, "rehearse": {"llama.cpp": "9"}}
    assert line(world(store, "stage3.epochs=2", outside=newer)).action == "run"


def test_a_run_that_ends_before_the_release_needs_none(store):
    names = list(world(store).steps)
    assert line(world(store), names[: names.index("stage3") + 1]).action == "skip"


def test_it_runs_alone_or_forced_if_somebody_asks_for_it(released):
    assert line(world(released), ["rehearse"]).action == "run"
    assert line(world(released), ["download", "rehearse"]).action == "run"
    assert line(world(released, force=("rehearse",))).action == "run"


def test_no_stage_is_no_training(store):
    untrained = world(store, "stages.skip=[stage1, stage2, stage3]", "evaluation.baseline=false")
    assert is_idle(untrained.steps["rehearse"], untrained, list(untrained.steps))
