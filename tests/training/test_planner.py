"""Plans of the 7B run for cards of all sizes, against what an H200 was seen to need."""

import re
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, LlamaConfig, LlamaForCausalLM

from tasks.core.errors import RequestError
from tasks.core.settings import Stage2, Training
from tasks.core.training import planner
from tasks.core.training.engine.sequences import Packed, apart
from tasks.core.training.machine import Machine, Speed, look, memory_cap
from tasks.core.training.planner import (
    Dealt,
    NothingFits,
    Plan,
    Work,
    make_plan,
    peak_gib,
    plan_stage,
    shape_of,
    step_seconds,
    works_of,
)
from tasks.core.training.rows import IGNORED

H200 = Speed(operations=750e12, bandwidth=4.0e12, start=7.4e-6)
SMALL = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "vocab_size": 64}
SMALL |= {"num_attention_heads": 3, "num_key_value_heads": 1}
LENGTHS = [2048, 300, 500, 700, 900, 400, 650, 820, 1200, 350, 610, 480, 770, 530, 690, 1440]
ROWS = [Work(apart(LENGTHS, trained=0.66), 2048, 2048)]


@pytest.fixture
def shape():
    config = AutoConfig.for_model(
        "qwen2",
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
        tie_word_embeddings=False,
    )
    return shape_of(config, Training(), Machine("cpu", look().compute, ""))  # the measured runs had plain AdamW


def test_the_shape_is_the_7b_ones(shape):
    assert shape.adapter == 80_740_352
    assert shape.layers * shape.weights == 6_525_288_448


def test_the_shape_counts_the_ranks_of_single_modules():
    policy = LlamaForCausalLM(LlamaConfig(**SMALL))
    training = Training(lora_rank=4, target_modules=["q_proj", "v_proj", "down_proj"], module_ranks={"v_proj": 7})
    config = LoraConfig(r=4, rank_pattern={"v_proj": 7}, target_modules=list(training.target_modules))
    trained = sum(weight.numel() for weight in get_peft_model(policy, config).parameters() if weight.requires_grad)
    assert shape_of(policy.config, training, look()).adapter == trained


@pytest.mark.parametrize(("tokens", "checkpointed", "seen"), [(16_384, 28, 22.7), (8_192, 28, 19.2), (4_096, 28, 17.5)])
def test_peak_memory_is_what_was_seen(shape, tokens, checkpointed, seen):
    assert peak_gib(shape, tokens, checkpointed, nf4=False) == pytest.approx(seen, rel=0.05)


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
    plan = Plan(tokens, checkpointed, 28, False, 0, 0)
    assert 32_768 / step_seconds(shape, dealt, plan, H200) == pytest.approx(seen, rel=0.1)


@pytest.mark.parametrize(
    ("plan", "nf4", "dealt", "peak", "seconds"),
    [  # plan: tokens, layers checkpointed
        ((2220, 28), True, Dealt(4.5, 8813, 6922210, 3807, Packed(2220, 2591, 1041, 0)), 7.3, 1.376),
        ((9191, 27), True, Dealt(1, 7636, 6679403, 3775, Packed(9191, 11757, 4773, 0)), 9.93, 0.613),
        ((4790, 2), True, Dealt(2, 8007, 6748704, 3775, Packed(4790, 5885, 2408, 0)), 21.15, 0.49),
        ((4328, 0), True, Dealt(5.93, 24063, 20371730, 11497, Packed(4328, 5593, 2324, 0)), 20.71, 1.422),
        ((9191, 0), False, Dealt(1, 7636, 6679403, 3775, Packed(9191, 11757, 4773, 0)), 46.39, 0.401),
        ((23639, 0), True, Dealt(1, 22249, 20033061, 11497, Packed(23639, 32296, 12715, 0)), 81.96, 1.187),
        ((11757, 0), False, Dealt(1, 10211, 7156295, 3775, Packed(11757, 11757, 4773, 0)), 54.62, 0.512),
        ((8120, 0), False, Dealt(4, 30753, 21616304, 11497, Packed(8120, 8120, 3327, 0)), 42.72, 1.565),
        ((7096, 11), True, Dealt(1, 5890, 5582761, 3805, Packed(7096, 11788, 4728, 0)), 21.01, 0.414),
        ((7096, 0), False, Dealt(1, 5890, 5582761, 3805, Packed(7096, 11788, 4728, 0)), 39.67, 0.323),
    ],
)
def test_steps_of_real_lengths_are_what_was_seen(shape, plan, nf4, dealt, peak, seconds):
    """SFT of 16 and of 48 rows, alike and not, and DPO of 8 pairs (tests/gpu/engine.py), whose optimizer has 8 bit."""
    shape, seen = replace(shape, state_bytes=2), Speed(operations=789.7e12, bandwidth=4.152e12, start=6.69e-6)
    assert peak_gib(shape, *plan, nf4, dealt.fullest) == pytest.approx(peak, rel=0.02)
    assert step_seconds(shape, dealt, Plan(*plan, 28, nf4, 0, 0), seen) == pytest.approx(seconds, rel=0.06)


def test_a_small_models_time_is_what_was_seen():
    """SmolLM2's shape on an H200: its card waits for the processor. 16 rows a step; micro-batches, seconds seen."""
    config = LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
        vocab_size=49_152, tie_word_embeddings=True,
    )  # fmt: skip
    shape = shape_of(config, Training(), Machine("cuda", torch.bfloat16, "H200", 139))
    for nf4, checkpointed, packs, seen in (
        (False, 0, 1, 0.209),
        (False, 0, 4.2, 0.599),
        (False, 30, 4.2, 0.866),
        (True, 0, 1, 0.234),
        (True, 0, 4.2, 0.764),
    ):
        plan = Plan(10_778, checkpointed, 30, nf4, 0, 0)
        dealt = Dealt(packs, 16 * 642, 16 * 642**2, 3_900, Packed(642, 642, 642, 642**2))
        assert step_seconds(shape, dealt, plan, H200) == pytest.approx(seen, rel=0.1)


def beginning_alike(count: int) -> list[dict]:
    """Rows of 500 tokens, of which 400 are the same in all."""
    rows = [[1] * 400 + [number] * 100 for number in range(count)]
    return [{"input_ids": ids, "labels": [IGNORED] * 450 + ids[450:], "positions": 500} for ids in rows]


def test_rows_that_begin_alike_take_less_memory_and_less_time(shape):
    """In one micro-batch the beginning is there once, in five it is there five times; its keys are each row's own."""
    alike, others = works_of(beginning_alike(24), 24, 42), [Work(apart([500] * 24, trained=0.1), 500, 500)]
    plan, wide = (make_plan(shape, works, 139, H200, "bf16") for works in (alike, others))
    assert (plan.tokens, wide.tokens) == (2_800, 12_000)
    assert plan.step_s < 0.5 * wide.step_s
    assert peak_gib(shape, 2_800, 0, False, Packed(2_800, 2_800, 1_200, 0)) < plan.peak_gib < wide.peak_gib
    small = make_plan(shape, alike, 139, H200, "bf16", {"tokens": 900})
    assert small.tokens == 900
    assert plan.step_s < small.step_s


def test_what_would_fit_is_named_also_where_the_keys_of_shared_tokens_are_too_many(shape):
    """A micro-batch of 500 tokens is one row of 500, or several of 410 that share 400 but not their keys."""
    short = [{"input_ids": ids[:410], "labels": ids[:410]} for ids in (row["input_ids"] for row in beginning_alike(9))]
    works = works_of([*beginning_alike(1), *short[1:]], 9, 42)
    with pytest.raises(NothingFits) as found:
        make_plan(shape, works, 1, H200, "auto")
    least = float(re.search(r"takes ([\d.]+) GiB", str(found.value))[1])
    unshared = peak_gib(shape, 500, shape.layers, nf4=True) / planner._HEADROOM
    for cap in (unshared, unshared + 0.001, least - 0.1):
        with pytest.raises(NothingFits, match=r"there\. training\.max_length=\d+ would fit"):
            make_plan(shape, works, cap, H200, "auto")


def test_the_busiest_card_is_planned_for_and_every_card_takes_the_largest_row(shape):
    """The row of 2,048 tokens weighs less than two of 1,100, and is longer."""
    rows = [
        {"input_ids": [number] * length, "labels": [IGNORED] * length}
        for number, length in enumerate((2048, 1100, 1100))
    ]
    (work,) = works_of(rows, 3, 42, cards=2)
    assert (sorted(work.sequences.alone), work.widest) == ([1100, 1100], 2048)
    assert make_plan(shape, [work], 139, H200, "bf16").tokens >= 2048


def test_more_memory_is_never_slower_and_never_overrun(shape):
    plans = [make_plan(shape, ROWS, cap, H200, "auto") for cap in (8.5, 10, 12, 16, 24, 48, 80, 139)]
    assert all(plan.peak_gib <= cap for plan, cap in zip(plans, (8.5, 10, 12, 16, 24, 48, 80, 139), strict=True))
    times = [plan.step_s for plan in plans]
    assert all(later <= earlier * 1.011 for earlier, later in zip(times, times[1:], strict=False))
    assert plans[0].nf4
    assert plans[0].checkpointed > 0
    assert (plans[-1].nf4, plans[-1].checkpointed) == (False, 0)
    assert all(plan.tokens >= 2048 for plan in plans)  # no row is cut


def test_between_none_and_all_layers_checkpointed_there_is_some(shape):
    plan = make_plan(shape, ROWS, 24, H200, "bf16")
    assert 0 < plan.checkpointed < 28
    assert "of 28 layers checkpointed, base weights NF4's values in 16 bit; expected: " in str(plan)


def test_a_card_that_is_too_small_is_told_what_it_takes(shape):
    with pytest.raises(RequestError, match=r"rows of up to 2048 tokens takes 8\.\d GiB at least, but only 6 GiB"):
        make_plan(shape, ROWS, 6, H200, "auto")
    with pytest.raises(RequestError, match=r"takes 1\d\.\d GiB at least"):
        make_plan(shape, ROWS, 12, H200, "bf16")


def test_what_a_full_card_made_a_stage_give_up_is_not_planned_again(shape):
    plan = make_plan(shape, ROWS, 139, H200, "auto")
    lighter = make_plan(shape, ROWS, 139, H200, "auto", {"tokens": plan.tokens // 2, "checkpointed": 5})
    assert plan.checkpointed == 0
    assert lighter.checkpointed == 5
    assert lighter.tokens <= plan.tokens // 2


def test_a_step_of_many_rows_may_be_made_a_row_at_a_time(shape):
    """64 rows are never one by one in 32 micro-batches a step, but a card that is just large enough takes no two."""
    works = [Work(apart([700] * 64), 700, 700)]
    least = peak_gib(shape, 700, shape.layers, nf4=True) / planner._HEADROOM
    assert make_plan(shape, works, least + 0.01, H200, "auto").tokens == 700
    with pytest.raises(RequestError, match=r"training\.max_length=\d+ would fit"):
        make_plan(shape, works, least - 0.01, H200, "auto")


def test_what_measuring_the_speed_took_is_not_missing_in_the_plan(monkeypatch):
    free = [1.0]

    def measure(*given):
        free[0] = 0.0  # PyTorch keeps it
        return H200

    monkeypatch.setattr(planner, "memory_cap", lambda wanted, machine: free[0])
    monkeypatch.setattr(planner, "measure_speed", measure)
    rows = [{"input_ids": [1] * 8, "labels": [1] * 8, "positions": 8}]
    plan = plan_stage(LlamaConfig(**SMALL), rows, (Training(), Stage2()), Machine("cpu", look().compute, ""))
    assert 0 < plan.peak_gib < 1


def test_no_more_is_planned_with_than_is_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (6 * 2**30, 24 * 2**30))
    card = Machine("cuda", torch.bfloat16, "a card that others use too")
    assert [memory_cap(wanted, card) for wanted in (12, 4, 0)] == [5.5, 4, 5.5]


def test_a_card_that_emulates_bf16_computes_in_fp16(monkeypatch):
    turing = type("Turing", (), {"major": 7, "name": "T4", "total_memory": 2**34})()
    for name, told in {"is_available": True, "current_device": 0, "_check_bf16_tensor_supported": True}.items():
        monkeypatch.setattr(torch.cuda, name, lambda *given, told=told: told)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: turing)
    assert look().compute == torch.float16
