"""Whether a training is well: what stops it, and what is only said, once each.

Shared by all backends, which are transformers' Trainer. What an evaluation decides follows from the
trainer's own history, which its checkpoints hold: a resumed run decides as an uninterrupted one.
"""

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from transformers import TrainerCallback

from tasks.core.errors import WorkError
from tasks.core.settings.tree import Stage
from tasks.core.training.hardware.machine import Machine, memory_left, temperature

_HIGH_GRADIENT, _HIGH_FOR_STEPS = 5.0, 50
_RISING_EVALUATIONS = 2
_SLOW, _SLOW_LINES, _USUAL_LINES = (
    0.5,
    3,
    5,
)  # share of the usual speed, for so many lines after so many
_MEMORY_LEFT = 0.02
_HOT = 85  # degrees Celsius; cards slow down a few degrees above
_LOOK_EVERY_S = 60


class Health(TrainerCallback):
    """Stops a stage whose loss is no number, and with patience one that no longer learns; warns of
    the rest.

    positions: sequence positions that this process has trained; warn(step, text) tells the user.
    """

    def __init__(
        self,
        stage: tuple[str, Stage],
        machine: Machine,
        positions: Callable[[], int],
        warn: Callable[[int, str], None],
    ):
        self._stage, self._schedule = stage
        self._machine, self._positions, self._tell = machine, positions, warn
        self._told: set[str] = set()
        self._high_since: int | None = None
        self._rates: list[float] = []
        self._last = self._looked = 0.0
        self._trained = 0

    def on_train_begin(self, args, state, control, **kwargs):
        self._last, self._trained = time.monotonic(), self._positions()

    def on_step_end(self, args, state, control, **kwargs):
        every = self._schedule.eval_every
        if every and (state.global_step % every == 0 or state.global_step == state.max_steps):
            control.should_evaluate = True
        if control.should_save:
            control.should_log = True  # a loss that is no number must not get into a checkpoint

    def on_log(self, args, state, control, logs=None, **kwargs):
        self._check_finite(logs, args, state)
        if "loss" in logs:
            self._watch_gradient(logs.get("grad_norm", 0.0), state.global_step)
            self._watch_speed(state.global_step)
            self._watch_machine(state.global_step)
        if "eval_loss" in logs:
            self._judge(state, control)

    def _check_finite(self, logs: dict[str, float], args, state) -> None:
        # fp16's loss scaler finds its scale by overflowing, and leaves such steps out
        for name in ("loss", "eval_loss") if args.fp16 else ("loss", "grad_norm", "eval_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise WorkError(
                    f"{name} of {self._stage} is {logs[name]} at step {state.global_step} of {state.max_steps}."
                    f" Lower {self._stage}.learning_rate (it is {args.learning_rate:g}) and run it again."
                )

    def _watch_gradient(self, norm: float, step: int) -> None:
        if norm <= _HIGH_GRADIENT:
            self._high_since = None
        elif self._high_since is None:
            self._high_since = step
        elif step - self._high_since >= _HIGH_FOR_STEPS:
            lower = f"Lower {self._stage}.learning_rate if the loss does not fall."
            self._warn(
                "gradient",
                step,
                f"The gradient's norm is above {_HIGH_GRADIENT:g} for 50 steps. {lower}",
            )

    def _watch_speed(self, step: int) -> None:
        now, trained = time.monotonic(), self._positions()
        self._rates.append((trained - self._trained) / max(now - self._last, 1e-6))
        self._last, self._trained = now, trained
        earlier, recent = self._rates[:-_SLOW_LINES], self._rates[-_SLOW_LINES:]
        usual = median(earlier) if len(earlier) >= _USUAL_LINES else 0.0
        if max(recent) < _SLOW * usual:
            told = f"Training fell from {usual:.0f} to {recent[-1]:.0f} tokens/s. Does something else use the machine?"
            self._warn("speed", step, told)

    def _watch_machine(self, step: int) -> None:
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return
        self._looked = time.monotonic()
        left, degrees = memory_left(self._machine), temperature(self._machine)
        if left < _MEMORY_LEFT:
            self._warn("memory", step, f"Only {100 * left:.1f} % of the memory is left.")
        if degrees is not None and degrees >= _HOT:
            self._warn(
                "heat",
                step,
                f"The card is {degrees} °C hot and will slow down. Look after its cooling.",
            )

    def _judge(self, state, control) -> None:
        """After an evaluation: keeps the best state, ends the stage when patience is over, tells a
        rising loss.
        """
        control.should_evaluate = False  # it is done; our engine's trainer does not say so itself
        worse = worse_since_best(state.log_history)
        if worse >= _RISING_EVALUATIONS:
            (best, low), (_, present) = (
                best_of(state.log_history),
                evaluations(state.log_history)[-1],
            )
            told = f"The loss on held-out rows rose from {low:.4f} at step {best} to {present:.4f}."
            self._warn("evaluation", state.global_step, told)
        if self._schedule.patience and state.global_step < state.max_steps:
            control.should_save = control.should_save or worse == 0
            control.should_training_stop = out_of_patience(state.log_history, self._schedule)

    def _warn(self, kind: str, step: int, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._tell(step, text)


class TimeLimit(TrainerCallback):
    """Ends a stage with a checkpoint once `minutes` are over since `started` (of time.monotonic)."""

    def __init__(self, started: float, minutes: float):
        self._end = started + 60 * minutes

    def on_step_end(self, args, state, control, **kwargs):
        if time.monotonic() >= self._end and state.global_step < state.max_steps:
            control.should_save = control.should_log = control.should_training_stop = True


class AsAskedNow(TrainerCallback):
    """A resumed run logs and saves as often as it is told now. Transformers would do it as often as
    the run that wrote the checkpoint was told.
    """

    def on_train_begin(self, args, state, control, **kwargs):
        state.logging_steps, state.save_steps = args.logging_steps, args.save_steps


def evaluations(history: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """Step and loss of each evaluation in a trainer's history."""
    return [(line["step"], line["eval_loss"]) for line in history if "eval_loss" in line]


def best_of(history: list[dict[str, Any]]) -> tuple[int, float] | None:
    """Step and loss of the evaluation with the lowest loss."""
    return min(evaluations(history), key=lambda told: told[1], default=None)


def best_step(history: list[dict[str, Any]]) -> int | None:
    """Step of the evaluation with the lowest loss."""
    best = best_of(history)
    return best[0] if best else None


def worse_since_best(history: list[dict[str, Any]]) -> int:
    """Evaluations behind the best one."""
    steps = [step for step, _ in evaluations(history)]
    return len(steps) - 1 - steps.index(best_step(history)) if steps else 0


def out_of_patience(history: list[dict[str, Any]], schedule: Stage) -> bool:
    return bool(schedule.patience) and worse_since_best(history) >= schedule.patience
