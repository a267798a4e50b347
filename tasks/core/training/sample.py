"""Some of a stage's rows, encoded: enough for a plan or a trial, where all of them would take minutes."""

from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerFast

from tasks.core.records import TrainingSpec
from tasks.core.settings import Training
from tasks.core.training.rows import encode_pair, encode_sft, read_rows


def sample(
    spec: TrainingSpec, training: Training, tokenizer: PreTrainedTokenizerFast, most: int
) -> tuple[list[dict[str, Any]], float]:
    """All of the rows in their order, or this many, the same for the same seed, and the share of all that they are."""
    raw = read_rows(Path(spec.rows), ("prompt", "chosen", "rejected") if spec.method == "dpo" else ("messages",))
    some = raw if len(raw) <= most else Random(training.seed).sample(raw, most)
    if spec.method == "dpo":
        return [encode_pair(tokenizer, row) for row in some], len(some) / len(raw)
    return [encode_sft(tokenizer, row, not training.assistant_only_loss) for row in some], len(some) / len(raw)
