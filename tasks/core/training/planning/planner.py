"""Makes a plan: tokens of a micro-batch, layers checkpointed, form of the base weights.

The planner takes the fastest plan that fits the card, as costs.py reckons it for rows of these
lengths and shared beginnings. machine.py measures the card that is here; datasheets.py knows
others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from accelerate.data_loader import SeedableRandomSampler  # type: ignore[import-untyped] # no stubs
from transformers import PreTrainedConfig

from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import Machine, Speed, measure_speed, memory_cap
from tasks.core.training.planning.costs import Dealt, Shape, peak_gib, shape_of, step_seconds
from tasks.core.training.planning.plan import Limits, NothingFits, Plan
from tasks.core.training.policy.base_model import is_nf4
from tasks.core.training.rows.dealing import micro_batches, spread
from tasks.core.training.rows.records import Row
from tasks.core.training.rows.sequences import Packed, Sequences, sequences_of
from tasks.core.training.spec import StageSettings

# share of the cap that is planned with: freed blocks into which nothing fits take up to 4.4 %
# (measured)
_HEADROOM = 0.94
_STEPS_LOOKED_AT = 64
_MOST_MICRO_BATCHES = 32  # of a step, when sizes that are worth a look are sought
_AS_FAST = 1.01  # of plans whose times are this close, the one that needs least memory is taken
_LENGTH_STEP = 64  # tokens between the lengths that are proposed when nothing fits

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Work:
    """One optimizer step: the share of it that the busiest card trains."""

    sequences: Sequences
    widest: int  # tokens of the step's largest row in a pack of its own
    # tokens of the longest row as training.max_length counts them: a pair's two answers are one
    # behind the other
    longest: int


def plan_stage(
    config: PreTrainedConfig,
    rows: Sequence[Row],
    settings: StageSettings,
    machine: Machine,
    given_up: Mapping[str, Any] = _NOTHING,
) -> Plan:
    """Returns the plan for these rows on this machine. Raises NothingFits.

    given_up: what earlier tries gave up because the card was full: at most `tokens` in a
    micro-batch, at least `checkpointed` layers.
    """
    training = settings.training
    shape = shape_of(config, training, machine)
    works = works_of(rows, settings.schedule.effective_batch, training.seed, ranks.count())
    weights = training.base_weights
    if weights == "auto" and machine.device == "cpu":
        weights = "bf16"  # a CPU takes most of a step to dequantize
    # asked before the measuring, whose memory PyTorch keeps for what comes
    cap = memory_cap(training.memory_gib, machine)
    speed = measure_speed(machine, shape.hidden, shape.intermediate)
    limits = Limits(
        cap,
        weights,
        is_nf4(config, training),
        tokens=given_up.get("tokens"),
        checkpointed=given_up.get("checkpointed", 0),
    )
    return make_plan(shape, works, speed, limits)


def works_of(rows: Sequence[Row], batch: int, seed: int, cards: int = 1) -> list[Work]:
    """Returns the optimizer steps of the first epoch over these rows.

    If there are several cards, each step is the share of the busiest one.
    """
    order = SeedableRandomSampler(rows, data_seed=seed)  # as transformers' Trainer draws
    drawn = [rows[index] for index in order]
    return [_work(drawn[first : first + batch], cards) for first in range(0, len(rows), batch)]


def _work(step: list[Row], cards: int) -> Work:
    sequences = sequences_of(step)
    widest = max(sequences.alone)
    longest = max(row.longest for row in step)
    if cards > 1:
        sequences = sequences_of([step[index] for index in _busiest_share(sequences, cards)])
    return Work(sequences, widest, longest)


def _busiest_share(sequences: Sequences, cards: int) -> list[int]:
    """Returns the indices of the rows that the card with the most tokens gets."""
    shares = spread(sequences.own, cards)
    return max(shares, key=lambda indices: sequences.packed(indices).tokens)


def make_plan(shape: Shape, works: list[Work], speed: Speed, limits: Limits) -> Plan:
    """Returns the fastest plan within the limits. Raises NothingFits."""
    looked_at = works[:_STEPS_LOOKED_AT]
    largest = max(work.widest for work in works)
    dealt = {size: _deal(looked_at, size) for size in _sizes(looked_at, largest, limits.tokens)}
    plans = _plans(shape, dealt, limits)
    fitting = [plan for plan in plans if plan.peak_gib <= _HEADROOM * limits.memory_gib]
    if not fitting:
        least = min(plan.peak_gib for plan in plans) / _HEADROOM
        base = "this base" if limits.quantized else "this base in 16 bit"
        raise NothingFits(
            f"Training {base} on rows of up to {largest} tokens takes {least:.1f} GiB at least,"
            f" but only {limits.memory_gib:.3g} GiB are there. {_what_fits(shape, works, limits)}"
        )
    timed = [_timed(plan, shape, dealt[plan.tokens], speed) for plan in fitting]
    fastest = min(plan.step_s for plan in timed)
    as_fast = [plan for plan in timed if plan.step_s <= _AS_FAST * fastest]
    return min(as_fast, key=lambda plan: plan.peak_gib)


def _plans(shape: Shape, dealt: Mapping[int, Dealt], limits: Limits) -> list[Plan]:
    """Returns every plan for micro-batches of these sizes, without its time; some may not fit."""
    plans = []
    for nf4 in _forms(limits):
        for size in sorted(dealt):
            for checkpointed in range(limits.checkpointed, shape.layers + 1):
                peak = peak_gib(shape, size, checkpointed, nf4, dealt[size].fullest)
                plan = Plan(size, checkpointed, shape.layers, nf4, peak, math.inf, limits.quantized)
                plans.append(plan)
    return plans


def _forms(limits: Limits) -> tuple[bool, ...]:
    """Returns whether the base's weights may be in 16 bit (False), stay NF4 (True), or both."""
    if not limits.quantized:
        return (False,)
    return {"auto": (False, True), "bf16": (False,), "nf4": (True,)}[limits.weights]


def _sizes(works: list[Work], largest: int, most: int | None) -> set[int]:
    """Returns the sizes of a micro-batch, in tokens, that are worth a look.

    These are the sizes of the fullest micro-batch when each step is dealt out to one, two, three …
    of them. largest: tokens of the largest row, which a micro-batch has to hold; most: a limit
    otherwise.
    """
    sizes = {_fullest(works, parts) for parts in range(1, _MOST_MICRO_BATCHES + 1)}
    limit = max(sizes) if most is None else most
    return {largest, *(max(largest, min(limit, size)) for size in sizes)}


def _fullest(works: list[Work], parts: int) -> int:
    """Returns the tokens of the fullest micro-batch when each step is dealt out to so many."""
    fullest = 0
    for work in works:
        for indices in spread(work.sequences.own, parts):
            fullest = max(fullest, work.sequences.packed(indices).tokens)
    return fullest


def _deal(works: list[Work], size: int) -> Dealt:
    """Deals the steps out to micro-batches of at most `size` tokens."""
    count = 0
    total = fullest = Packed(0, 0, 0, 0)
    for work in works:
        for indices in micro_batches(work.sequences, size):
            packed = work.sequences.packed(indices)
            count += 1
            total = total.plus(packed)
            fullest = fullest.or_more(packed)
    steps = len(works)
    return Dealt(
        packs=count / steps,
        tokens=total.tokens / steps,
        squares=total.squares / steps,
        trained=total.targets / steps,
        fullest=fullest,
    )


def _what_fits(shape: Shape, works: list[Work], limits: Limits) -> str:
    """Returns the sentence that says what to change if no plan fits."""
    now = max(work.longest for work in works)
    widened = max(work.widest for work in works) / now  # by a pair's second answer
    nf4_tried = True in _forms(limits)
    # with NF4 the present length was tried, and what its rows share may be why it did not fit
    lengths = [] if nf4_tried else [now]
    lengths += range((now - 1) // _LENGTH_STEP * _LENGTH_STEP, 0, -_LENGTH_STEP)
    for length in lengths:
        peak = peak_gib(shape, math.ceil(widened * length), shape.layers, nf4=True)
        if peak <= _HEADROOM * limits.memory_gib:
            return f"{_changes(length, now, limits)} would fit."
    least = peak_gib(shape, 1, shape.layers, nf4=True) / _HEADROOM
    return (
        f"No length fits: the base and its adapter take {least:.1f} GiB."
        " Take a larger card or a smaller base."
    )


def _changes(length: int, now: int, limits: Limits) -> str:
    changes = []
    if length < now:
        changes.append(f"training.max_length={length}")
    if not limits.quantized:
        changes.append("training.quantize_base=nf4")
    if limits.weights == "bf16":
        changes.append("training.base_weights=nf4")
    return " and ".join(changes)


def resize_plan(plan: Plan, tokens: int, shape: Shape, works: list[Work], speed: Speed) -> Plan:
    """Returns the same plan with micro-batches of so many tokens, and what to expect of it.

    It may not fit.
    """
    tokens = max(tokens, max(work.widest for work in works))
    dealt = _deal(works[:_STEPS_LOOKED_AT], tokens)
    peak = peak_gib(shape, tokens, plan.checkpointed, plan.nf4, dealt.fullest)
    return _timed(replace(plan, tokens=tokens, peak_gib=peak), shape, dealt, speed)


def _timed(plan: Plan, shape: Shape, dealt: Dealt, speed: Speed) -> Plan:
    return replace(plan, step_s=step_seconds(shape, dealt, plan.checkpointed, plan.nf4, speed))
