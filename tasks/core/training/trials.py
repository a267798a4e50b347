"""Short runs that are thrown away: how a stage does with other micro-batches, or with another rank.

Each trains a new adapter on the same few rows of the stage, whatever adapter the stage itself would
start from. Prints one JSON object a trial on stdout and writes nothing else.
"""

import gc
import json
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import (
    PreTrainedTokenizerFast,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import SaveStrategy

from tasks.core.errors import RequestError
from tasks.core.files.scratch import scratch_folder
from tasks.core.settings.tree import Stage
from tasks.core.training.backends.assembly import make_trainer, plan_for, prepare_machine
from tasks.core.training.backends.stage_trainer import StageTrainer
from tasks.core.training.hardware.machine import Machine, measure_speed, peak_memory_gib
from tasks.core.training.planning.costs import shape_of
from tasks.core.training.planning.plan import Plan
from tasks.core.training.planning.planner import resize_plan, works_of
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.base_model import load_tokenizer, read_config
from tasks.core.training.processes.full_card import Try, is_full
from tasks.core.training.rows.sample import sample_rows
from tasks.core.training.rows.selection import Rows, select_rows
from tasks.core.training.spec import StageSettings, TrainingSpec

_HELD_OUT = 32  # rows of the eval loss
_SPARE = 1.5  # rows that are encoded for each one that is needed, because some are too long
_WARM_UP = 2  # steps not timed: kernels are compiled in them


@dataclass(frozen=True)
class Trial:
    """A short run that someone asks for."""

    steps: int
    rank: int | None = None  # in place of training.lora_rank
    # of the micro-batch: of the planner's tokens, or with TRL and Unsloth of the stage's
    # micro_batch
    scale: float = 1


@dataclass(frozen=True)
class _Moment:
    """When a step began, in seconds, and the positions that were trained until then."""

    time: float
    positions: int


class _Clock(TrainerCallback):
    """Notes when each step began, and when the last one ended."""

    def __init__(self, trainer: StageTrainer):
        self._trainer = trainer
        self.moments: list[_Moment] = []

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.moments.append(_Moment(time.perf_counter(), self._trainer.positions))

    on_train_end = on_step_begin


@dataclass(frozen=True)
class _Bench:
    """What all trials of a stage share."""

    spec: TrainingSpec
    settings: StageSettings
    machine: Machine
    tokenizer: PreTrainedTokenizerFast
    rows: Rows


def run_trials(spec: TrainingSpec, settings: StageSettings, trials: list[Trial]) -> None:
    """Runs the trials one after the other.

    A trial that cannot be run says why, under `problem`, and the next one begins.
    """
    machine = prepare_machine(settings.training)
    tokenizer = load_tokenizer(Path(spec.base))
    most_steps = max(trial.steps for trial in trials)
    rows = _rows(spec, settings, tokenizer, most_steps)
    bench = _Bench(spec, settings, machine, tokenizer, rows)
    for trial in trials:
        print(json.dumps(_outcome(bench, trial)), flush=True)
        gc.collect()  # trainer, model and callbacks hold one another
        if machine.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def _rows(
    spec: TrainingSpec, settings: StageSettings, tokenizer: PreTrainedTokenizerFast, steps: int
) -> Rows:
    """Returns as many rows as the steps need, and others for the eval loss.

    There are fewer if the stage does not have so many.
    """
    training = settings.training
    wanted = steps * settings.schedule.effective_batch
    sampled = sample_rows(spec, training, tokenizer, round(_SPARE * (wanted + _HELD_OUT)))
    chosen = select_rows(sampled.rows, training.max_length, 0, training.seed)
    rows = chosen.evaluation + chosen.train
    held_out = min(_HELD_OUT, len(rows) // 4)
    return Rows(train=rows[held_out : held_out + wanted], evaluation=rows[:held_out])


def _outcome(bench: _Bench, trial: Trial) -> dict[str, Any]:
    """Returns the figures of one trial, or its problem."""
    settings = _settings_of(bench.settings, trial)
    outcome: dict[str, Any] = {"rank": settings.training.lora_rank}
    set_seed(settings.training.seed)
    try:
        with scratch_folder() as out:
            spec = replace(bench.spec, start=None, out=out)
            trainer = _trainer(bench, spec, settings, trial.scale)
            outcome |= _train_and_measure(trainer, bench)
    except RequestError as error:
        outcome["problem"] = str(error)
    except RuntimeError as error:
        if not is_full(error):
            raise
        outcome["problem"] = "The GPU's memory was full."
    return outcome


def _settings_of(settings: StageSettings, trial: Trial) -> StageSettings:
    """Returns the settings of one epoch with the trial's rank.

    alpha / r stays the same, so the adapter's update is scaled as with the stage's own rank.
    """
    training = settings.training
    rank = trial.rank or training.lora_rank
    alpha = training.lora_alpha * rank / training.lora_rank
    return StageSettings(
        training.model_copy(update={"lora_rank": rank, "lora_alpha": alpha}),
        settings.schedule.model_copy(update={"epochs": 1, "log_every": 1}),
    )


def _trainer(
    bench: _Bench, spec: TrainingSpec, settings: StageSettings, scale: float
) -> StageTrainer:
    """Makes a trainer with a new adapter, whose micro-batch is scaled."""
    tried = Try(settings, bench.rows, continues=False)
    plan = plan_for(spec, tried, bench.machine, {})
    if plan is None:
        schedule = _scaled_schedule(settings.schedule, scale)
        tried.settings = replace(settings, schedule=schedule)
    elif scale == 1:
        tried.plan = plan
    else:
        tried.plan = _scaled_plan(bench, settings, plan, scale)
    return make_trainer(spec, bench.tokenizer, tried, bench.machine)


def _scaled_schedule(schedule: Stage, scale: float) -> Stage:
    micro_batch = int(scale * schedule.micro_batch)
    if micro_batch < 1:
        raise RequestError(f"{scale:g} of micro_batch={schedule.micro_batch} is less than a row.")
    return schedule.model_copy(update={"micro_batch": micro_batch})


def _scaled_plan(bench: _Bench, settings: StageSettings, plan: Plan, scale: float) -> Plan:
    training = settings.training
    shape = shape_of(read_config(Path(bench.spec.base)), training, bench.machine)
    works = works_of(bench.rows.train, settings.schedule.effective_batch, training.seed)
    speed = measure_speed(bench.machine, shape.hidden, shape.intermediate)
    return resize_plan(plan, round(scale * plan.tokens), shape, works, speed)


def _train_and_measure(trainer: StageTrainer, bench: _Bench) -> dict[str, Any]:
    """Trains, and returns what was seen beside what was expected."""
    clock = _Clock(trainer)
    trainer.remove_callback(PrinterCallback)
    trainer.args.save_strategy = SaveStrategy.NO  # the last step's time would hold a checkpoint's
    trainer.add_callback(clock)
    trainer.use_reference(None)
    trainer.train()
    # before the evaluation, whose batches are different
    peak = _peak_gib(bench.machine)
    eval_loss = None
    if bench.rows.evaluation:
        eval_loss = round(trainer.evaluate()["eval_loss"], 4)
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    figures = {
        "backend": trainer.backend,
        "micro_batch": trainer.args.per_device_train_batch_size,
        "steps": trainer.state.max_steps,
        "parameters": sum(weight.numel() for _, weight in lora_weights(trainer.policy)),
        "loss": round(losses[-1], 4),
        "eval_loss": eval_loss,
        **_pace(clock.moments),
        "peak_gib": peak,
    }
    if trainer.plan is not None:
        figures |= _planned(trainer.plan)
    return figures


def _pace(moments: list[_Moment]) -> dict[str, float]:
    """Returns tokens a second and seconds a step, without the warm-up steps if others are left."""
    steps = len(moments) - 1
    if steps > _WARM_UP + 1:
        moments = moments[_WARM_UP:]
    first, last = moments[0], moments[-1]
    positions = last.positions - first.positions
    times = [later.time - earlier.time for earlier, later in pairwise(moments)]
    return {
        "tokens_per_s": round(positions / (last.time - first.time), 1),
        "step_s": round(median(times), 3),
    }


def _peak_gib(machine: Machine) -> float | None:
    """Returns the most memory that was used of a card, in GiB; None for a CPU.

    A process on a CPU still holds what earlier trials left.
    """
    if machine.device != "cuda":
        return None
    return round(peak_memory_gib(machine), 2)


def _planned(plan: Plan) -> dict[str, Any]:
    return {
        "micro_batch": f"{plan.tokens} tokens",
        "expected_step_s": round(plan.step_s, 3),
        "expected_peak_gib": round(plan.peak_gib, 2),
        "checkpointed": plan.checkpointed,
        "nf4": plan.nf4,
    }
