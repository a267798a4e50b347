"""What a stage would be on a card that is not here: its plan, its memory, its time.

Reads the base's tokenizer and the stage's rows where they are there; else their lengths are
assumed.
"""

from pathlib import Path
from random import Random
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Stage, Training
from tasks.core.training.backends.choice import choose_backend
from tasks.core.training.hardware.datasheets import KERNEL_START, Card, timed_as
from tasks.core.training.hardware.machine import MARGIN_GIB, Machine, Speed
from tasks.core.training.planning.costs import shape_of
from tasks.core.training.planning.planner import Plan, Work, make_plan, steps_of, works_of
from tasks.core.training.policy.model import load_tokenizer
from tasks.core.training.rows.sample import sample
from tasks.core.training.rows.selection import held_out, select
from tasks.core.training.rows.sequences import apart
from tasks.core.training.spec import TrainingSpec, settings_of

_ROWS_LOOKED_AT = 2_000
_STEPS_ASSUMED = 64
_ASSUMED = (
    100,
    1_300,
)  # tokens of a row, evenly between: 700 on average, as the sources' rows have
_TRAINED = 0.5  # of a row's tokens
_PAIR = 1.5  # a pair in rows: its prompt once and two answers
_REFERENCE = 1 / 3  # of a DPO step: the pass over all pairs before the first one, without gradients


def forecast(
    spec: TrainingSpec, config: dict[str, Any], expected: tuple[int, int], card: Card
) -> dict[str, Any]:
    """The stage's plan for the card, or under `problem` why there is none.

    config: the base's config.json; expected: where spec.rows is empty, the rows there will be and
    the longest one's tokens. Times are None where nobody can say how fast the card is.
    """
    training, schedule = settings_of(spec)
    works, count = (
        _measured(spec, training, schedule) if spec.rows else _assumed(spec, schedule, *expected)
    )
    told = {"stage": spec.stage, "rows": count, "lengths": "measured" if spec.rows else "assumed"}
    told["steps"] = steps_of(schedule, count)
    try:
        plan = _plan(_known(config), works, training, card)
    except RequestError as error:
        return told | {"problem": str(error)}
    whole = (
        told["steps"] * plan.step_s * (1 + _REFERENCE / schedule.epochs * (spec.method == "dpo"))
    )
    return told | {
        "micro_batch_tokens": plan.tokens,
        "checkpointed": plan.checkpointed,
        "layers": plan.layers,
        "base_weights": "nf4" if plan.nf4 else "bf16",
        "peak_gib": round(plan.peak_gib, 2),
        "step_s": round(plan.step_s, 3) if card.tflops else None,
        "total_s": round(whole) if card.tflops else None,
    }


def _known(config: dict[str, Any]) -> PreTrainedConfig:
    try:
        return AutoConfig.for_model(**config)
    except (TypeError, ValueError) as error:
        problem = str(error).partition(". Should contain")[0]  # a list of all models follows
        raise RequestError(
            f"transformers {transformers.__version__} cannot read the base's config.json: {problem}. Take another base."
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
    known = timed_as(card)
    speed = Speed(known.operations, known.bandwidth, KERNEL_START)
    return make_plan(shape_of(config, training, machine), works, cap, speed, training.base_weights)


def _measured(spec: TrainingSpec, training: Training, schedule: Stage) -> tuple[list[Work], int]:
    encoded, share = sample(spec, training, load_tokenizer(Path(spec.base)), _ROWS_LOOKED_AT)
    rows = select(
        encoded, training.max_length, share * schedule.token_budget / schedule.epochs, training.seed
    )
    works = works_of(rows.train, schedule.effective_batch, training.seed)
    if rows.left_out["beyond the token budget"]:
        return works, round(len(rows.train) / share)
    fitting = round((len(rows.train) + len(rows.evaluation)) / share)
    return works, fitting - held_out(
        fitting
    )  # the share kept of many rows is smaller than the sample's


def _assumed(
    spec: TrainingSpec, schedule: Stage, rows: int, longest: int
) -> tuple[list[Work], int]:
    """Steps of rows of the usual lengths, the longest as long as it may be, no two beginning alike."""
    factor, random = _PAIR if spec.method == "dpo" else 1, Random(1)
    lengths = [
        [
            round(factor * min(random.uniform(*_ASSUMED), longest))
            for _ in range(schedule.effective_batch)
        ]
        for _ in range(_STEPS_ASSUMED)
    ]
    lengths[0][0] = round(factor * longest)
    if schedule.token_budget:
        rows = min(
            rows, round(schedule.token_budget / schedule.epochs / (sum(_ASSUMED) / 2 * factor))
        )
    return [Work(apart(step, _TRAINED), max(step), longest) for step in lengths], max(rows, 1)
