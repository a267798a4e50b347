"""Forecasts a stage on a card that is not here: its plan, its memory, its time.

Reads the base's tokenizer and the stage's rows if they are there; otherwise it assumes the rows'
lengths.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Training
from tasks.core.training.backends.choice import choose_backend
from tasks.core.training.hardware.datasheets import KERNEL_START, Card, card_with_speed
from tasks.core.training.hardware.machine import MARGIN_GIB, Machine, Speed
from tasks.core.training.planning.costs import shape_of
from tasks.core.training.planning.plan import ExpectedRows, Limits, Plan
from tasks.core.training.planning.planner import Work, make_plan, works_of
from tasks.core.training.policy.base_model import is_nf4, load_tokenizer
from tasks.core.training.rows.sample import sample_rows
from tasks.core.training.rows.selection import count_held_out, select_rows
from tasks.core.training.rows.sequences import sequences_of_lengths
from tasks.core.training.spec import StageSettings, TrainingSpec, settings_of

_ROWS_LOOKED_AT = 2_000
_STEPS_ASSUMED = 64
# a row's tokens are spread evenly between these: 700 on average, as the sources' rows have
_SHORTEST_ASSUMED, _LONGEST_ASSUMED = 100, 1_300
_TRAINED = 0.5  # share of a row's tokens
_PAIR = 1.5  # rows that a pair is as long as: its prompt once and two answers
# the pass over all pairs before the first step, without gradients, as a share of their steps
_REFERENCE = 1 / 3


@dataclass(frozen=True)
class _Load:
    """What a stage has to train: some of its optimizer steps, and how many rows it has."""

    works: list[Work]
    rows: int


def forecast(
    spec: TrainingSpec, config: dict[str, Any], expected: ExpectedRows, card: Card
) -> dict[str, Any]:
    """Returns the stage's plan for the card, or under `problem` why there is none.

    config: the base's config.json; expected: what the plan is made from if spec.rows is empty.
    Times are None if nobody can say how fast the card is.
    """
    settings = settings_of(spec)
    load = _measured(spec, settings) if spec.rows else _assumed(spec, settings, expected)
    stage: dict[str, Any] = {
        "stage": spec.stage,
        "rows": load.rows,
        "lengths": "measured" if spec.rows else "assumed",
        "steps": settings.steps(load.rows),
    }
    try:
        plan = _plan(_known(config), load.works, settings.training, card)
    except RequestError as error:
        return stage | {"problem": str(error)}
    seconds = stage["steps"] * plan.step_s
    if spec.method == "dpo":
        seconds *= 1 + _REFERENCE / settings.schedule.epochs
    return stage | _figures(plan, seconds, card)


def _figures(plan: Plan, seconds: float, card: Card) -> dict[str, Any]:
    """Returns the plan's figures and what is expected of it; seconds: of the whole stage."""
    figures: dict[str, Any] = {
        "micro_batch_tokens": plan.tokens,
        "checkpointed": plan.checkpointed,
        "layers": plan.layers,
        "base_weights": _held_as(plan),
        "peak_gib": round(plan.peak_gib, 2),
        "step_s": None,
        "total_s": None,
    }
    if card.tflops:
        figures |= {"step_s": round(plan.step_s, 3), "total_s": round(seconds)}
    return figures


def _held_as(plan: Plan) -> str:
    if not plan.quantized:
        return "bf16"
    return "nf4" if plan.nf4 else "nf4 in bf16"


def _known(config: dict[str, Any]) -> PreTrainedConfig:
    try:
        return AutoConfig.for_model(**config)
    except (TypeError, ValueError) as error:
        problem = str(error).partition(". Should contain")[0]  # a list of all models follows
        raise RequestError(
            f"transformers {transformers.__version__} cannot read the base's config.json:"
            f" {problem}. Take another base."
        ) from None


def _plan(config: PreTrainedConfig, works: list[Work], training: Training, card: Card) -> Plan:
    machine = Machine("cuda", torch.bfloat16, card.name or "the card", card.gib)
    backend = choose_backend(training, machine, config)
    if backend.name != "engine":
        raise RequestError(
            f"Plans are the engine's, and {backend.name} would train, because {backend.why}."
        )
    usable = card.gib - MARGIN_GIB
    cap = min(training.memory_gib, usable) if training.memory_gib else usable
    known = card_with_speed(card)
    speed = Speed(known.operations, known.bandwidth, KERNEL_START)
    limits = Limits(cap, training.base_weights, is_nf4(config, training))
    return make_plan(shape_of(config, training, machine), works, speed, limits)


def _measured(spec: TrainingSpec, settings: StageSettings) -> _Load:
    """Returns the first epoch's steps over a sample of the rows, and the number of all rows."""
    training, schedule = settings.training, settings.schedule
    sampled = sample_rows(spec, training, load_tokenizer(Path(spec.base)), _ROWS_LOOKED_AT)
    budget = sampled.share * schedule.token_budget / schedule.epochs
    share = training.validation_share
    rows = select_rows(sampled.rows, training.max_length, budget, training.seed, share)
    works = works_of(rows.train, schedule.effective_batch, training.seed)
    if rows.left_out["beyond the token budget"]:
        return _Load(works, round(len(rows.train) / sampled.share))
    fitting = round((len(rows.train) + len(rows.evaluation)) / sampled.share)
    # a smaller share of many rows is kept for eval loss than of the sample's few
    return _Load(works, fitting - count_held_out(fitting, share))


def _assumed(spec: TrainingSpec, settings: StageSettings, expected: ExpectedRows) -> _Load:
    """Returns steps of rows of the usual lengths, no two of which begin alike.

    One row is as long as a row may be.
    """
    rows = expected.count
    longest = expected.longest
    factor = _PAIR if spec.method == "dpo" else 1
    steps = _assumed_steps(settings.schedule.effective_batch, longest, factor)
    if settings.schedule.token_budget:
        usual = (_SHORTEST_ASSUMED + _LONGEST_ASSUMED) / 2 * factor
        rows = min(rows, round(settings.positions_of_epoch / usual))
    works = []
    for lengths in steps:
        works.append(Work(sequences_of_lengths(lengths, _TRAINED), max(lengths), longest))
    return _Load(works, max(rows, 1))


def _assumed_steps(batch: int, longest: int, factor: float) -> list[list[int]]:
    """Returns the tokens of each row, for some steps."""
    random = Random(1)
    steps = []
    for _ in range(_STEPS_ASSUMED):
        lengths = []
        for _ in range(batch):
            length = min(random.uniform(_SHORTEST_ASSUMED, _LONGEST_ASSUMED), longest)
            lengths.append(round(factor * length))
        steps.append(lengths)
    steps[0][0] = round(factor * longest)
    return steps
