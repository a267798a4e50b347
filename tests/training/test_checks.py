"""Every check of the policy has a fault that it finds: planted where it would happen, the stage
refuses and says by how much.
"""

import math
from functools import partial

import pytest
import torch
from transformers import Trainer
from trl import SFTConfig

from tasks.core.errors import WorkError
from tasks.core.settings.tree import Training
from tasks.core.training import stage
from tasks.core.training.backends import trl as trainers
from tasks.core.training.backends.engine import EngineDPO
from tasks.core.training.checks import of_policy as checks
from tasks.core.training.checks.compared import Compared, Rounding
from tasks.core.training.hardware.machine import look
from tasks.core.training.policy import loading
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.stage import train
from tests.training.conftest import TRAINING, changed, checked, refused
from tests.training.test_engine_stages import attentive

BOTH = pytest.mark.parametrize("backend", ["trl", "engine"])


@BOTH
def test_an_adapter_that_one_layer_lacks(sft, plant, backend):
    plant(
        loading,
        "_lora",
        lambda config, *given: setattr(config, "layers_to_transform", [0]) or config,
    )
    refused(
        changed(sft, backend=backend),
        "7 of 14 layers have no adapter, the first is model.layers.1.",
    )


def test_a_base_that_is_trained_too(sft, plant):
    plant(loading, "_lora", lambda config, *given: setattr(config, "bias", "all") or config)
    refused(sft, r"6 weights of the base would be trained, the first is .*q_proj.*bias")


@pytest.mark.parametrize("matrix", ["lora_A", "lora_B"])
@BOTH
def test_a_frozen_matrix(sft, plant, backend, matrix):
    def freeze(policy, *given):
        next(weight for name, weight in lora_weights(policy) if matrix in name).requires_grad_(
            False
        )
        return policy

    plant(stage, "load_policy", freeze)
    refused(changed(sft, backend=backend), f"1 LoRA matrices get no gradient, e.g. .*{matrix}")


def test_an_adapter_that_the_forward_pass_leaves_out(dpo, plant):
    def drop(policy, *given):
        layer = policy.base_model.model.model.layers[1].mlp.up_proj
        layer.forward = layer.base_layer.forward
        return policy

    plant(stage, "load_policy", drop)
    refused(dpo, r"2 LoRA matrices get no gradient, e.g. .*layers.1.mlp.up_proj.lora_")


def test_lora_weights_in_16_bit(sft, plant):
    def round_off(policy, *given):
        for _, weight in lora_weights(policy):
            weight.data = weight.data.bfloat16()
        return policy

    plant(stage, "load_policy", round_off)
    refused(sft, "28 LoRA weights are not float32, the first is .*lora_A")


def quantized_to_trl(policy, *given):
    policy.is_loaded_in_4bit = True
    return policy


def test_trls_rounding_of_the_adapter_is_taken_back(sft, plant):
    """TRL casts the adapter of a quantized base to bf16 when it makes a trainer."""
    plant(stage, "load_policy", quantized_to_trl)
    train(sft)
    assert checked(sft.out)["lora_parameters_float32"] > 0


def test_trls_rounding_of_the_adapter_is_found(sft, plant, monkeypatch):
    plant(stage, "load_policy", quantized_to_trl)
    monkeypatch.setattr(trainers, "_keeping_weights", lambda policy, make: make())
    refused(sft, "LoRA weights are not float32")


def test_a_base_in_another_type(sft, plant):
    def narrow(policy, *given):
        policy.base_model.model.model.layers[0].mlp.up_proj.base_layer.half()
        return policy

    plant(stage, "load_policy", narrow)
    refused(sft, "1 base layers compute in float16, not (bfloat16|float32): .*layers.0.mlp.up_proj")


@BOTH
def test_another_start_than_the_earlier_stages(dpo, monkeypatch, backend):
    """As if the earlier adapter had been left behind for a new one."""
    monkeypatch.setattr(
        stage, "load_policy", lambda base, start, *rest: load_policy(base, None, *rest)
    )
    refused(
        changed(dpo, backend=backend),
        r"matrices are others than the earlier stage's.*differ by up to 0\.\d+",
    )


def test_a_reference_that_is_the_base(dpo, monkeypatch):
    right = trainers._reference
    monkeypatch.setattr(trainers, "_reference", lambda policy, start: right(policy, None))
    refused(dpo, r"Before the first step the DPO loss is 0\.\d+, not ln 2 = 0.693147")


def test_a_reference_of_the_engine_that_is_the_base(dpo, monkeypatch):
    right = EngineDPO.use_reference

    def of_base(trainer, start):
        adapter = {name: weight.data.clone() for name, weight in lora_weights(trainer.model)}
        for name, weight in lora_weights(trainer.model):
            weight.data *= "lora_A" in name
        trainer.engine.refresh()
        right(trainer, start)
        for name, weight in lora_weights(trainer.model):
            weight.data.copy_(adapter[name])

    monkeypatch.setattr(EngineDPO, "use_reference", of_base)
    refused(changed(dpo, backend="engine"), "Before the first step")


@BOTH
def test_a_reference_that_moves_with_the_policy(dpo, monkeypatch, backend):
    """As if the frozen base were trained, so that the policy without its update is not the
    reference any more.
    """
    right = trainers.Sealed.training_step

    def move(trainer, policy, inputs, *rest):
        with torch.no_grad():
            policy.base_model.model.model.norm.weight += 0.1
        return right(trainer, policy, inputs, *rest)

    if backend == "engine":
        right = EngineDPO.training_step
        monkeypatch.setattr(EngineDPO, "training_step", move)
    else:
        monkeypatch.setattr(trainers.Sealed, "training_step", move)
    refused(
        changed(dpo, backend=backend),
        r"The reference moved while the stage trained: .* by \d+\.\d+ nats an answer",
    )


def test_a_start_adapter_that_is_written_to_meanwhile(dpo, stage2, tmp_path, monkeypatch):
    start = tmp_path / "start"
    start.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (start / name).write_bytes((stage2 / name).read_bytes())
    right = trainers.Sealed.training_step

    def write(*given):
        (start / "adapter_config.json").write_text(
            (stage2 / "adapter_config.json").read_text() + "\n"
        )
        return right(*given)

    monkeypatch.setattr(trainers.Sealed, "training_step", write)
    refused(
        changed(dpo, start=str(start)),
        "start changed while the stage that started from them trained",
    )


def test_rows_padded_together_that_see_one_another(sft, tmp_path, monkeypatch):
    """A padding-free batch whose rows' positions got lost is one long row to the model."""
    base = attentive(sft, tmp_path / "attentive", louder=4)
    monkeypatch.setattr(trainers, "SFTConfig", partial(SFTConfig, padding_free=True))
    right = trainers.SFTTrainer.compute_loss

    def lose_positions(trainer, policy, inputs, *rest, **named):
        line = torch.arange(inputs["input_ids"].shape[1])[None]
        return right(trainer, policy, inputs | {"position_ids": line}, *rest, **named)

    monkeypatch.setattr(trainers.SFTTrainer, "compute_loss", lose_positions)
    refused(
        changed(sft, backend="trl", micro_batch=4, base=str(base)),
        r"each row alone by \d+\.\d+ nats a token, more than 0\.0\d+",
    )


def test_a_pairs_batch_whose_mask_is_off_by_one(dpo, monkeypatch):
    right = trainers._log_probs

    def late(trainer, batch):
        return right(trainer, batch | {"completion_mask": batch["completion_mask"].roll(1, dims=1)})

    monkeypatch.setattr(trainers, "_log_probs", late)
    refused(changed(dpo, backend="trl"), r"each row alone by \d+\.\d+ nats a token")


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_how_much_packing_may_differ(dtype, allowed):
    one, tokens = torch.tensor([-2.0, -3.0]), torch.tensor([600, 900])

    def problem(together, tokens=tokens):
        return checks.check_packing(Compared(one, together, tokens, dtype), "another").problem

    assert not problem(one + 0.9 * allowed)
    assert f"more than {allowed:g}. Use another." in problem(one + 1.1 * allowed)
    assert "by nan nats" in problem(one * torch.nan)
    # an eighth of 512 tokens: their mean is 2.8 times as noisy, where there is noise
    either_way, few = torch.tensor([allowed, -allowed]), torch.tensor([64, 64])
    assert bool(problem(one + 2.5 * either_way, few)) == (dtype == torch.float32)
    assert problem(one + 3 * either_way, few)
    assert problem(one + 2.5 * allowed, few), "both lean one way"


@pytest.mark.parametrize(
    ("usual", "off", "lean", "problem"),
    [
        (0.05, 0.14, 0.049, ""),
        (
            0.05,
            0.16,
            0.0,
            "by 0.1600 nats a token, more than 0.15: rounding makes 0.05 of each row alone.",
        ),
        (
            0.05,
            0.14,
            -0.06,
            "by 0.0600 nats on average, more than 0.05: rounding makes 0.05 of each row alone.",
        ),
        (0.05, math.nan, 0.0, "by nan nats a token"),
        (0.05, 0.05, math.nan, "by nan nats on average"),
        (0.0, 9e-5, 9e-5, ""),
        (0.0, 2e-4, 0.0, "by 0.0002 nats a token"),
        (0.1, 0.12, 0.043, ""),  # seen on short rows that begin alike (SmolLM2 on an H200)
    ],
)
def test_how_far_from_float32_packed_rows_may_be(usual, off, lean, problem):
    found = rounding_problem([500, 300], usual, off, lean)
    assert problem in found and bool(problem) == bool(found)
    assert not found or found.endswith(" Use another.")


def test_a_quarter_of_512_tokens_may_be_twice_as_far_from_float32():
    assert not rounding_problem([96, 32], 0.05, 0.29, 0.09)
    assert rounding_problem([96, 32], 0.05, 0.31, 0.0) and rounding_problem(
        [96, 32], 0.05, 0.2, 0.11
    )


def rounding_problem(tokens: list[int], *told: float) -> str:
    nothing = torch.zeros(0)
    proof = Compared(nothing, nothing, torch.tensor(tokens), torch.bfloat16, Rounding(*told))
    return " ".join(check.problem for check in checks.check_rounding(proof, "another")).strip()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            {"loss": 0.7, "reward": 0.0, "log_prob_gap": 0.0},
            "the DPO loss is 0.700000, not ln 2 = 0.693147",
        ),
        ({"loss": 0.6931, "reward": 0.02, "log_prob_gap": 0.0}, "a reward is 0.020000, not 0"),
        (
            {"loss": 0.6931, "reward": 0.0, "log_prob_gap": 0.5},
            "differ from its reference's by 0.5000 nats",
        ),
        ({"loss": math.nan, "reward": 0.0, "log_prob_gap": 0.0}, "the DPO loss is nan"),
    ],
)
def test_a_wrong_start_of_dpo_says_by_how_much(told, message):
    (problem,) = [check.problem for check in checks.check_reference(told) if check.problem]
    assert message in problem


@BOTH
def test_a_matrix_that_the_optimizer_lacks(sft, monkeypatch, backend):
    right = Trainer.create_optimizer

    def forget(trainer, *given):
        optimizer = right(trainer, *given)
        optimizer.param_groups[0]["params"].pop()
        return optimizer

    monkeypatch.setattr(Trainer, "create_optimizer", forget)
    refused(
        changed(sft, backend=backend),
        "1 LoRA matrices are not the optimizer's, the first is .*lora_",
    )


def test_an_optimizer_that_keeps_its_moments_in_16_bit(sft, monkeypatch):
    right = Trainer.create_optimizer

    class Rounding(torch.optim.AdamW):
        def step(self, closure=None):
            super().step(closure)
            for kept in self.state.values():
                kept["exp_avg"] = kept["exp_avg"].bfloat16()

    def make(trainer, *given):
        trainer.optimizer = Rounding(right(trainer, *given).param_groups)
        return trainer.optimizer

    monkeypatch.setattr(Trainer, "create_optimizer", make)
    refused(sft, "The optimizer keeps bfloat16 numbers, in which small updates are lost")


def test_an_adapter_that_does_not_move(sft):
    """Rates so small that float32 adds nothing; only B, which starts at zero, seems to follow."""
    refused(
        changed(sft, learning_rate=1e-30, epochs=3), r"Only \d\d\.\d % of the LoRA elements moved"
    )


@BOTH
def test_a_matrix_that_does_not_move(sft, monkeypatch, backend):
    """As if its gradient were lost on the way to the optimizer."""

    def lose(trainer, *given, **named):
        next(lora_weights(trainer.model))[1].grad = None
        return right(trainer, *given, **named)

    right = Trainer._clip_grad_norm
    monkeypatch.setattr(Trainer, "_clip_grad_norm", lose)
    spec = changed(sft, backend=backend, epochs=3, learning_rate=2e-2)
    refused(spec, r"1 LoRA matrices did not move at all, the first is .*lora_A")


def test_a_loss_that_is_no_number_stops_the_stage(sft):
    with pytest.raises(
        WorkError, match=r"of stage2 is (nan|inf) at step \d+ of 7. Lower stage2.learning_rate"
    ):
        train(changed(sft, learning_rate=1e30))


def test_weights_of_the_dequantized_base_are_nf4s(base):
    """The CPU computes with plain layers; they hold what NF4 holds, not the 16-bit base's values."""
    policy = load_policy(base, None, Training(**TRAINING), look())
    layer = policy.base_model.model.model.layers[0].mlp.up_proj.base_layer
    assert isinstance(layer, torch.nn.Linear)
    blocks = layer.weight.detach().float().reshape(-1, 64)
    assert max(len(block.unique()) for block in blocks) <= 16
