"""Short runs that are thrown away: how a stage does with other micro-batches, or with another rank.

Each trains a new adapter on the same few rows of the stage, whatever adapter the stage itself would
start from. Prints one JSON object a trial on stdout and writes nothing else.
"""

import gc
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback, set_seed
from transformers.trainer_utils import SaveStrategy

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Training
from tasks.core.training.backends.engine import EngineDPO, OnEngine
from tasks.core.training.backends.trl import Sealed, SealedDPO
from tasks.core.training.hardware.machine import Machine, measure_speed, peak_memory_gib
from tasks.core.training.planning.costs import shape_of
from tasks.core.training.planning.planner import resized, works_of
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.base import load_tokenizer, read_config
from tasks.core.training.processes.full_card import Try, is_full
from tasks.core.training.rows.sample import sample
from tasks.core.training.rows.selection import Rows, select
from tasks.core.training.spec import StageSettings, TrainingSpec
from tasks.core.training.stage import machine_for, make_trainer, plan_for

_HELD_OUT = 32  # rows of the eval loss
_SPARE = 1.5  # rows encoded, in those needed: some are too long
_WARM_UP = 2  # steps not timed: kernels are compiled in them


@dataclass(frozen=True)
class Trial:
    steps: int
    rank: int | None = None  # in place of training.lora_rank
    # of the micro-batch: of the planner's tokens, with TRL and Unsloth of the stage's micro_batch
    scale: float = 1


class _Clock(TrainerCallback):
    """When each step began, and the positions trained until then."""

    def __init__(self):
        self._trainer, self.seen = None, []

    def follow(self, trainer) -> None:
        self._trainer = trainer
        trainer.add_callback(self)

    def on_step_begin(self, args, state, control, **kwargs):
        self.seen.append((time.perf_counter(), self._trainer.positions))

    on_train_end = on_step_begin


def run_trials(spec: TrainingSpec, settings: StageSettings, trials: list[Trial]) -> None:
    """Runs them one after the other. A trial that cannot be says why, under `problem`, and the next
    one begins.
    """
    training = settings.training
    machine, tokenizer = machine_for(training), load_tokenizer(Path(spec.base))
    rows = _rows(spec, settings, tokenizer, max(trial.steps for trial in trials))
    for trial in trials:
        own = _with_rank(training, trial.rank or training.lora_rank)
        told: dict[str, Any] = {"rank": own.lora_rank}
        set_seed(training.seed)
        try:
            with tempfile.TemporaryDirectory() as out:
                new = replace(spec, start=None, out=out)
                trainer = _trainer(
                    new,
                    tokenizer,
                    Try(replace(settings, training=own), rows, False),
                    machine,
                    trial.scale,
                )
                told |= _run(trainer, machine, bool(rows.evaluation))
        except RequestError as error:
            told["problem"] = str(error)
        except RuntimeError as error:
            if not is_full(error):
                raise
            told["problem"] = "The GPU's memory was full."
        print(json.dumps(told), flush=True)
        trainer = None
        gc.collect()  # trainer, model and callbacks hold one another
        if machine.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()


def _with_rank(training: Training, rank: int) -> Training:
    """The adapter of this rank, whose update is scaled as the asked one's: alpha / r stays the
    same.
    """
    alpha = training.lora_alpha * rank / training.lora_rank
    return training.model_copy(update={"lora_rank": rank, "lora_alpha": alpha})


def _rows(
    spec: TrainingSpec,
    settings: StageSettings,
    tokenizer: PreTrainedTokenizerFast,
    steps: int,
) -> Rows:
    """As many as the steps want, and the next ones for the eval loss; fewer where there are not so
    many.
    """
    training = settings.training
    wanted = steps * settings.schedule.effective_batch
    sampled = sample(spec, training, tokenizer, round(_SPARE * (wanted + _HELD_OUT)))
    chosen = select(sampled.rows, training.max_length, 0, training.seed)
    rows = chosen.evaluation + chosen.train
    held_out = min(_HELD_OUT, len(rows) // 4)
    return Rows(rows[held_out : held_out + wanted], rows[:held_out])


def _trainer(
    spec: TrainingSpec,
    tokenizer: PreTrainedTokenizerFast,
    tried: Try,
    machine: Machine,
    scale: float,
) -> OnEngine | Sealed:
    """A trainer of one epoch over these rows with a new adapter."""
    training, rows = tried.settings.training, tried.rows.train
    schedule = tried.settings.schedule.model_copy(update={"epochs": 1, "log_every": 1})
    tried.plan = plan = plan_for(spec, tried, machine, {})
    if plan and scale != 1:
        shape = shape_of(read_config(Path(spec.base)), training, machine)
        works = works_of(rows, schedule.effective_batch, training.seed)
        speed = measure_speed(machine, shape.hidden, shape.intermediate)
        tried.plan = resized(plan, round(scale * plan.tokens), shape, works, speed)
    if not plan:
        micro = int(scale * schedule.micro_batch)
        if micro < 1:
            raise RequestError(
                f"{scale:g} of micro_batch={schedule.micro_batch} is less than a row."
            )
        schedule = schedule.model_copy(update={"micro_batch": micro})
    tried.settings = StageSettings(training, schedule)
    return make_trainer(spec, tokenizer, tried, machine)


def _run(trainer: OnEngine | Sealed, machine: Machine, evaluates: bool) -> dict[str, Any]:
    """Trains, and tells what was seen beside what was expected."""
    clock = _Clock()
    trainer.remove_callback(PrinterCallback)
    trainer.args.save_strategy = SaveStrategy.NO  # else the last step's time holds a checkpoint's
    clock.follow(trainer)
    if isinstance(trainer, SealedDPO | EngineDPO):
        trainer.use_reference(None)
    trainer.train()
    if trainer.state.max_steps > _WARM_UP + 1:
        clock.seen = clock.seen[_WARM_UP:]
    (began, before), (ended, after) = clock.seen[0], clock.seen[-1]
    times = [
        later[0] - earlier[0] for earlier, later in zip(clock.seen, clock.seen[1:], strict=False)
    ]
    # before the evaluation, whose batches are other ones; a CPU's process holds what earlier trials
    # left
    peak = round(peak_memory_gib(machine), 2) if machine.device == "cuda" else None
    evaluated = trainer.evaluate().get("eval_loss") if evaluates else None
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    told = {
        "backend": trainer.backend,
        "micro_batch": trainer.args.per_device_train_batch_size,
        "steps": trainer.state.max_steps,
        "parameters": sum(weight.numel() for _, weight in lora_weights(trainer.model)),
        "loss": round(losses[-1], 4),
        "eval_loss": round(evaluated, 4) if evaluated is not None else None,
        "tokens_per_s": round((after - before) / (ended - began), 1),
        "step_s": round(median(times), 3),
        "peak_gib": peak,
    }
    if not isinstance(trainer, OnEngine):
        return told
    plan = trainer.plan
    expected = {
        "expected_step_s": round(plan.step_s, 3),
        "expected_peak_gib": round(plan.peak_gib, 2),
    }
    return (
        told
        | expected
        | {
            "micro_batch": f"{plan.tokens} tokens",
            "checkpointed": plan.checkpointed,
            "nf4": plan.nf4,
        }
    )
