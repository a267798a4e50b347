"""Whether a training is well: what stops it, and what is only reported, once each.

All backends share these callbacks, because all of them are transformers' Trainer.
"""

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tasks.core.errors import WorkError
from tasks.core.settings.tree import Stage
from tasks.core.training.hardware.machine import Machine, memory_left, temperature
from tasks.core.training.watch.evaluations import (
    best_evaluation,
    count_worse_since_best,
    is_out_of_patience,
    list_evaluations,
)

_HIGH_GRADIENT = 5.0
_HIGH_FOR_STEPS = 50
_RISING_EVALUATIONS = 2
_SLOW = 0.5  # share of the usual speed
_SLOW_LINES = 3  # log lines in a row that have to be slow
_USUAL_LINES = 5  # least number of log lines whose median is the usual speed
_MEMORY_LEFT = 0.02  # share of the memory
_HOT = 85  # degrees Celsius; cards slow down a few degrees above
_LOOK_EVERY_S = 60


class Health(TrainerCallback):
    """Stops a stage whose loss is not a number, and one whose patience is over; warns of the rest.

    `positions` returns the sequence positions that this process has trained; `warn` takes a step
    and a text for the user.
    """

    def __init__(
        self,
        stage: str,
        schedule: Stage,
        machine: Machine,
        positions: Callable[[], int],
        warn: Callable[[int, str], None],
    ):
        self._stage = stage
        self._schedule = schedule
        self._machine = machine
        self._positions = positions
        self._warn_user = warn
        self._warned: set[str] = set()
        self._high_since: int | None = None
        self._speeds: list[float] = []
        self._logged_at = 0.0
        self._looked_at = 0.0
        self._trained = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Starts the clock by which the speed is measured."""
        self._logged_at = time.monotonic()
        self._trained = self._positions()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Asks for a log line before each checkpoint."""
        if control.should_save:
            control.should_log = True  # a loss that is not a number must not get into a checkpoint

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Looks at what was logged. Raises WorkError if a figure is not a number."""
        logs = logs or {}
        self._check_finite(logs, args, state)
        if "loss" in logs:
            self._watch_gradient(logs.get("grad_norm", 0.0), state.global_step)
            self._watch_speed(state.global_step)
            self._watch_machine(state.global_step)
        if "eval_loss" in logs:
            self._judge_evaluation(state, control)

    def _check_finite(
        self, logs: dict[str, float], args: TrainingArguments, state: TrainerState
    ) -> None:
        names = ["loss", "grad_norm", "eval_loss"]
        if args.fp16:
            # fp16's loss scaler finds its scale by overflowing, and leaves such steps out
            names.remove("grad_norm")
        for name in names:
            if not math.isfinite(logs.get(name, 0.0)):
                raise WorkError(
                    f"{name} of {self._stage} is {logs[name]} at step {state.global_step}"
                    f" of {state.max_steps}. Lower {self._stage}.learning_rate"
                    f" (it is {args.learning_rate:g}) and run it again."
                )

    def _watch_gradient(self, norm: float, step: int) -> None:
        if norm <= _HIGH_GRADIENT:
            self._high_since = None
        elif self._high_since is None:
            self._high_since = step
        elif step - self._high_since >= _HIGH_FOR_STEPS:
            self._warn(
                "gradient",
                step,
                f"The gradient's norm has been above {_HIGH_GRADIENT:g} for {_HIGH_FOR_STEPS}"
                f" steps. Lower {self._stage}.learning_rate if the loss does not fall.",
            )

    def _watch_speed(self, step: int) -> None:
        now = time.monotonic()
        trained = self._positions()
        self._speeds.append((trained - self._trained) / max(now - self._logged_at, 1e-6))
        self._logged_at = now
        self._trained = trained
        earlier = self._speeds[:-_SLOW_LINES]
        recent = self._speeds[-_SLOW_LINES:]
        if len(earlier) < _USUAL_LINES:
            return
        usual = median(earlier)
        if max(recent) < _SLOW * usual:
            self._warn(
                "speed",
                step,
                f"Training fell from {usual:.0f} to {recent[-1]:.0f} tokens/s."
                " Does something else use the machine?",
            )

    def _watch_machine(self, step: int) -> None:
        if time.monotonic() - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = time.monotonic()
        left = memory_left(self._machine)
        if left < _MEMORY_LEFT:
            self._warn("memory", step, f"Only {100 * left:.1f} % of the memory is left.")
        degrees = temperature(self._machine)
        if degrees is not None and degrees >= _HOT:
            self._warn(
                "heat",
                step,
                f"The card is {degrees} °C hot and will slow down. Check its cooling.",
            )

    def _judge_evaluation(self, state: TrainerState, control: TrainerControl) -> None:
        """Keeps the best state, ends the stage when patience is over, reports a rising loss."""
        control.should_evaluate = False  # it is done, and the engine's trainer does not say so
        worse = count_worse_since_best(state.log_history)
        if worse >= _RISING_EVALUATIONS:
            self._warn_of_rise(state)
        if self._schedule.patience and state.global_step < state.max_steps:
            control.should_save = control.should_save or worse == 0
            control.should_training_stop = is_out_of_patience(state.log_history, self._schedule)

    def _warn_of_rise(self, state: TrainerState) -> None:
        best = best_evaluation(state.log_history)
        assert best is not None, "an evaluation was just made"
        present = list_evaluations(state.log_history)[-1]
        self._warn(
            "evaluation",
            state.global_step,
            f"The loss on held-out rows rose from {best.loss:.4f} at step {best.step}"
            f" to {present.loss:.4f}.",
        )

    def _warn(self, kind: str, step: int, text: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn_user(step, text)


class Evaluations(TrainerCallback):
    """Asks for an evaluation after every so many optimizer steps, and after the last one."""

    def __init__(self, every: int):
        self._every = every

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Asks if one is due."""
        if state.global_step % self._every == 0 or state.global_step == state.max_steps:
            control.should_evaluate = True


class TimeLimit(TrainerCallback):
    """Ends a stage with a checkpoint when `minutes` have passed since `started`.

    `started` is a moment of time.monotonic.
    """

    def __init__(self, started: float, minutes: float):
        self._end = started + 60 * minutes

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Saves, logs and stops if the time is over and steps are left."""
        if time.monotonic() >= self._end and state.global_step < state.max_steps:
            control.should_save = True
            control.should_log = True
            control.should_training_stop = True


class PresentIntervals(TrainerCallback):
    """Lets a resumed run log and save as often as it is told now.

    Transformers would do it as often as the run that wrote the checkpoint was told.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Replaces the checkpoint's intervals."""
        state.logging_steps = int(args.logging_steps)
        state.save_steps = int(args.save_steps)
