"""How the engine trains within a card's memory: tokens of a micro-batch, layers checkpointed, form of the base weights.

All of it is arithmetic on a model's shape, its rows' lengths and what they share, and a card's speed; machine.py
measures the card here, and cards.py knows others. Memory is counted tensor by tensor. Time is the matrix products'
operations at the card's speed, the other parts' traffic at its bandwidth, and what the processor takes to start all
that. The constants named "measured" are an H200's with a 7B shape, where none other is named.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from accelerate.data_loader import SeedableRandomSampler
from transformers import PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings import Stage, Training
from tasks.core.training import ranks
from tasks.core.training.engine.decoder import LINEAR
from tasks.core.training.engine.loss import chunk_rows
from tasks.core.training.engine.sequences import Packed, Sequences, bins, sequences_of, spread
from tasks.core.training.machine import Machine, Speed, measure_speed, memory_cap
from tasks.core.training.rows import longest

_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)  # of a weight: 4 bits, and its block's scale, which is quantized again
_HEADROOM = 0.94  # of the cap is planned with: freed blocks into which nothing fits take 1 to 4 % (measured)
_TRAFFIC = 12  # times that a layer's kept numbers are read or written, forward and backward (measured)
_ATTENTION = 5  # time of an operation of attention over rows of 700 tokens, in those of a large product (measured)
# what the processor does, in kernels that it would start meanwhile (fitted to steps of SmolLM2's shape and the 7B's)
_LAYER_STARTS = 560  # of a layer, forward and backward
_AGAIN_STARTS = 370  # of its forward pass for a second time
_SHARING_STARTS = 110  # of its keys' and values' gathering, where beginnings are shared, forward and backward
_STEP_STARTS = 360  # of a layer's part in clipping, the optimizer's step, refreshing the adapter
_DEQUANTIZE_STARTS = 17  # of a weight's dequantizing
_STEPS_LOOKED_AT = 64
_AS_FAST = 1.01  # among plans this close the one that needs least memory is taken


@dataclass(frozen=True)
class Shape:
    """A decoder and its adapter, in numbers."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    query: int  # width of all heads
    key: int  # width of all key heads
    vocabulary: int
    tied: bool
    ranks: tuple[int, ...]  # of the adapters of q, k, v, o, gate, up and down; 0 is none
    state_bytes: int  # of the optimizer, per trained parameter

    @property
    def weights(self) -> int:
        """Base weights of a layer's linear parts."""
        return self.hidden * (2 * self.query + 2 * self.key + 3 * self.intermediate)

    @property
    def adapter(self) -> int:
        """Trained parameters."""
        inputs = (self.hidden,) * 3 + (self.query,) + (self.hidden,) * 2 + (self.intermediate,)
        outputs = (self.query, self.key, self.key, self.hidden, self.intermediate, self.intermediate, self.hidden)
        ends = (sum(pair) for pair in zip(inputs, outputs, strict=True))
        return self.layers * sum(rank * both for rank, both in zip(self.ranks, ends, strict=True))

    def kept_by_attention(self, nf4: bool) -> int:
        """Numbers that a layer's attention, with the norm before it, keeps of each token for its backward pass."""
        results = 1 if nf4 else 2  # in 16 bit one more, beside the columns of o's adapter
        return 2 * self.hidden + (1 + results) * self.query + 2 * self.key + 2 * self.heads + sum(self.ranks[:4])

    @property
    def kept_by_mlp(self) -> int:
        """The same of its MLP and the norm before that."""
        return 2 * self.hidden + 2 * self.intermediate + sum(self.ranks[4:])


@dataclass(frozen=True)
class Work:
    """One optimizer step, as far as it is the busiest card's."""

    sequences: Sequences
    widest: int  # tokens of the step's largest row in a pack of its own
    longest: int  # tokens of a row as training.max_length counts them: a pair's two answers are one behind the other


@dataclass(frozen=True)
class Dealt:
    """Steps dealt out to micro-batches: means of a step, and the most of each that a micro-batch holds."""

    packs: float
    tokens: float
    squares: float
    trained: float
    fullest: Packed


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

    given_up: what a full card left of earlier tries: at most `tokens` in a micro-batch, at least `checkpointed` layers.
    """
    training = stage[0]
    shape = shape_of(config, training, machine)
    works = works_of(rows, stage[1].effective_batch, training.seed, ranks.count())
    weights = training.base_weights
    if weights == "auto" and machine.device == "cpu":
        weights = "bf16"  # a CPU takes most of a step to dequantize
    cap = memory_cap(training.memory_gib, machine)  # before measuring, whose memory PyTorch keeps for what comes
    speed = measure_speed(machine, shape.hidden, shape.intermediate)
    return make_plan(shape, works, cap, speed, weights, given_up)


def works_of(rows: list[dict[str, Any]], batch: int, seed: int, cards: int = 1) -> list[Work]:
    """The optimizer steps of the first epoch over these rows, as far as they are the busiest card's."""
    drawn = [rows[place] for place in SeedableRandomSampler(rows, data_seed=seed)]  # as transformers' Trainer draws
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


def shape_of(config: PreTrainedConfig, training: Training, machine: Machine) -> Shape:
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        query=config.num_attention_heads * width,
        key=config.num_key_value_heads * width,
        vocabulary=config.vocab_size,
        tied=config.tie_word_embeddings,
        ranks=tuple(training.rank_of(module) for module in LINEAR),
        state_bytes=2 if "8bit" in machine.optimizer else 8,
    )


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
    dealt = {size: _deal(looked_at, size) for size in {most, *(max(most, min(limit, size)) for size in sizes)}}
    plans = [
        Plan(size, checkpointed, shape.layers, nf4, peak_gib(shape, size, checkpointed, nf4, of.fullest), math.inf)
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
    timed = [replace(plan, step_s=step_seconds(shape, dealt[plan.tokens], plan, speed)) for plan in fitting]
    fastest = min(plan.step_s for plan in timed)
    return min((plan for plan in timed if plan.step_s <= _AS_FAST * fastest), key=lambda plan: plan.peak_gib)


def _sizes(works: list[Work]) -> set[int]:
    """Tokens of the fullest micro-batch when each step is one, two, three … of them."""
    return {
        max(work.sequences.packed(places).tokens for work in works for places in spread(work.sequences.own, parts))
        for parts in range(1, 33)
    }


def _deal(works: list[Work], size: int) -> Dealt:
    """To micro-batches of at most `size` tokens."""
    filled = [work.sequences.packed(places) for work in works for places in bins(work.sequences, size)]
    told = [[getattr(pack, name) for pack in filled] for name in ("tokens", "keys", "targets", "squares")]
    tokens, _, trained, squares = (sum(values) / len(works) for values in told)
    return Dealt(len(filled) / len(works), tokens, squares, trained, Packed(*map(max, told)))


def _what_fits(shape: Shape, works: list[Work], cap_gib: float, plans: list[Plan]) -> str:
    """What to change, where none of the plans fits the cap."""
    now = max(work.longest for work in works)
    widened = max(work.widest for work in works) / now  # by a pair's second answer
    shorter = [length for length in range(now // 64 * 64, 0, -64) if length < now]
    # with NF4 the present length was tried, and what its rows share may be why it did not fit
    for length in shorter if plans[-1].nf4 else [now, *shorter]:
        if peak_gib(shape, math.ceil(widened * length), shape.layers, nf4=True) <= _HEADROOM * cap_gib:
            changes = [f"training.max_length={length}"] if length < now else []
            changes += [] if plans[-1].nf4 else ["training.base_weights=nf4"]
            return f"{' and '.join(changes)} would fit."
    least = peak_gib(shape, 1, shape.layers, nf4=True) / _HEADROOM
    return f"No length fits: the base and its adapter take {least:.1f} GiB. Take a larger card or a smaller base."


def resized(plan: Plan, tokens: int, shape: Shape, works: list[Work], speed: Speed) -> Plan:
    """The same plan with micro-batches of so many tokens, and what is to be expected of it, fitting or not."""
    tokens = max(tokens, max(work.widest for work in works))
    dealt = _deal(works[:_STEPS_LOOKED_AT], tokens)
    plan = replace(plan, tokens=tokens, peak_gib=peak_gib(shape, tokens, plan.checkpointed, plan.nf4, dealt.fullest))
    return replace(plan, step_s=step_seconds(shape, dealt, plan, speed))


def peak_gib(shape: Shape, tokens: int, checkpointed: int, nf4: bool, fullest: Packed | None = None) -> float:
    """The most memory that a step takes. fullest: the most of each that a micro-batch holds; without it all tokens are
    trained and no two shared."""
    fullest = fullest or Packed(tokens, tokens, tokens, 0)
    linear = shape.layers * shape.weights * (_NF4_BYTES if nf4 else 2)
    embeddings = shape.vocabulary * shape.hidden * 2 * (1 if shape.tied else 2)
    # float32 matrix and gradient, 16-bit copy, and the copy beside the base's weights
    adapter = shape.adapter * (4 + 4 + 2 + 2 + shape.state_bytes)
    return (linear + embeddings + adapter + _passing(shape, tokens, checkpointed, nf4, fullest)) / 2**30


def _passing(shape: Shape, tokens: int, checkpointed: int, nf4: bool, fullest: Packed) -> int:
    """Bytes of a micro-batch where they are most: at the loss, in the backward pass of the last layer, whose MLP
    computes those tokens alone that predict a target, or in that of the layer before it."""
    predicting, gathered = fullest.targets, max(0, fullest.keys - tokens)  # keys and values, where tokens are shared
    attention = 2 * tokens * shape.kept_by_attention(nf4) + 4 * gathered * shape.key
    layer, last = (attention + 2 * count * shape.kept_by_mlp for count in (tokens, predicting))
    held, again = 2 * checkpointed * tokens * shape.hidden, last
    if checkpointed < shape.layers:
        held, again = held + (shape.layers - 1 - checkpointed) * layer + last, 0

    def backward(count: int) -> int:
        mlp = 2 * count * (3 * shape.intermediate + shape.hidden)
        if nf4:  # gate and up, dequantized
            mlp = max(mlp, (4 * count + 4 * shape.hidden) * shape.intermediate + 4 * count * shape.hidden)
        # one layer's gathered keys and values with their gradients, which are in float32 too
        return mlp + (16 * fullest.keys * shape.key if gathered else 0)

    logits = 6 * shape.vocabulary * min(predicting, chunk_rows(shape.vocabulary))  # in float32, and their gradient
    at_loss = held + logits + 8 * predicting * shape.hidden
    in_last = held + again + 4 * predicting * shape.hidden + backward(predicting)
    before = held + again - last + (layer if checkpointed >= shape.layers - 1 else 0) + backward(tokens)
    return max(at_loss, in_last, before)


def step_seconds(shape: Shape, dealt: Dealt, plan: Plan, speed: Speed) -> float:
    """Mean seconds of these steps."""
    packs, tokens, trained = dealt.packs, dealt.tokens, dealt.trained
    again = plan.checkpointed / shape.layers
    products = 2 * tokens * (shape.layers * shape.weights * (2 + again) + shape.adapter * (3 + again))
    head = 4 * trained * shape.hidden * shape.vocabulary
    attention = 2 * dealt.squares * shape.query * shape.layers * (3.5 + again)
    kept = shape.kept_by_attention(nf4=False) + shape.kept_by_mlp
    traffic = 2 * tokens * kept * shape.layers * _TRAFFIC * (1 + again / 3) + 18 * trained * shape.vocabulary
    if plan.nf4:  # weights are dequantized at each use; the base's products are added to the adapters', written before
        traffic += packs * shape.layers * shape.weights * (2 + _NF4_BYTES) * (2 + again)
        outputs = shape.query + 2 * shape.key + shape.hidden + 2 * shape.intermediate
        traffic += 2 * tokens * shape.layers * outputs * 2 * (1 + again)
    computing = (products + head + _ATTENTION * attention) / speed.operations + traffic / speed.bandwidth
    starting = _LAYER_STARTS + again * _AGAIN_STARTS + plan.nf4 * 7 * _DEQUANTIZE_STARTS * (2 + again)
    if dealt.fullest.keys > dealt.fullest.tokens:
        starting += _SHARING_STARTS * (1 + again / 2)
    processor = speed.start * shape.layers * (packs * starting + _STEP_STARTS)
    # the one hides behind the other as long as that takes much longer, and never quite (the power is measured)
    return (computing**4 + processor**4) ** (1 / 4)
