"""Plans of the 7B run for cards of all sizes."""

import re

import pytest
from transformers import LlamaConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Stage2, Training
from tasks.core.training.hardware.machine import Machine, find_machine
from tasks.core.training.planning import planner
from tasks.core.training.planning.costs import peak_gib
from tasks.core.training.planning.plan import Limits, NothingFits
from tasks.core.training.planning.planner import Work, make_plan, plan_stage, works_of
from tasks.core.training.rows.records import IGNORED, Conversation
from tasks.core.training.rows.sequences import Packed, sequences_of_lengths
from tasks.core.training.spec import StageSettings
from tests.training.conftest import H200, SMALL
from tests.training.encoded import conversation

LENGTHS = [2048, 300, 500, 700, 900, 400, 650, 820, 1200, 350, 610, 480, 770, 530, 690, 1440]
ROWS = [Work(sequences_of_lengths(LENGTHS, trained=0.66), 2048, 2048)]


def beginning_alike(count: int) -> list[Conversation]:
    """Rows of 500 tokens, of which 400 are the same in all."""
    rows = [[1] * 400 + [number] * 100 for number in range(count)]
    return [conversation(ids, [IGNORED] * 450 + ids[450:]) for ids in rows]


def test_rows_that_begin_alike_take_less_memory_and_less_time(shape):
    """In one micro-batch the beginning is there once, in five it is there five times; its keys are
    each row's own.
    """
    alike, others = (
        works_of(beginning_alike(24), 24, 42),
        [Work(sequences_of_lengths([500] * 24, trained=0.1), 500, 500)],
    )
    plan, wide = (make_plan(shape, works, H200, Limits(139, "bf16")) for works in (alike, others))
    assert (plan.tokens, wide.tokens) == (2_800, 12_000)
    assert plan.step_s < 0.5 * wide.step_s
    assert (
        peak_gib(shape, 2_800, 0, False, Packed(2_800, 2_800, 1_200, 0))
        < plan.peak_gib
        < wide.peak_gib
    )
    small = make_plan(shape, alike, H200, Limits(139, "bf16", tokens=900))
    assert small.tokens == 900
    assert plan.step_s < small.step_s


def test_what_would_fit_is_named_also_where_the_keys_of_shared_tokens_are_too_many(shape):
    """A micro-batch of 500 tokens is one row of 500, or several of 410 that share 400 but not their
    keys.
    """
    short = [conversation(row.input_ids[:410]) for row in beginning_alike(9)]
    works = works_of([*beginning_alike(1), *short[1:]], 9, 42)
    with pytest.raises(NothingFits) as found:
        make_plan(shape, works, H200, Limits(1))
    least = float(re.search(r"takes ([\d.]+) GiB", str(found.value))[1])
    unshared = peak_gib(shape, 500, shape.layers, nf4=True) / planner._HEADROOM
    for cap in (unshared, unshared + 0.001, least - 0.1):
        with pytest.raises(NothingFits, match=r"there\. training\.max_length=\d+ would fit"):
            make_plan(shape, works, H200, Limits(cap))


def test_the_busiest_card_is_planned_for_and_every_card_takes_the_largest_row(shape):
    """The row of 2,048 tokens weighs less than two of 1,100, and is longer."""
    rows = [
        conversation([number] * length, [IGNORED] * length)
        for number, length in enumerate((2048, 1100, 1100))
    ]
    (work,) = works_of(rows, 3, 42, cards=2)
    assert (sorted(work.sequences.alone), work.widest) == ([1100, 1100], 2048)
    assert make_plan(shape, [work], H200, Limits(139, "bf16")).tokens >= 2048


def test_more_memory_is_never_slower_and_never_overrun(shape):
    plans = [
        make_plan(shape, ROWS, H200, Limits(cap)) for cap in (8.5, 10, 12, 16, 24, 48, 80, 139)
    ]
    assert all(
        plan.peak_gib <= cap
        for plan, cap in zip(plans, (8.5, 10, 12, 16, 24, 48, 80, 139), strict=True)
    )
    times = [plan.step_s for plan in plans]
    assert all(later <= earlier * 1.011 for earlier, later in zip(times, times[1:], strict=False))
    assert plans[0].nf4
    assert plans[0].checkpointed > 0
    assert (plans[-1].nf4, plans[-1].checkpointed) == (False, 0)
    assert all(plan.tokens >= 2048 for plan in plans)  # no row is cut


def test_between_none_and_all_layers_checkpointed_there_is_some(shape):
    plan = make_plan(shape, ROWS, H200, Limits(24, "bf16"))
    assert 0 < plan.checkpointed < 28
    assert "of 28 layers checkpointed, base weights NF4's values in 16 bit; expected: " in str(plan)


def test_a_card_that_is_too_small_is_told_what_it_takes(shape):
    with pytest.raises(
        RequestError, match=r"rows of up to 2048 tokens takes 8\.\d GiB at least, but only 6 GiB"
    ):
        make_plan(shape, ROWS, H200, Limits(6))
    with pytest.raises(RequestError, match=r"takes 1\d\.\d GiB at least"):
        make_plan(shape, ROWS, H200, Limits(12, "bf16"))


def test_a_base_that_is_not_quantized_is_held_in_16_bit_only(shape):
    plan = make_plan(shape, ROWS, H200, Limits(24, quantized=False))
    assert (plan.nf4, plan.quantized) == (False, False)
    assert "base weights in 16 bit, not quantized; expected: " in str(plan)
    with pytest.raises(
        NothingFits,
        match=r"Training this base in 16 bit on rows of up to 2048 tokens takes 1\d\.\d GiB at"
        r" least, but only 10 GiB are there\. training\.quantize_base=nf4 would fit\.",
    ):
        make_plan(shape, ROWS, H200, Limits(10, quantized=False))
    with pytest.raises(
        NothingFits, match=r"max_length=\d+ and training\.quantize_base=nf4 and .*base_weights=nf4"
    ):
        make_plan(shape, ROWS, H200, Limits(8, "bf16", quantized=False))


def test_what_a_full_card_made_a_stage_give_up_is_not_planned_again(shape):
    plan = make_plan(shape, ROWS, H200, Limits(139))
    limits = Limits(139, tokens=plan.tokens // 2, checkpointed=5)
    lighter = make_plan(shape, ROWS, H200, limits)
    assert plan.checkpointed == 0
    assert lighter.checkpointed == 5
    assert lighter.tokens <= plan.tokens // 2


def test_a_step_of_many_rows_may_be_made_a_row_at_a_time(shape):
    """64 rows are never one by one in 32 micro-batches a step, but a card that is just large enough
    takes no two.
    """
    works = [Work(sequences_of_lengths([700] * 64), 700, 700)]
    least = peak_gib(shape, 700, shape.layers, nf4=True) / planner._HEADROOM
    assert make_plan(shape, works, H200, Limits(least + 0.01)).tokens == 700
    with pytest.raises(RequestError, match=r"training\.max_length=\d+ would fit"):
        make_plan(shape, works, H200, Limits(least - 0.01))


def test_what_measuring_the_speed_took_is_not_missing_in_the_plan(monkeypatch):
    free = [1.0]

    def measure(*given):
        free[0] = 0.0  # PyTorch keeps it
        return H200

    monkeypatch.setattr(planner, "memory_cap", lambda wanted, machine: free[0])
    monkeypatch.setattr(planner, "measure_speed", measure)
    settings = StageSettings(Training(), Stage2())
    machine = Machine("cpu", find_machine().compute, "")
    plan = plan_stage(LlamaConfig(**SMALL), [conversation([1] * 8)], settings, machine)
    assert 0 < plan.peak_gib < 1
