"""What a stage asks of its trainer, whichever backend trains.

TRL's trainers (trl.py, under Unsloth too) and the engine's (engine.py) have all of it.
"""

from pathlib import Path
from typing import Any, Protocol

from peft import PeftModel
from torch import Tensor
from transformers import TrainerCallback, TrainerState, TrainingArguments

from tasks.core.training.checks.compared import Compared, ReferenceGap
from tasks.core.training.planning.plan import Plan
from tasks.core.training.rows.records import Row


class StageTrainer(Protocol):
    """transformers' Trainer of a policy, and what the checks and the figures need to know of it."""

    backend: str
    """engine, trl or unsloth."""
    remedy: str
    """The setting that avoids this backend's batches, if the checks find them wrong."""
    positions: int
    """Sequence positions trained by this process, padding not counted."""
    state: TrainerState

    @property
    def args(self) -> TrainingArguments:
        """transformers' settings of this training."""

    @property
    def policy(self) -> PeftModel:
        """The model with the adapter that is trained."""

    @property
    def checkpoints(self) -> Path:
        """The folder of the stage's checkpoints."""

    @property
    def plan(self) -> Plan | None:
        """The plan by which it trains; None if the backend needs none."""

    @property
    def batches_rows(self) -> bool:
        """Whether a batch holds several sequences, which must not see one another."""

    @property
    def has_own_forward_pass(self) -> bool:
        """Whether the forward pass is another one than PEFT's, which may compute another thing."""

    def add_callback(self, callback: TrainerCallback) -> None:
        """Adds a callback to those that are called while it trains."""

    def remove_callback(self, callback: type[TrainerCallback]) -> None:
        """Removes transformers' callback of this class."""

    def train(self, resume_from_checkpoint: str | None = None) -> Any:
        """Trains to the end, or until a callback stops it."""

    def evaluate(self) -> dict[str, float]:
        """Returns the loss on the held-out rows, under `eval_loss`."""

    def row_loss(self, index: int) -> Tensor:
        """Returns the loss of one training row, with its graph."""

    def compare(self, rows: list[Row]) -> Compared:
        """Computes a few of the rows alone and together, as the batches of a step are computed."""

    def use_reference(self, start: Path | None) -> None:
        """Fixes DPO's reference: the adapter in `start`, or the base. SFT has none."""

    def gap_to_reference(self) -> ReferenceGap | None:
        """Returns how far the present policy is from DPO's reference; None for SFT."""

    def seconds_per_step(self) -> float:
        """Returns the median of this process's optimizer steps; 0 if it was not measured."""
