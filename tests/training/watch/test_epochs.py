"""Evaluations and checkpoints at the end of each epoch, and patience that counts them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tasks.core.settings.tree import Stage2, Training
from tasks.core.training import stage as stage_module
from tasks.core.training.spec import StageSettings
from tasks.core.training.stage import train
from tests.training.conftest import changed
from tests.training.watch.test_health import Losses, lines


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trl", "engine"])
@pytest.mark.parametrize(("epochs", "ends"), [(2.5, [7, 14, 18]), (0.5, [4])])
def test_each_epoch_ends_with_an_evaluation_and_a_checkpoint(
    sft, monkeypatch, backend, epochs, ends
):
    every = {"eval_every": "epoch", "save_every": "epoch", "keep": 9}
    monkeypatch.setattr(stage_module, "save_adapter", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(changed(sft, backend=backend, epochs=epochs, **every))
    assert [line["step"] for line in lines(sft.out) if "eval_loss" in line] == ends
    saved = (Path(sft.out) / "checkpoints").iterdir()
    assert sorted(entry.name for entry in saved) == sorted(f"checkpoint-{step}" for step in ends)


@pytest.mark.slow
def test_patience_counts_the_evaluations_of_epochs(sft, monkeypatch):
    Losses(monkeypatch, [*[3.0] * 13, *[2.0] * 7, *[2.5] * 7, 1.0])  # one for each step
    metrics = train(changed(sft, epochs=4, eval_every="epoch", patience=1, save_every=100))
    assert (metrics["best_step"], metrics["stopped_at_step"], metrics["steps"]) == (14, 21, 28)


@pytest.mark.slow
def test_pairs_are_evaluated_and_saved_each_epoch_too(dpo):
    train(changed(dpo, epochs=2, eval_every="epoch", save_every="epoch"))
    assert [line["step"] for line in lines(dpo.out) if "eval_loss" in line] == [5, 10]


def test_an_epochs_steps_follow_from_the_rows():
    settings = StageSettings(Training(), Stage2(effective_batch=8, epochs=2.5))
    assert settings.interval("epoch", 17) == settings.interval(3, 17) == 3
    assert (settings.interval(0, 17), settings.steps(17)) == (0, 8)


@pytest.mark.parametrize(
    ("given", "least"),
    [({"eval_every": "epochs"}, 0), ({"save_every": 0}, 1), ({"eval_every": -1}, 0)],
)
def test_an_interval_is_steps_or_epoch(given, least):
    told = f"write a whole number of optimizer steps, at least {least}, or epoch"
    with pytest.raises(ValidationError, match=told):
        Stage2(**given)
    assert Stage2(eval_every="7", save_every="epoch").save_every == "epoch"


def test_an_evaluation_of_each_epoch_is_in_the_key_with_patience_only():
    plain = Stage2().result_settings()
    assert Stage2(eval_every="epoch", save_every="epoch").result_settings() == plain
    asked = Stage2(eval_every="epoch", patience=2).result_settings()
    assert asked == {**plain, "eval_every": "epoch", "patience": 2}
