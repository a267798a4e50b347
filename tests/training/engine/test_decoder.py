"""The engine computes what PEFT computes, packed or alone, for each family, checkpointed or not,
NF4 or not.
"""

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from tasks.core.settings.tree import Training
from tasks.core.training.engine.decoder import Engine
from tasks.core.training.engine.packing import pack_of
from tasks.core.training.engine.support import find_obstacle
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.policy.quantized import dequantize_layers
from tasks.core.training.rows.records import Row
from tests.training.encoded import alike_rows, pair_rows, sft_rows
from tests.training.random_policies import ALL, by_peft, config_of, policy_of, with_adapter

FAMILIES = ("llama", "qwen2", "mistral")
CPU = torch.device("cpu")


def by_engine(engine: Engine, rows: list[Row]) -> torch.Tensor:
    pack = pack_of(rows, CPU)
    return pack.sums(engine.log_probs(pack))


def gradients_of(policy: PeftModel, sums: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of a loss that weighs every answer differently."""
    policy.zero_grad()
    (sums * torch.linspace(-1, 1.5, len(sums))).sum().backward()
    return {name: weight.grad.clone() for name, weight in lora_weights(policy)}


def cosine(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    flat = []
    for gradients in (one, other):
        flat.append(torch.cat([gradients[name].flatten() for name in sorted(gradients)]))
    return torch.nn.functional.cosine_similarity(*flat, dim=0).item()


def test_modules_with_ranks_of_their_own_are_scaled_alike_and_computed_as_peft_does(base):
    """In one group, q and k have other ranks than v, and gate has none beside up."""
    targets = [name for name in ALL if name != "gate_proj"]
    settings = Training(
        lora_rank=4,
        lora_alpha=8,
        target_modules=targets,
        module_ranks={"q_proj": 6, "k_proj": 1, "down_proj": 2},
    )
    policy = with_adapter(load_policy(base, None, settings, Machine("cpu", torch.float32, "")))
    layers = policy.get_base_model().model.layers[1]
    modules = {
        name: getattr(layers.self_attn, name, None) or getattr(layers.mlp, name) for name in targets
    }
    assert {name: module.r["default"] for name, module in modules.items()} == {
        name: settings.rank_of(name) for name in targets
    }
    assert {module.scaling["default"] for module in modules.values()} == {2}
    wanted = by_peft(policy, sft_rows())
    wanted_gradients = gradients_of(policy, wanted)
    sums = by_engine(Engine(policy, checkpointed=0), sft_rows())
    assert torch.allclose(sums, wanted, atol=1e-4)
    assert cosine(gradients_of(policy, sums), wanted_gradients) > 0.9999


@pytest.mark.parametrize(
    "rows", [sft_rows(), pair_rows(), alike_rows()], ids=["rows", "pairs", "rows that begin alike"]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_log_probs_and_gradients_are_pefts_of_each_row_alone(family, rows):
    policy = policy_of(family)
    wanted = by_peft(policy, rows)
    wanted_gradients = gradients_of(policy, wanted)
    sums = by_engine(Engine(policy, checkpointed=0), rows)
    assert sums.dtype == torch.float32
    assert torch.allclose(sums, wanted, atol=1e-4)
    gradients = gradients_of(policy, sums)
    for name, gradient in gradients.items():
        assert gradient.dtype == torch.float32
        assert torch.allclose(gradient, wanted_gradients[name], atol=1e-4, rtol=1e-3), name
    assert torch.allclose(
        by_peft(policy, rows), wanted, atol=1e-4
    )  # PEFT's own forward pass still works


@pytest.mark.parametrize("family", FAMILIES)
def test_in_bf16_the_engine_is_as_near_to_float32_as_peft_is(family):
    rows = alike_rows()
    exact = by_peft(policy_of(family), rows)
    policy = policy_of(family, torch.bfloat16)
    peft = by_peft(policy, rows)
    peft_gradients = gradients_of(policy, peft)
    sums = by_engine(Engine(policy, checkpointed=0), rows)
    assert (sums - exact).abs().max() < 2 * (peft - exact).abs().max()
    assert cosine(gradients_of(policy, sums), peft_gradients) > 0.99


@pytest.mark.parametrize("rows", [sft_rows(), alike_rows()], ids=["rows", "rows that begin alike"])
@pytest.mark.parametrize("checkpointed", [1, 3])
def test_checkpointing_changes_no_bit(checkpointed, rows):
    gradients = []
    for number in (0, checkpointed):
        policy = policy_of("qwen2")
        gradients.append(gradients_of(policy, by_engine(Engine(policy, number), rows)))
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


@pytest.mark.parametrize("rows", [sft_rows(), alike_rows()], ids=["rows", "rows that begin alike"])
def test_what_was_turned_is_not_kept_beside_what_it_became(rows):
    """Values are a part of it, and as a view would keep all of it for the backward pass."""
    policy, kept = policy_of("qwen2"), set()
    engine, pack = Engine(policy, checkpointed=0), pack_of(rows, CPU)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.add(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        engine.log_probs(pack)
    attention, float32 = policy.get_base_model().model.layers[0].self_attn, 4  # bytes
    queries, keys = attention.q_proj.out_features, attention.k_proj.out_features
    assert float32 * len(pack.ids) * queries in kept, "turned ones"
    assert float32 * len(pack.ids) * (queries + 2 * keys) not in kept, (
        "with keys and values, as they were"
    )


def test_an_adapter_on_some_layers_only():
    policy = policy_of(
        "llama", targets=["q_proj", "v_proj", "down_proj"], attention_bias=True, mlp_bias=True
    )
    wanted = by_peft(policy, sft_rows())
    gradients = gradients_of(policy, wanted)
    sums = by_engine(Engine(policy, checkpointed=0), sft_rows())
    assert torch.allclose(sums, wanted, atol=1e-4)
    assert cosine(gradients_of(policy, sums), gradients) > 0.9999


@pytest.mark.parametrize(
    ("dtype", "apart", "left_out"),
    [
        (torch.float32, 1e-6, None),
        (torch.bfloat16, 1e-4, None),
        (torch.float32, 1e-6, ["lm_head", "k_proj", "model.layers.1.mlp"]),
    ],
)
def test_nf4_as_it_is_gives_what_its_values_kept_dequantized_give(dtype, apart, left_out, tmp_path):
    torch.manual_seed(2)
    AutoModelForCausalLM.from_config(config_of("qwen2")).to(dtype).save_pretrained(tmp_path)
    quantized = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=left_out,
    )
    results = []
    for kept in (False, True):
        model = AutoModelForCausalLM.from_pretrained(
            tmp_path, quantization_config=quantized, dtype=dtype
        )
        if kept:
            dequantize_layers(model)
        torch.manual_seed(2)
        policy = with_adapter(
            get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=ALL))
        )
        sums = by_engine(Engine(policy, checkpointed=0), sft_rows())
        results.append((sums.detach(), gradients_of(policy, sums)))
    # in bf16 one rounds the adapter's product before it is added
    (sums, gradients), (kept_sums, kept_gradients) = results
    assert torch.allclose(sums, kept_sums, rtol=1e-5 if dtype == torch.float32 else 1e-3)
    assert cosine(gradients, kept_gradients) > 1 - apart


def test_a_changed_adapter_counts_after_a_refresh():
    policy = policy_of("mistral")
    engine = Engine(policy, checkpointed=0)
    for _, weight in lora_weights(policy):
        weight.data.mul_(1.5)
    engine.refresh()
    assert torch.allclose(by_engine(engine, sft_rows()), by_peft(policy, sft_rows()), atol=1e-4)


def test_lora_weights_in_16_bit_are_refused():
    policy = policy_of("llama")
    engine = Engine(policy, checkpointed=0)
    next(lora_weights(policy))[1].data = next(lora_weights(policy))[1].data.bfloat16()
    with pytest.raises(AssertionError, match="float32"):
        engine.refresh()


@pytest.mark.parametrize(
    ("family", "changes", "reason"),
    [
        ("qwen2", {}, None),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "of type dynamic",
        ),
        (
            "mistral",
            {"sliding_window": 256},
            "a window of 256 tokens, less than training.max_length=512",
        ),
        ("mistral", {"sliding_window": 4096}, None),
        ("qwen2", {"sliding_window": 256, "use_sliding_window": False}, None),
        ("qwen2", {"hidden_act": "gelu"}, "activation is gelu"),
        ("gemma", {}, "is a gemma model; the engine knows llama, mistral, qwen2"),
    ],
)
def test_what_the_engine_cannot_train_it_names(family, changes, reason):
    found = find_obstacle(config_of(family, **changes), 512)
    assert found is None if reason is None else reason in found
