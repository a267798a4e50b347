"""How the engine trains within a card's memory: tokens of a micro-batch, layers checkpointed, form
of the base weights.

The fastest of what fits, by what costs.py reckons for rows of these lengths, which share their
beginnings or not; machine.py measures the card here, and cards.py knows others.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from accelerate.data_loader import SeedableRandomSampler
from transformers import PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Stage, Training
from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import Machine, Speed, measure_speed, memory_cap
from tasks.core.training.planning.costs import Dealt, Shape, peak_gib, shape_of, step_seconds
from tasks.core.training.rows.selection import longest
from tasks.core.training.rows.sequences import Packed, Sequences, bins, sequences_of, spread

# of the cap is planned with: freed blocks into which nothing fits take up to 4.4 % (measured)
_HEADROOM = 0.94
_STEPS_LOOKED_AT = 64
_AS_FAST = 1.01  # among plans this close the one that needs least memory is taken


@dataclass(frozen=True)
class Work:
    """One optimizer step, as far as it is the busiest card's."""

    sequences: Sequences
    widest: int  # tokens of the step's largest row in a pack of its own
    # tokens of a row as training.max_length counts them: a pair's two answers are one behind the
    # other
    longest: int


@dataclass(frozen=True)
class Plan:
    tokens: int  # most in a micro-batch; a longer row is alone
    checkpointed: int
    layers: int
    nf4: bool
    peak_gib: float
    step_s: float

    def __str__(self) -> str:
        form = "NF4 as it is" if self.nf4 else "NF4's values in 16 bit"
        return (
            f"micro-batches of up to {self.tokens:,} tokens, {self.checkpointed} of {self.layers} layers checkpointed,"
            f" base weights {form}; expected: {self.peak_gib:.1f} GiB, {self.step_s:.2f} s a step"
        )


class NothingFits(RequestError):
    """No plan stays below the memory there is."""


def plan_stage(
    config: PreTrainedConfig,
    rows: list[dict[str, Any]],
    stage: tuple[Training, Stage],
    machine: Machine,
    given_up: Mapping[str, Any] = MappingProxyType({}),
) -> Plan:
    """The plan for these rows on this machine; stage is (training, schedule). Raises NothingFits.

    given_up: what a full card left of earlier tries: at most `tokens` in a micro-batch, at least
    `checkpointed` layers.
    """
    training = stage[0]
    shape = shape_of(config, training, machine)
    works = works_of(rows, stage[1].effective_batch, training.seed, ranks.count())
    weights = training.base_weights
    if weights == "auto" and machine.device == "cpu":
        weights = "bf16"  # a CPU takes most of a step to dequantize
    cap = memory_cap(
        training.memory_gib, machine
    )  # before measuring, whose memory PyTorch keeps for what comes
    speed = measure_speed(machine, shape.hidden, shape.intermediate)
    return make_plan(shape, works, cap, speed, weights, given_up)


def works_of(rows: list[dict[str, Any]], batch: int, seed: int, cards: int = 1) -> list[Work]:
    """The optimizer steps of the first epoch over these rows, as far as they are the busiest
    card's.
    """
    drawn = [
        rows[place] for place in SeedableRandomSampler(rows, data_seed=seed)
    ]  # as transformers' Trainer draws
    return [_work(drawn[first : first + batch], cards) for first in range(0, len(rows), batch)]


def _work(step: list[dict[str, Any]], cards: int) -> Work:
    sequences = sequences_of(step)
    widest, mine = max(sequences.alone), sequences
    if cards > 1:
        most = max(spread(sequences.own, cards), key=lambda places: sequences.packed(places).tokens)
        mine = sequences_of([step[place] for place in most])
    return Work(mine, widest, max(longest(row) for row in step))


def steps_of(stage: Stage, rows: int) -> int:
    """Optimizer steps of a whole stage: an epoch's last step may hold fewer rows."""
    return math.ceil(math.ceil(rows / stage.effective_batch) * stage.epochs)


def make_plan(
    shape: Shape,
    works: list[Work],
    cap_gib: float,
    speed: Speed,
    weights: str,
    given_up: Mapping[str, Any] = MappingProxyType({}),
) -> Plan:
    """The fastest plan below the cap; weights: auto, bf16 or nf4. Raises NothingFits."""
    most, looked_at = max(work.widest for work in works), works[:_STEPS_LOOKED_AT]
    sizes = _sizes(looked_at)
    limit = given_up.get("tokens", max(sizes))
    dealt = {
        size: _deal(looked_at, size)
        for size in {most, *(max(most, min(limit, size)) for size in sizes)}
    }
    plans = [
        Plan(
            size,
            checkpointed,
            shape.layers,
            nf4,
            peak_gib(shape, size, checkpointed, nf4, of.fullest),
            math.inf,
        )
        for nf4 in {"auto": (False, True), "bf16": (False,), "nf4": (True,)}[weights]
        for size, of in sorted(dealt.items())
        for checkpointed in range(given_up.get("checkpointed", 0), shape.layers + 1)
    ]
    fitting = [plan for plan in plans if plan.peak_gib <= _HEADROOM * cap_gib]
    if not fitting:
        least = min(plan.peak_gib for plan in plans) / _HEADROOM
        raise NothingFits(
            f"Training this base on rows of up to {most} tokens takes {least:.1f} GiB at least, but only"
            f" {cap_gib:.3g} GiB are there. {_what_fits(shape, works, cap_gib, plans)}"
        )
    timed = [_timed(plan, shape, dealt[plan.tokens], speed) for plan in fitting]
    fastest = min(plan.step_s for plan in timed)
    return min(
        (plan for plan in timed if plan.step_s <= _AS_FAST * fastest),
        key=lambda plan: plan.peak_gib,
    )


def _sizes(works: list[Work]) -> set[int]:
    """Tokens of the fullest micro-batch when each step is one, two, three … of them."""
    return {
        max(
            work.sequences.packed(places).tokens
            for work in works
            for places in spread(work.sequences.own, parts)
        )
        for parts in range(1, 33)
    }


def _deal(works: list[Work], size: int) -> Dealt:
    """To micro-batches of at most `size` tokens."""
    filled = [
        work.sequences.packed(places) for work in works for places in bins(work.sequences, size)
    ]
    told = [
        [getattr(pack, name) for pack in filled]
        for name in ("tokens", "keys", "targets", "squares")
    ]
    tokens, _, trained, squares = (sum(values) / len(works) for values in told)
    return Dealt(len(filled) / len(works), tokens, squares, trained, Packed(*map(max, told)))


def _what_fits(shape: Shape, works: list[Work], cap_gib: float, plans: list[Plan]) -> str:
    """What to change, where none of the plans fits the cap."""
    now = max(work.longest for work in works)
    widened = max(work.widest for work in works) / now  # by a pair's second answer
    shorter = [length for length in range(now // 64 * 64, 0, -64) if length < now]
    # with NF4 the present length was tried, and what its rows share may be why it did not fit
    for length in shorter if plans[-1].nf4 else [now, *shorter]:
        if (
            peak_gib(shape, math.ceil(widened * length), shape.layers, nf4=True)
            <= _HEADROOM * cap_gib
        ):
            changes = [f"training.max_length={length}"] if length < now else []
            changes += [] if plans[-1].nf4 else ["training.base_weights=nf4"]
            return f"{' and '.join(changes)} would fit."
    least = peak_gib(shape, 1, shape.layers, nf4=True) / _HEADROOM
    return f"No length fits: the base and its adapter take {least:.1f} GiB. Take a larger card or a smaller base."


def resized(plan: Plan, tokens: int, shape: Shape, works: list[Work], speed: Speed) -> Plan:
    """The same plan with micro-batches of so many tokens, and what is to be expected of it, fitting
    or not.
    """
    tokens = max(tokens, max(work.widest for work in works))
    dealt = _deal(works[:_STEPS_LOOKED_AT], tokens)
    plan = replace(
        plan,
        tokens=tokens,
        peak_gib=peak_gib(shape, tokens, plan.checkpointed, plan.nf4, dealt.fullest),
    )
    return _timed(plan, shape, dealt, speed)


def _timed(plan: Plan, shape: Shape, dealt: Dealt, speed: Speed) -> Plan:
    return replace(plan, step_s=step_seconds(shape, dealt, plan.checkpointed, plan.nf4, speed))
