"""Every check of the policy's weights has a fault that it finds.

Planted where it would happen, the stage refuses and says by how much.
"""

from contextlib import nullcontext

import pytest
import torch
from transformers import Trainer

from tasks.core.errors import WorkError
from tasks.core.settings.tree import Training
from tasks.core.training.backends import assembly
from tasks.core.training.backends import trl as trainers
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.policy import loading
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.stage import train
from tests.training.conftest import TRAINING, changed, checked, refused

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

    plant(assembly, "load_policy", freeze)
    refused(changed(sft, backend=backend), f"1 LoRA matrices get no gradient, e.g. .*{matrix}")


def test_an_adapter_that_the_forward_pass_leaves_out(dpo, plant):
    def drop(policy, *given):
        layer = policy.base_model.model.model.layers[1].mlp.up_proj
        layer.forward = layer.base_layer.forward
        return policy

    plant(assembly, "load_policy", drop)
    refused(dpo, r"2 LoRA matrices get no gradient, e.g. .*layers.1.mlp.up_proj.lora_")


def test_lora_weights_in_16_bit(sft, plant):
    def round_off(policy, *given):
        for _, weight in lora_weights(policy):
            weight.data = weight.data.bfloat16()
        return policy

    plant(assembly, "load_policy", round_off)
    refused(sft, "28 LoRA weights are not float32, the first is .*lora_A")


def quantized_to_trl(policy, *given):
    policy.is_loaded_in_4bit = True
    return policy


@pytest.mark.slow
def test_trls_rounding_of_the_adapter_is_taken_back(sft, plant):
    """TRL casts the adapter of a quantized base to bf16 when it makes a trainer."""
    plant(assembly, "load_policy", quantized_to_trl)
    train(sft)
    assert checked(sft.out)["lora_parameters_float32"] > 0


def test_trls_rounding_of_the_adapter_is_found(sft, plant, monkeypatch):
    plant(assembly, "load_policy", quantized_to_trl)
    monkeypatch.setattr(trainers, "_weights_kept", nullcontext)
    refused(sft, "LoRA weights are not float32")


def test_a_base_in_another_type(sft, plant):
    def narrow(policy, *given):
        policy.base_model.model.model.layers[0].mlp.up_proj.base_layer.half()
        return policy

    plant(assembly, "load_policy", narrow)
    refused(sft, "1 base layers compute in float16, not (bfloat16|float32): .*layers.0.mlp.up_proj")


@BOTH
def test_another_start_than_the_earlier_stages(dpo, monkeypatch, backend):
    """As if the earlier adapter had been left behind for a new one."""
    monkeypatch.setattr(
        assembly, "load_policy", lambda base, start, *rest: load_policy(base, None, *rest)
    )
    refused(
        changed(dpo, backend=backend),
        r"matrices are others than the earlier stage's.*differ by up to 0\.\d+",
    )


@pytest.mark.slow
def test_a_start_adapter_that_is_written_to_meanwhile(dpo, stage2, tmp_path, monkeypatch):
    start = tmp_path / "start"
    start.mkdir()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (start / name).write_bytes((stage2 / name).read_bytes())
    right = trainers.TrlTrainer.training_step

    def write(*given):
        (start / "adapter_config.json").write_text(
            (stage2 / "adapter_config.json").read_text() + "\n"
        )
        return right(*given)

    monkeypatch.setattr(trainers.TrlTrainer, "training_step", write)
    refused(
        changed(dpo, start=str(start)),
        "start changed while the stage that started from them trained",
    )


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


@pytest.mark.slow
def test_an_adapter_that_does_not_move(sft):
    """Rates so small that float32 adds nothing; only B, which starts at zero, seems to follow."""
    refused(
        changed(sft, learning_rate=1e-30, epochs=3), r"Only \d\d\.\d % of the LoRA elements moved"
    )


@pytest.mark.slow
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
    """The CPU computes with plain layers, which hold what NF4 holds, not the base's own values."""
    policy = load_policy(base, None, Training(**TRAINING), find_machine())
    layer = policy.base_model.model.model.layers[0].mlp.up_proj.base_layer
    assert isinstance(layer, torch.nn.Linear)
    blocks = layer.weight.detach().float().reshape(-1, 64)
    assert max(len(block.unique()) for block in blocks) <= 16
