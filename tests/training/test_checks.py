"""Every check of a start has a case in which it fails, and says which and by how much."""

import math
from pathlib import Path

import pytest
import torch

from tasks.core.errors import WorkError
from tasks.core.settings import Stage3, Training
from tasks.core.training import checks
from tasks.core.training.machine import look
from tasks.core.training.model import load_policy, load_tokenizer, lora_weights, saved_weights
from tasks.core.training.rows import IGNORED, encode_pair, encode_sft, select
from tasks.core.training.stage import train
from tasks.core.training.trainers import dpo_at_start, dpo_trainer, sft_trainer
from tests.tiny import chat_rows, preference_pairs
from tests.training.conftest import SCHEDULE, TRAINING, changed


@pytest.fixture
def tokenizer(base):
    return load_tokenizer(base)


@pytest.fixture
def policy(base):
    return load_policy(base, None, Training(**TRAINING), look())


@pytest.fixture
def rows(tokenizer):
    return [encode_sft(tokenizer, row, whole_text=False) for row in chat_rows(10)]


@pytest.fixture
def trainer(base, stage2, tokenizer, tmp_path):
    """A DPO trainer that continues Stage 2 and waits for its reference."""
    policy = load_policy(base, stage2, Training(**TRAINING), look())
    pairs = select([encode_pair(tokenizer, pair) for pair in preference_pairs(6)], 512, 0, 1)
    stage = (Training(**TRAINING), Stage3(**SCHEDULE, learning_rate=1e-3), tmp_path)
    return dpo_trainer(policy, tokenizer, pairs, stage, look())


def test_right_masks_pass(tokenizer, rows):
    told = checks.check_masks(tokenizer, rows, whole_text=False)
    assert told["rows"] == told["rows_decoded_to_their_answers"] == 10
    assert told["answers_with_trained_eos"] == sum(len(row["answers"]) for row in rows)
    assert 0.2 < told["trained_share"] < 0.9


@pytest.mark.parametrize(
    ("shift", "told"),
    [(1, r"10 rows? .*|answers do not end in a trained <\|im_end\|>"), (-1, "do not end in a trained")],
)
def test_a_mask_that_is_off_by_one_is_refused(tokenizer, rows, shift, told):
    row = rows[0]
    trained = [label != IGNORED for label in row["labels"]]
    moved = trained[-shift:] + trained[:-shift]
    row["labels"] = [token if on else IGNORED for token, on in zip(row["input_ids"], moved, strict=True)]
    with pytest.raises(WorkError, match=told):
        checks.check_masks(tokenizer, rows, whole_text=False)


def test_an_answer_whose_first_token_is_not_trained_is_refused(tokenizer, rows):
    labels = rows[0]["labels"]
    labels[next(place for place, label in enumerate(labels) if label != IGNORED)] = IGNORED
    with pytest.raises(WorkError, match="The trained tokens say .* where the answer is"):
        checks.check_masks(tokenizer, rows, whole_text=False)


def test_an_eos_that_is_not_trained_is_refused(tokenizer, rows):
    rows[3]["labels"] = [label if label != tokenizer.eos_token_id else IGNORED for label in rows[3]["labels"]]
    with pytest.raises(WorkError, match=r"1 answers do not end in a trained <\|im_end\|>: the model would never stop"):
        checks.check_masks(tokenizer, rows, whole_text=False)


def test_a_row_without_a_trained_token_is_refused(tokenizer, rows):
    rows[0]["labels"] = [IGNORED] * len(rows[0]["labels"])
    with pytest.raises(WorkError, match="1 of 10 rows have no trained token"):
        checks.check_masks(tokenizer, rows, whole_text=False)


def test_lora_weights_in_another_type_are_refused(policy):
    checks.check_float32(policy)
    name, weight = next(lora_weights(policy))
    weight.data = weight.data.bfloat16()
    with pytest.raises(WorkError, match=f"1 LoRA weights are not float32, the first is {name}"):
        checks.check_float32(policy)


def test_trl_would_round_the_weights_and_does_not_get_to(base, tokenizer, rows, tmp_path):
    """TRL casts the adapter of a quantized base to bf16 when it makes a trainer."""
    policy = load_policy(base, None, Training(**TRAINING), look())
    policy.is_loaded_in_4bit = True
    before = {name: weight.detach().clone() for name, weight in lora_weights(policy)}
    stage = (Training(**TRAINING), Stage3(**SCHEDULE, learning_rate=1e-3), tmp_path)
    sft_trainer(policy, tokenizer, select(rows, 512, 0, 1), stage, look())
    checks.check_float32(policy)
    checks.check_same_weights(policy, before, "the start")


@pytest.mark.parametrize("matrix", ["lora_A", "lora_B"])
def test_a_frozen_matrix_is_refused(trainer, matrix):
    trainer.use_reference(None)
    name, weight = next((n, w) for n, w in lora_weights(trainer.model) if matrix in n)
    weight.requires_grad_(False)
    with pytest.raises(WorkError, match=f"1 LoRA matrices get no gradient, e.g. {name}"):
        checks.check_gradients(trainer.model, trainer.row_loss(0))


def test_a_dropped_adapter_is_refused(trainer):
    """A matrix that the forward pass does not go through."""
    trainer.use_reference(None)
    layer = trainer.model.base_model.model.model.layers[1].mlp.up_proj
    layer.forward = layer.base_layer.forward
    with pytest.raises(WorkError, match=r"2 LoRA matrices get no gradient, e.g. .*layers.1.mlp.up_proj.lora_"):
        checks.check_gradients(trainer.model, trainer.row_loss(0))


def test_the_reference_is_stage_2s_policy(trainer, stage2):
    trainer.use_reference(stage2)
    told = checks.check_reference(dpo_at_start(trainer))["dpo_at_start"]
    assert told == {"loss": pytest.approx(math.log(2), abs=1e-6), "reward": 0, "log_prob_gap": 0}
    assert list(trainer.model.peft_config) == ["default"]
    assert all(weight.requires_grad for _, weight in lora_weights(trainer.model))


def test_a_reference_that_is_the_base_is_refused(trainer):
    trainer.use_reference(None)
    with pytest.raises(WorkError, match=r"Before the first step"):
        checks.check_reference(dpo_at_start(trainer))


def test_a_policy_that_moved_before_the_first_step_is_refused(trainer, stage2):
    trainer.use_reference(stage2)
    for _, weight in lora_weights(trainer.model):
        weight.data += 0.1
    with pytest.raises(WorkError, match=r"The policy's .*lora_A.* is not Stage 2's"):
        checks.check_same_weights(trainer.model, saved_weights(stage2), "Stage 2")
    with pytest.raises(WorkError, match=r"Before the first step"):
        checks.check_reference(dpo_at_start(trainer))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"loss": 0.7, "reward": 0.0, "log_prob_gap": 0.0}, "the DPO loss is 0.700000, not ln 2 = 0.693147"),
        ({"loss": 0.6931, "reward": 0.02, "log_prob_gap": 0.0}, "a reward is 0.020000, not 0"),
        ({"loss": 0.6931, "reward": 0.0, "log_prob_gap": 0.5}, "differ from its reference's by 0.5000 nats"),
    ],
)
def test_a_wrong_start_of_dpo_says_by_how_much(told, message):
    with pytest.raises(WorkError, match=message):
        checks.check_reference(told)


def test_an_adapter_that_did_not_move_is_refused(policy):
    before = {name: weight.detach().clone() for name, weight in lora_weights(policy)}
    with pytest.raises(WorkError, match=r"Only 0.0 % of the LoRA elements moved"):
        checks.check_moved(policy, before, strict=False)
    next(lora_weights(policy))[1].data += 1
    assert 0 < checks.check_moved(policy, before, strict=False)["elements_moved_share"] < 0.9
    with pytest.raises(WorkError, match=r"% of the LoRA elements moved: part of the adapter was not trained"):
        checks.check_moved(policy, before, strict=True)


def test_a_stage_that_fails_a_check_leaves_no_adapter(sft, monkeypatch):
    monkeypatch.setattr("tasks.core.training.stage.lora_weights", lambda policy: iter(()))
    kept = checks.lora_weights
    monkeypatch.setattr(checks, "lora_weights", lambda policy: ((n, w.bfloat16()) for n, w in kept(policy)))
    with pytest.raises(WorkError, match="28 LoRA weights are not float32"):
        train(sft)
    assert not (Path(sft.out) / "adapter_model.safetensors").exists()


def test_a_loss_that_is_no_number_stops_the_stage(sft):
    with pytest.raises(WorkError, match=r"of stage2 is (nan|inf) at step \d+ of 7. Lower stage2.learning_rate"):
        train(changed(sft, learning_rate=1e30))


def test_weights_of_the_dequantized_base_are_nf4s(base):
    """The CPU computes with plain layers; they hold what NF4 holds, not the 16-bit base's values."""
    policy = load_policy(base, None, Training(**TRAINING), look())
    layer = policy.base_model.model.model.layers[0].mlp.up_proj.base_layer
    assert isinstance(layer, torch.nn.Linear)
    blocks = layer.weight.detach().float().reshape(-1, 64)
    assert max(len(block.unique()) for block in blocks) <= 16
