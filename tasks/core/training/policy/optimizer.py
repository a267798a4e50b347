"""bitsandbytes' AdamW, without its wait for the card after every matrix.

An adapter is hundreds of small matrices: the waits took 26 ms of a step on the 7B shape, the
updates 4 (an H200, under a profiler).
"""

from typing import Any

from bitsandbytes.optim import AdamW, optimizer
from transformers import PreTrainedModel, Trainer, TrainingArguments


class UnwaitingAdamW(AdamW):
    """A card does a stream's work in order anyway, and whoever reads a result waits for it. Memory
    that is paged to the processor's is not in that order.
    """

    def step(self, closure=None):
        if self.is_paged:
            return super().step(closure)
        wait, optimizer.sync_gpu = optimizer.sync_gpu, lambda matrix: None
        try:
            return super().step(closure)
        finally:
            optimizer.sync_gpu = wait


def optimizer_of(
    arguments: TrainingArguments, model: PreTrainedModel | None
) -> tuple[Any, dict[str, Any]]:
    """The class and keywords of the optimizer that transformers would take, or of the one above in
    its place.
    """
    kind, named = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    return UnwaitingAdamW if kind is AdamW else kind, named
