"""What training takes, against what an H200 was seen to need."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from tasks.core.settings.tree import Training
from tasks.core.training.hardware.machine import Machine, Speed, find_machine
from tasks.core.training.planning.costs import Dealt, peak_gib, shape_of, step_seconds
from tasks.core.training.rows.sequences import Packed
from tests.training.conftest import H200, SMALL


def test_the_shape_is_the_7b_ones(shape):
    assert shape.adapter == 80_740_352
    assert shape.layers * shape.weights == 6_525_288_448


def test_the_shape_counts_the_ranks_of_single_modules():
    policy = LlamaForCausalLM(LlamaConfig(**SMALL))
    training = Training(
        lora_rank=4, target_modules=["q_proj", "v_proj", "down_proj"], module_ranks={"v_proj": 7}
    )
    config = LoraConfig(
        r=4, rank_pattern={"v_proj": 7}, target_modules=list(training.target_modules)
    )
    trained = sum(
        weight.numel()
        for weight in get_peft_model(policy, config).parameters()
        if weight.requires_grad
    )
    assert shape_of(policy.config, training, find_machine()).adapter == trained


@pytest.mark.parametrize(
    ("tokens", "checkpointed", "seen"), [(16_384, 28, 22.7), (8_192, 28, 19.2), (4_096, 28, 17.5)]
)
def test_peak_memory_is_what_was_seen(shape, tokens, checkpointed, seen):
    assert peak_gib(shape, tokens, checkpointed, nf4=False) == pytest.approx(seen, rel=0.05)


def test_small_micro_batches_take_what_dequantized_weights_take(shape):
    """At 64 tokens gate and up in 16 bit (0.25 GiB) outweigh the MLP's gradients, and the rest is
    little.
    """
    gib = {nf4: peak_gib(shape, 64, 28, nf4) - peak_gib(shape, 1, 28, nf4) for nf4 in (True, False)}
    weights = (
        shape.layers * shape.weights * (0.5 + 1 / 64 + 4 / (64 * 256))
        + 2 * shape.vocabulary * shape.hidden * 2
    )
    least = (weights + shape.adapter * 20 + 4 * shape.hidden * shape.intermediate) / 2**30
    assert 0 < peak_gib(shape, 64, 28, nf4=True) - least < gib[False] < 0.2


def test_gradients_of_shared_keys_count_where_they_outweigh_the_mlps(shape):
    """As of rows that share 2,000 of 2,040 tokens. Per key: its gathered key and value, their
    gradients, and these for all of the queries' heads.
    """
    gib = [
        peak_gib(shape, 4_560, 28, False, Packed(4_560, keys, 640, 0)) for keys in (130_000, 65_000)
    ]
    assert 2**30 * (gib[0] - gib[1]) == pytest.approx(
        65_000 * 2 * (2 + 2) * shape.key + 65_000 * 2 * 2 * shape.query
    )
    assert gib[1] > peak_gib(shape, 4_560, 28, False, Packed(4_560, 4_560, 640, 0)) + 0.3


def test_a_tied_head_is_counted_once_and_wider_numbers_in_full(shape):
    tied, wide = (
        2**30 * peak_gib(replace(shape, **changes), 1, 28, False)
        for changes in ({"tied": True}, {"number_bytes": 4})
    )
    base = 2**30 * peak_gib(shape, 1, 28, False)
    assert base - tied == 2 * shape.vocabulary * shape.hidden
    assert wide == pytest.approx(2 * base, rel=0.1)


@pytest.mark.parametrize(
    ("tokens", "checkpointed", "seen"),
    [(16_384, 0, 17_949), (16_384, 28, 12_607), (8_192, 28, 12_403), (4_096, 28, 12_220)],
)
def test_time_is_what_was_seen(shape, tokens, checkpointed, seen):
    """seen: tokens/s of steps of 32,768 tokens."""
    rows = [700] * (32_768 // 700)
    rows.append(32_768 - sum(rows))
    squares = sum(length**2 for length in rows)
    dealt = Dealt(32_768 / tokens, 32_768, squares, 32_768, Packed(tokens, tokens, tokens, squares))
    assert 32_768 / step_seconds(shape, dealt, checkpointed, False, H200) == pytest.approx(
        seen, rel=0.1
    )


@pytest.mark.parametrize(
    ("tokens", "checkpointed", "nf4", "dealt", "peak", "seconds"),
    [
        (2220, 28, True, Dealt(4.5, 8813, 6922210, 3807, Packed(2220, 2591, 1041, 0)), 7.3, 1.376),
        (9191, 27, True, Dealt(1, 7636, 6679403, 3775, Packed(9191, 11757, 4773, 0)), 9.93, 0.613),
        (4790, 2, True, Dealt(2, 8007, 6748704, 3775, Packed(4790, 5885, 2408, 0)), 21.15, 0.49),
        (
            4328,
            0,
            True,
            Dealt(5.93, 24063, 20371730, 11497, Packed(4328, 5593, 2324, 0)),
            20.71,
            1.422,
        ),
        (9191, 0, False, Dealt(1, 7636, 6679403, 3775, Packed(9191, 11757, 4773, 0)), 46.39, 0.401),
        (
            23639,
            0,
            True,
            Dealt(1, 22249, 20033061, 11497, Packed(23639, 32296, 12715, 0)),
            81.96,
            1.187,
        ),
        (
            11757,
            0,
            False,
            Dealt(1, 10211, 7156295, 3775, Packed(11757, 11757, 4773, 0)),
            54.62,
            0.512,
        ),
        (
            8120,
            0,
            False,
            Dealt(4, 30753, 21616304, 11497, Packed(8120, 8120, 3327, 0)),
            42.72,
            1.565,
        ),
        (7096, 11, True, Dealt(1, 5890, 5582761, 3805, Packed(7096, 11788, 4728, 0)), 21.01, 0.414),
        (7096, 0, False, Dealt(1, 5890, 5582761, 3805, Packed(7096, 11788, 4728, 0)), 39.67, 0.323),
    ],
)
def test_steps_of_real_lengths_are_what_was_seen(
    shape, tokens, checkpointed, nf4, dealt, peak, seconds
):
    """SFT of 16 and of 48 rows, alike and not, and DPO of 8 pairs (tests/gpu/engine.py), whose
    optimizer has 8 bit.
    """
    shape = replace(shape, state_bytes=2)
    seen = Speed(operations=789.7e12, bandwidth=4.152e12, start=6.69e-6)
    assert peak_gib(shape, tokens, checkpointed, nf4, dealt.fullest) == pytest.approx(
        peak, rel=0.02
    )
    assert step_seconds(shape, dealt, checkpointed, nf4, seen) == pytest.approx(seconds, rel=0.06)


def test_a_small_models_time_is_what_was_seen():
    """SmolLM2's shape on an H200: its card waits for the processor. 16 rows a step; micro-batches,
    seconds seen.
    """
    config = LlamaConfig(
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        vocab_size=49_152,
        tie_word_embeddings=True,
    )
    shape = shape_of(config, Training(), Machine("cuda", torch.bfloat16, "H200", 139))
    for nf4, checkpointed, packs, seen in (
        (False, 0, 1, 0.209),
        (False, 0, 4.2, 0.599),
        (False, 30, 4.2, 0.866),
        (True, 0, 1, 0.234),
        (True, 0, 4.2, 0.764),
    ):
        dealt = Dealt(packs, 16 * 642, 16 * 642**2, 3_900, Packed(642, 642, 642, 642**2))
        assert step_seconds(shape, dealt, checkpointed, nf4, H200) == pytest.approx(seen, rel=0.1)
