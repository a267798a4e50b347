"""Some of a stage's rows, encoded: enough for a plan or a trial, where all of them would take
minutes.
"""

from pathlib import Path
from random import Random
from typing import Any

from transformers import PreTrainedTokenizerFast

from tasks.core.settings.tree import Training
from tasks.core.training.rows.encoding import encode_rows
from tasks.core.training.rows.selection import read_rows
from tasks.core.training.spec import TrainingSpec


def sample(
    spec: TrainingSpec, training: Training, tokenizer: PreTrainedTokenizerFast, most: int
) -> tuple[list[dict[str, Any]], float]:
    """All of the rows in their order, or this many, the same for the same seed, and the share of
    all that they are.
    """
    raw = read_rows(Path(spec.rows), spec.method)
    some = raw if len(raw) <= most else Random(training.seed).sample(raw, most)
    encoded = encode_rows(tokenizer, some, spec.method, whole_text=not training.assistant_only_loss)
    return encoded, len(some) / len(raw)
