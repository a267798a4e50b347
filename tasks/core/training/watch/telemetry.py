"""What a training reports while it runs: a JSON line for each log step and for each warning.

Writes OUT/telemetry.jsonl, OUT/tensorboard/ and OUT/loss.png. Lines with a training loss also go to
stdout, where the process that started the training reads them.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tasks.core.files.json_files import append_line, read_whole_objects, write_lines
from tasks.core.training.hardware.machine import Machine, memory_gib
from tasks.core.training.watch.loss_plot import draw_loss

log = logging.getLogger(__name__)

# the trainer's names of figures and their names in a telemetry line, in the order of the line
_FIGURES = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "eval_loss": "eval_loss",
    "rewards/margins": "reward_margin",
    "rewards/accuracies": "reward_accuracy",
}
_PICTURE_EVERY_S = 60


class Telemetry(TrainerCallback):
    """Writes a line for each log step and for each warning.

    `positions` returns how many sequence positions this process has trained so far.
    """

    def __init__(self, out: Path, stage: str, machine: Machine, positions: Callable[[], int]):
        self._file = out / "telemetry.jsonl"
        self._picture = out / "loss.png"
        self._board_folder = out / "tensorboard"
        self._stage = stage
        self._machine = machine
        self._positions = positions
        self._started = 0.0
        self._drawn = 0.0
        self._first_step = 0
        self._warm: float | None = None  # when this process's first step had ended

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Removes the lines that a resumed run's checkpoint does not know; it writes them again."""
        self._started = self._drawn = time.monotonic()
        self._first_step = state.global_step
        lines = read_whole_objects(self._file)
        known = [line for line in lines if line["step"] <= state.global_step]
        write_lines(self._file, known)
        self._board = SummaryWriter(str(self._board_folder), purge_step=state.global_step + 1)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Notes when the first step has ended, which builds kernels and skips rows on a resume."""
        if self._warm is None:
            self._warm = time.monotonic()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes the line of a training or an evaluation loss."""
        figures = _figures_of(logs or {})
        if "loss" not in figures and "eval_loss" not in figures:
            return
        line = self._line(state, figures)
        append_line(self._file, line)
        self._write_board(line, figures)
        if "loss" in figures:
            print(json.dumps(line), flush=True)
        if "eval_loss" in figures or time.monotonic() - self._drawn > _PICTURE_EVERY_S:
            self.draw()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draws the finished loss."""
        self.draw()

    def warn(self, step: int, text: str) -> None:
        """Writes a warning's line, and logs it."""
        now = round(time.time(), 3)
        warning = {"time": now, "stage": self._stage, "step": step, "warning": text}
        append_line(self._file, warning)
        log.warning("step %d: %s", step, text)

    def draw(self) -> None:
        """Draws loss.png from all lines so far."""
        draw_loss(read_whole_objects(self._file), self._picture, self._stage)
        self._drawn = time.monotonic()

    def _line(self, state: TrainerState, figures: dict[str, float]) -> dict[str, Any]:
        seconds = max(time.monotonic() - self._started, 1e-3)
        return {
            "time": round(time.time(), 3),
            "stage": self._stage,
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
            **figures,
            "tokens_per_s": round(self._positions() / seconds, 1),
            "memory_gib": round(memory_gib(self._machine), 3),
            "eta_s": round(self._seconds_left(state), 1),
        }

    def _seconds_left(self, state: TrainerState) -> float:
        """By this process's pace, its slow first step left out as soon as there is another."""
        done = state.global_step - self._first_step
        since = self._started
        if done > 1 and self._warm is not None:
            done, since = done - 1, self._warm
        if not done:
            return 0.0
        return (time.monotonic() - since) / done * (state.max_steps - state.global_step)

    def _write_board(self, line: dict[str, Any], figures: dict[str, float]) -> None:
        for name in (*figures, "tokens_per_s", "memory_gib"):
            self._board.add_scalar(name, line[name], line["step"])
        self._board.flush()


def _figures_of(logs: dict[str, float]) -> dict[str, float]:
    figures = {}
    for logged_name, name in _FIGURES.items():
        if logged_name in logs:
            figures[name] = logs[logged_name]
    return figures
