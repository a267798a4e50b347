"""The deployments `data` and `train`: which steps each carries out, and in which order."""

from types import SimpleNamespace

import pytest

from flows import data, training
from tasks.core.settings.profiles import load
from tasks.core.steps import chain


@pytest.fixture
def carried_out(monkeypatch):
    """The steps that a flow would run with these settings, in the order of the chain."""

    def steps_of(flow, module, *overrides):
        run = SimpleNamespace(steps=chain(load("demo", overrides).settings))
        asked = []
        monkeypatch.setattr(module, "run_of", lambda *given: run)
        monkeypatch.setattr(module, "carry_out", lambda run, only: asked.append(only))
        flow.fn("demo", list(overrides), [])
        return [name for name in run.steps if name in asked[0]]

    return steps_of


def test_data_makes_all_data_and_train_trains_on_it(carried_out):
    assert carried_out(data.data, data)[-2:] == ["synthesize", "pairs"]
    assert carried_out(training.train, training) == ["stage1", "stage2", "stage3"]


def test_pairs_with_the_models_own_answers_are_made_while_training(carried_out):
    share = "pairs.model_reject_share=0.2"
    assert carried_out(data.data, data, share)[-1] == "synthesize"
    expected = ["stage1", "stage2", "rejects", "pairs", "stage3"]
    assert carried_out(training.train, training, share) == expected
