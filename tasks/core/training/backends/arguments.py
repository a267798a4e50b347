"""The arguments of transformers' Trainer, whichever backend trains."""

import math
from typing import Any, TypeVar

import torch
from transformers import TrainingArguments

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Stage
from tasks.core.training.backends.run import StageRun

_Arguments = TypeVar("_Arguments", bound=TrainingArguments)


def trainer_arguments(run: StageRun, rows: int) -> dict[str, Any]:
    """Returns TrainingArguments' keywords for a stage over so many rows.

    The effective batch counts rows. Raises RequestError if the micro-batch does not divide it.
    """
    training, schedule = run.settings.training, run.settings.schedule
    steps = run.settings.steps(rows)
    _check_micro_batch(schedule)
    return {
        "output_dir": str(run.out / "checkpoints"),
        "per_device_train_batch_size": schedule.micro_batch,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": schedule.effective_batch // schedule.micro_batch,
        "num_train_epochs": schedule.epochs,
        "learning_rate": schedule.learning_rate,
        "lr_scheduler_type": "cosine",
        # the first step of a warm-up has the rate 0, and a stage of one step has no other
        "warmup_steps": min(math.ceil(training.warmup_ratio * steps), steps - 1),
        "optim": run.machine.optimizer,
        # the model is in its compute type already, and autocast would round the LoRA products
        "bf16": False,
        "fp16": run.machine.compute == torch.float16,
        "gradient_checkpointing": schedule.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        # a stage shorter than log_every logs its last step
        "logging_steps": min(schedule.log_every, steps),
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": run.settings.interval(schedule.save_every, rows),
        "save_total_limit": schedule.keep,
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": training.seed,
        "data_seed": training.seed,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": run.machine.device == "cuda",
        "use_cpu": run.machine.device == "cpu",
    }


def _check_micro_batch(schedule: Stage) -> None:
    effective_batch = schedule.effective_batch
    if effective_batch % schedule.micro_batch == 0:
        return
    divisors = [size for size in range(1, effective_batch + 1) if effective_batch % size == 0]
    raise RequestError(
        f"micro_batch={schedule.micro_batch} does not divide effective_batch={effective_batch}:"
        f" choose {', '.join(map(str, divisors))}."
    )


def keep_to_one_card(config: _Arguments) -> _Arguments:
    """Returns the arguments of a training that uses one card only.

    Transformers would take every card that it sees, and give a step the rows of as many steps; TRL
    refuses that.
    """
    config._n_gpu = min(config.n_gpu, 1)
    return config
