"""A stage's checkpoints: how one is written, which is used, and which are removed.

They are sealed folders (tasks/core/files/sealed.py), OUT/checkpoints/checkpoint-STEP.
"""

import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import Trainer, TrainingArguments

from tasks.core.files.sealed import problem_of, published
from tasks.core.training.watch.evaluations import best_step

log = logging.getLogger(__name__)


@contextmanager
def sealed_checkpoint(trainer: Trainer) -> Iterator[None]:
    """Inside, the trainer writes a checkpoint, which appears once all of it is written and sealed.

    Only then do the oldest ones go; the newest of the stage's `keep` and the best one stay.
    """
    output_dir, keep = trainer.args.output_dir, trainer.args.save_total_limit
    assert output_dir is not None and keep is not None, "every stage sets both"
    folder = Path(output_dir)
    with published(folder) as unfinished, _writing_into(unfinished, trainer.args):
        yield
    step = best_step(trainer.state.log_history)
    best = None
    if step is not None:
        best = checkpoint_of(folder, step)
    remove_oldest(folder, keep, best)


@contextmanager
def _writing_into(folder: Path, arguments: TrainingArguments) -> Iterator[None]:
    """Inside, transformers writes into the folder, in which it finds no older ones to remove."""
    output_dir = arguments.output_dir
    limit = arguments.save_total_limit
    arguments.output_dir = str(folder)
    arguments.save_total_limit = None
    try:
        yield
    finally:
        arguments.output_dir = output_dir
        arguments.save_total_limit = limit


def remove_oldest(folder: Path, keep: int, best: Path | None = None) -> None:
    """Removes all checkpoints but the newest `keep` and the best one."""
    for checkpoint in _newest_first(folder)[keep:]:
        if checkpoint != best:
            shutil.rmtree(checkpoint)


def checkpoint_of(folder: Path, step: int) -> Path:
    """Returns the folder of a step's checkpoint, whether it is there or not."""
    return folder / f"checkpoint-{step}"


def find_newest_intact(folder: Path) -> Path | None:
    """Returns the newest checkpoint whose files are what its seal says.

    Newer damaged ones are reported and removed.
    """
    for checkpoint in _newest_first(folder):
        problem = problem_of(checkpoint)
        if problem is None:
            return checkpoint
        log.warning("%s is not used: %s", checkpoint.name, problem)
        shutil.rmtree(checkpoint)
    return None


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints, newest first. What has another name is not ours, and stays."""
    checkpoints = [entry for entry in folder.glob("checkpoint-*") if _is_checkpoint(entry)]
    return sorted(checkpoints, key=_step_of, reverse=True)


def _is_checkpoint(entry: Path) -> bool:
    return entry.is_dir() and re.fullmatch("checkpoint-[0-9]{1,18}", entry.name) is not None


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])
