"""What a training tells while it runs: JSON lines on stdout and in telemetry.jsonl, in tensorboard/
and loss.png.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback

from tasks.core.training.hardware.machine import Machine, memory_gib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - the backend has to be chosen first

log = logging.getLogger(__name__)
_COLUMNS = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "eval_loss": "eval_loss",
}
_PICTURE_EVERY_S = 60
_PREFERENCE = {"rewards/margins": "reward_margin", "rewards/accuracies": "reward_accuracy"}


class Telemetry(TrainerCallback):
    """Writes a line per log step and per warning.

    positions: tells how many sequence positions this process has trained so far.
    """

    def __init__(self, out: Path, stage: str, machine: Machine, positions: Callable[[], int]):
        self._file, self._picture, self._board_folder = (
            out / "telemetry.jsonl",
            out / "loss.png",
            out / "tensorboard",
        )
        self._stage, self._machine, self._positions = stage, machine, positions
        self._started = self._drawn = self._first_step = 0

    def on_train_begin(self, args, state, control, **kwargs):
        """A resumed run goes on behind the lines that its checkpoint knows."""
        self._started = self._drawn = time.monotonic()
        self._first_step = state.global_step
        kept = [line for line in read_telemetry(self._file) if line["step"] <= state.global_step]
        self._file.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        self._board = SummaryWriter(
            log_dir=str(self._board_folder), purge_step=state.global_step + 1
        )

    def on_log(self, args, state, control, logs=None, **kwargs):
        told = {new: logs[old] for old, new in {**_COLUMNS, **_PREFERENCE}.items() if old in logs}
        if not told.keys() & {"loss", "eval_loss"}:
            return
        done, seconds = (
            state.global_step - self._first_step,
            max(time.monotonic() - self._started, 1e-3),
        )
        line = {
            "time": round(time.time(), 3),
            "stage": self._stage,
            "step": state.global_step,
            "steps": state.max_steps,
            "epoch": round(state.epoch or 0.0, 4),
            **told,
            "tokens_per_s": round(self._positions() / seconds, 1),
            "memory_gib": round(memory_gib(self._machine), 3),
            "eta_s": round(seconds / done * (state.max_steps - state.global_step), 1)
            if done
            else 0.0,
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for name, value in {
            **told,
            **{name: line[name] for name in ("tokens_per_s", "memory_gib")},
        }.items():
            self._board.add_scalar(name, value, state.global_step)
        self._board.flush()
        if "loss" in told:
            print(json.dumps(line), flush=True)
        if time.monotonic() - self._drawn > _PICTURE_EVERY_S or "eval_loss" in told:
            self.draw()

    def warn(self, step: int, text: str) -> None:
        line = {"time": round(time.time(), 3), "stage": self._stage, "step": step, "warning": text}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        log.warning("step %d: %s", step, text)

    def on_train_end(self, args, state, control, **kwargs):
        self.draw()

    def draw(self) -> None:
        """Draws loss.png from all lines so far."""
        draw_loss(read_telemetry(self._file), self._picture, self._stage)
        self._drawn = time.monotonic()


def read_telemetry(file: Path) -> list[dict[str, Any]]:
    """The file's whole lines; a killed process may leave half a one."""
    lines = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines


def draw_loss(lines: list[dict[str, Any]], picture: Path, stage: str) -> None:
    """Loss over the optimizer steps, the eval loss as points, the learning rate behind them."""
    trained = [line for line in lines if "loss" in line]
    evaluated = [line for line in lines if "eval_loss" in line]
    figure, axes = plt.subplots(figsize=(7, 3.6), dpi=130, layout="constrained")
    rate = axes.twinx()
    steps = [line["step"] for line in trained]
    rate.fill_between(
        steps, [line["learning_rate"] for line in trained], color="#d9d9d9", alpha=0.5, step="mid"
    )
    rate.set_ylabel("learning rate", color="#8a8a8a")
    rate.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.set_zorder(rate.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.plot(
        steps,
        [line["loss"] for line in trained],
        color="#1f5fa8",
        marker="o",
        markersize=3,
        label="train",
    )
    if evaluated:
        points = [line["step"] for line in evaluated], [line["eval_loss"] for line in evaluated]
        axes.scatter(*points, color="#c23b22", zorder=3, label="held-out rows")
        axes.legend(frameon=False)
    axes.set(xlabel="optimizer step", ylabel="loss (nats per token)", title=f"{stage}: loss")
    if any("reward_margin" in line for line in trained):
        axes.set_ylabel("DPO loss (ln 2 = no preference yet)")
    axes.xaxis.get_major_locator().set_params(integer=True)
    neighbour = picture.with_suffix(".part.png")  # whoever watches never reads half a picture
    figure.savefig(neighbour)
    os.replace(neighbour, picture)
    plt.close(figure)
