"""When the checks are made: on the rows, on the trainer before its first step, as it starts, and
after its last step.

Reads the start adapter's files; writes checks.json through report.Report.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from peft import PeftModel
from transformers import TrainerCallback

from tasks.core.training.backends.engine import EngineDPO, OnEngine
from tasks.core.training.backends.trl import SealedDPO, dpo_at_start
from tasks.core.training.checks import of_policy as checks
from tasks.core.training.checks.report import Report
from tasks.core.training.policy.adapter import adapter_digests, lora_weights, saved_weights
from tasks.core.training.rows.selection import Rows

_STEPS_TO_MOVE_ALL = 20  # A moves only once B has, and the first steps of the warm-up are small


class Proof:
    """The checks of one trainer: before(), the callback while it trains, after()."""

    def __init__(self, trainer, start: Path | None, rows: Rows, report: Report):
        self._trainer, self._start, self._rows, self._report = trainer, start, rows, report
        self._policy: PeftModel = trainer.model

    def before(self, targets: list[str], compute: torch.dtype) -> None:
        """All that has to be true of the policy and its reference before the first step."""
        trainer, policy, report = self._trainer, self._policy, self._report
        report.add(*checks.check_complete(policy, targets))
        report.add(*checks.check_types(policy, compute))
        if self._start:
            report.add(
                checks.check_same_weights(policy, saved_weights(self._start), "the earlier stage")
            )
            self._digests = adapter_digests(self._start)
        if (
            isinstance(trainer, OnEngine | SealedDPO)
            or trainer.args.per_device_train_batch_size > 1
        ):
            self._compare("at_start")
        if isinstance(trainer, SealedDPO | EngineDPO):
            trainer.use_reference(self._start)
            report.add(*checks.check_reference(dpo_at_start(trainer)))
        # the shortest row: activations are not checkpointed yet, and a long one would set the
        # stage's peak of memory
        shortest = min(
            range(len(self._rows.train)), key=lambda index: self._rows.train[index].positions
        )
        report.add(checks.check_gradients(policy, trainer.row_loss(shortest)))
        self._before = {
            name: weight.detach().cpu().clone() for name, weight in lora_weights(policy)
        }

    def _compare(self, moment: str) -> None:
        proof = self._trainer.proof(self._rows.train)
        self._report.add(checks.check_packing(proof, self._trainer.otherwise, moment))
        if proof.rounding is not None:
            self._report.add(*checks.check_rounding(proof, self._trainer.otherwise, moment))

    def callback(self, resumed: Path | None) -> TrainerCallback:
        """What is checked while it trains; resumed: the checkpoint that it goes on from."""
        return _Started(self._report, resumed)

    def after(self, steps: int) -> None:
        """All that has to be true of the policy that is saved, which was trained for so many steps."""
        trainer, policy, report = self._trainer, self._policy, self._report
        report.add(replace(checks.check_float32(policy), name="lora_parameters_float32_at_the_end"))
        report.add(*checks.check_moved(policy, self._before, strict=steps >= _STEPS_TO_MOVE_ALL))
        if isinstance(
            trainer, OnEngine
        ):  # at the start a new adapter's B is zero: only now does it show
            self._compare("at_the_end")
        if self._start:
            report.add(
                checks.check_start_files(adapter_digests(self._start) == self._digests, self._start)
            )
        if isinstance(trainer, SealedDPO | EngineDPO):
            with _weights(policy, self._before):
                report.add(checks.check_frozen(dpo_at_start(trainer)["log_prob_gap"]))
        report.show("checked after the last step")


class _Started(TrainerCallback):
    """The optimizer has every matrix and keeps precise moments; a resumed policy is its
    checkpoint's, to the last bit: transformers may load another adapter.
    """

    def __init__(self, report: Report, resumed: Path | None):
        self._report, self._resumed, self._seen = report, resumed, False

    def on_train_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
        if self._resumed:
            weights = checks.check_same_weights(
                model, saved_weights(self._resumed), self._resumed.name
            )
            again = {
                "lora_parameters_resumed": checks.check_float32(model),
                "weights_resumed": weights,
            }
            self._report.add(*(replace(check, name=name) for name, check in again.items()))
        self._report.add(checks.check_optimizer(model, optimizer))
        self._report.show("checked before the first step")

    def on_step_end(self, args, state, control, optimizer=None, **kwargs):
        if not self._seen:
            self._report.add(checks.check_optimizer_state(optimizer))
            self._seen = True


@contextmanager
def _weights(policy: PeftModel, weights: dict[str, torch.Tensor]) -> Iterator[None]:
    """The policy with other LoRA weights for a while."""
    kept = {name: weight.detach().clone() for name, weight in lora_weights(policy)}
    try:
        for name, weight in lora_weights(policy):
            weight.data.copy_(weights[name])
        yield
    finally:
        for name, weight in lora_weights(policy):
            weight.data.copy_(kept[name])
