"""What the engine is checked against: PEFT's pass rounded where the engine rounds, and never
rounded at all.
"""

from copy import deepcopy

import pytest
import torch
from transformers import AutoModelForCausalLM

from tasks.core.settings.tree import Training
from tasks.core.training.checks.rounding import never_rounded, rounded_once
from tasks.core.training.engine.groups import Group
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.policy.loading import load_policy
from tests.training.encoded import sft_rows
from tests.training.random_policies import by_peft, config_of, with_adapter

CPU_IN_BF16 = Machine("cpu", torch.bfloat16, "")


@pytest.mark.parametrize("nf4", [False, True])
@pytest.mark.parametrize("projections", [["gate_proj", "up_proj"], ["down_proj"]])
def test_an_update_smaller_than_the_last_bit_is_not_lost(projections, nf4, tmp_path):
    """A young adapter's: PEFT adds it to a product that is rounded to bf16 already, where it
    vanishes every time.
    """
    AutoModelForCausalLM.from_config(config_of("qwen2")).to(torch.bfloat16).save_pretrained(
        tmp_path
    )
    policy = load_policy(tmp_path, None, Training(lora_rank=4), CPU_IN_BF16, nf4)
    layers = [getattr(policy.get_base_model().model.layers[0].mlp, name) for name in projections]
    x = torch.randn(2_000, layers[0].in_features).bfloat16()
    with torch.no_grad(), rounded_once(policy):
        base = torch.cat([layer.base_layer(x) for layer in layers], dim=1)
        for layer in layers:
            layer.lora_B["default"].weight.normal_(0, 5e-5)
        update = [
            layer.lora_B["default"](layer.lora_A["default"](x.float())) * layer.scaling["default"]
            for layer in layers
        ]
        exact = torch.cat([layer(x) for layer in layers], dim=1)
    update = torch.cat(update, dim=1)
    assert update.std() < 2**-9 * base.abs().mean()

    def share_found(y):
        return (((y.float() - base) * update).sum() / update.square().sum()).item()

    with torch.no_grad():
        assert share_found(torch.cat([layer.train()(x) for layer in layers], dim=1)) < 0.8  # PEFT
        assert share_found(exact) == pytest.approx(1, abs=0.1)
        assert share_found(Group(layers, torch.bfloat16).forward(x).y) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("nf4", [False, True])
def test_a_policy_that_never_rounds_computes_what_it_would_in_float32(nf4, tmp_path):
    AutoModelForCausalLM.from_config(
        config_of("llama", tie_word_embeddings=True)
    ).bfloat16().save_pretrained(tmp_path)
    policy = with_adapter(load_policy(tmp_path, None, Training(lora_rank=4), CPU_IN_BF16, nf4))
    exact = deepcopy(
        with_adapter(load_policy(tmp_path, None, Training(lora_rank=4), CPU_IN_BF16, False))
    ).float()
    exact.load_state_dict(
        {name: weight for name, weight in policy.state_dict().items() if "lora_" in name},
        strict=False,
    )
    with torch.no_grad():
        rounded = by_peft(policy, sft_rows())
        with never_rounded(policy):
            found = by_peft(policy, sft_rows())
        wanted = by_peft(exact, sft_rows())
        assert torch.allclose(found, wanted, atol=1e-4)
        assert (rounded - wanted).abs().max() > 1e-3
        assert torch.equal(by_peft(policy, sft_rows()), rounded), "it rounds again"
