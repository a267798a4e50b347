"""When the policy is checked: before the first step, as training begins, and after the last step.

Reads the start adapter's files; writes checks.json through report.Report.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from tasks.core.training.backends.stage_trainer import StageTrainer
from tasks.core.training.checks import log_probs, policy
from tasks.core.training.checks.report import Report
from tasks.core.training.policy.adapter import (
    digest_adapter,
    load_weights,
    lora_weights,
    read_weights,
)
from tasks.core.training.rows.selection import Rows

_STEPS_TO_MOVE_ALL = 20  # A moves only once B has, and the first steps of the warm-up are small


class StageChecks:
    """The checks of one trainer: before(), callback() while it trains, after()."""

    def __init__(self, trainer: StageTrainer, start: Path | None, rows: Rows, report: Report):
        self._trainer = trainer
        self._start = start
        self._rows = rows.train
        self._report = report

    def before(self, targets: list[str], compute: torch.dtype) -> None:
        """Checks the policy and its reference before the first step."""
        trained = self._trainer.policy
        add = self._report.add
        add(policy.check_layers(trained, targets), policy.check_only_adapter_trained(trained))
        add(policy.check_compute_type(trained, compute), policy.check_float32(trained))
        if self._start:
            weights = read_weights(self._start)
            add(policy.check_same_weights(trained, weights, "the earlier stage"))
            self._start_digests = digest_adapter(self._start)
        if self._trainer.batches_rows:
            self._compare("at_start")
        self._trainer.use_reference(self._start)
        gap = self._trainer.gap_to_reference()
        if gap is not None:
            add(*log_probs.check_reference(gap))
        add(policy.check_gradients(trained, self._trainer.row_loss(self._shortest_row())))
        self._weights_before = _copy_weights(trained, "cpu")

    def callback(self, resumed: Path | None) -> TrainerCallback:
        """Returns what is checked while it trains; `resumed` is the checkpoint it goes on from."""
        return _WhileTraining(self._report, resumed)

    def after(self, steps: int) -> None:
        """Checks the policy that is saved, which was trained for so many steps."""
        trained = self._trainer.policy
        add = self._report.add
        add(policy.check_float32(trained, "lora_parameters_float32_at_the_end"))
        strict = steps >= _STEPS_TO_MOVE_ALL
        add(*policy.check_moved(trained, self._weights_before, strict))
        if self._trainer.has_own_forward_pass:
            # a new adapter's B is zero at the start, so a difference shows only now
            self._compare("at_the_end")
        if self._start:
            same = digest_adapter(self._start) == self._start_digests
            add(policy.check_start_files(same, self._start))
        with _weights_replaced(trained, self._weights_before):
            gap = self._trainer.gap_to_reference()
        if gap is not None:
            add(log_probs.check_reference_stayed(gap))
        self._report.show("checked after the last step")

    def _compare(self, moment: str) -> None:
        compared = self._trainer.compare(self._rows)
        remedy = self._trainer.remedy
        self._report.add(log_probs.check_packing(compared, remedy, moment))
        if compared.rounding is not None:
            tokens = int(compared.tokens.sum())
            checks = log_probs.check_rounding(compared.rounding, tokens, remedy, moment)
            self._report.add(*checks)

    def _shortest_row(self) -> int:
        """Returns the index of the row by which the gradients are checked.

        Activations are not checkpointed yet, and a long row would set the stage's peak of memory.
        """
        return min(range(len(self._rows)), key=lambda index: self._rows[index].positions)


class _WhileTraining(TrainerCallback):
    """Checks that the optimizer has every matrix and keeps precise moments.

    A resumed policy has to be its checkpoint's to the last bit, because transformers may load
    another adapter.
    """

    def __init__(self, report: Report, resumed: Path | None):
        self._report = report
        self._resumed = resumed
        self._saw_step = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Checks the policy that was resumed, and the optimizer."""
        model, optimizer = kwargs["model"], kwargs["optimizer"]
        if self._resumed:
            weights = read_weights(self._resumed)
            self._report.add(
                policy.check_float32(model, "lora_parameters_resumed"),
                policy.check_same_weights(model, weights, self._resumed.name, "weights_resumed"),
            )
        self._report.add(policy.check_optimizer(model, optimizer))
        self._report.show("checked before the first step")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Checks the optimizer's state after the first step, which made it."""
        if not self._saw_step:
            self._saw_step = True
            self._report.add(policy.check_optimizer_state(kwargs["optimizer"]))


def _copy_weights(trained: PeftModel, device: str | None = None) -> dict[str, Tensor]:
    """Copies the LoRA weights, to this device or on their own."""
    copies = {}
    for name, weight in lora_weights(trained):
        copies[name] = weight.detach().to(device or weight.device, copy=True)
    return copies


@contextmanager
def _weights_replaced(trained: PeftModel, weights: dict[str, Tensor]) -> Iterator[None]:
    """Inside, the policy has other LoRA weights."""
    kept = _copy_weights(trained)
    try:
        load_weights(trained, weights)
        yield
    finally:
        load_weights(trained, kept)
