"""Some of a stage's rows as tokens: enough for a plan or a trial. To encode all takes minutes.

Reads the file that the stage's spec names.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from transformers import PreTrainedTokenizerFast

from tasks.core.settings.tree import Training
from tasks.core.training.rows.encoding import encode_rows
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.records import Row
from tasks.core.training.spec import TrainingSpec


@dataclass(frozen=True)
class Sample:
    """Some encoded rows, and the share of all rows that they are."""

    rows: list[Row]
    share: float


def sample_rows(
    spec: TrainingSpec, training: Training, tokenizer: PreTrainedTokenizerFast, most: int
) -> Sample:
    """Returns all rows in their order, or `most` of them: the same ones for the same seed."""
    file = RowFile(Path(spec.rows), spec.method)
    count = file.count()
    if count <= most:
        chosen = list(file.read())
    else:
        numbers = Random(training.seed).sample(range(count), most)
        picked = file.pick(numbers)
        chosen = [picked[number] for number in numbers]
    encoded = encode_rows(tokenizer, chosen, spec.method, not training.assistant_only_loss)
    return Sample(encoded, len(chosen) / count)
