"""The trainer that TRL's trainers and the engine's are made from.

Writes checkpoints, sealed, into the stage's folder.
"""

from pathlib import Path
from typing import Any

from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, Trainer, TrainingArguments

from tasks.core.training.checks.compared import ReferenceGap
from tasks.core.training.hardware import ranks
from tasks.core.training.policy.optimizer import optimizer_of
from tasks.core.training.watch.checkpoints import sealed_checkpoint


class PolicyTrainer(Trainer):
    """transformers' Trainer of a policy, with our optimizer and sealed checkpoints.

    It gives those of StageTrainer's answers (stage_trainer.py) that most trainers have in common.
    """

    positions = 0
    """Sequence positions trained by this process, padding not counted."""

    @property
    def policy(self) -> PeftModel:
        """The model with the adapter that is trained."""
        assert isinstance(self.model, PeftModel)
        return self.model

    @property
    def checkpoints(self) -> Path:
        """The folder of the stage's checkpoints."""
        assert self.args.output_dir is not None
        return Path(self.args.output_dir)

    def use_reference(self, start: Path | None) -> None:
        """Does nothing: only DPO has a reference."""

    def gap_to_reference(self) -> ReferenceGap | None:
        """Returns None: only DPO has a reference."""
        return None

    def seconds_per_step(self) -> float:
        """Returns 0: it is not measured."""
        return 0.0

    @staticmethod
    def get_optimizer_cls_and_kwargs(
        args: TrainingArguments, model: PreTrainedModel | None = None
    ) -> tuple[Any, Any]:
        """Returns the class and the keywords of our optimizer."""
        return optimizer_of(args, model)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if ranks.number() > 0:
            return  # the first process alone writes
        with sealed_checkpoint(self):
            super()._save_checkpoint(model, trial)
