"""The base model as an adapter was trained on it: what the adapter has to be folded into.

Training writes base.json into the adapter's folder; merge and parity read it.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json

BASE_FILE = "base.json"

NF4_BLOCK = 64
"""Weights that share a scale in NF4, as QLoRA has it."""


@dataclass(frozen=True)
class TrainingBase:
    """How training held the base's weights, and a proof of their values."""

    quantization: Literal["nf4", "none"]

    compute_type: str
    """Type of the values that training computed with: bfloat16, float16 or float32."""

    block_size: int = NF4_BLOCK
    """Weights that share a scale, if the base was quantized."""

    double_quantization: bool = True
    """Whether the scales were quantized too."""

    tensors: dict[str, str] = field(default_factory=dict)
    """Name of each quantized weight in the base -> sha256 of its dequantized values: rows one after
    another in compute_type, little-endian.
    """

    def __str__(self) -> str:
        if self.quantization == "none":
            return f"its own weights, in {self.compute_type}"
        scales = "quantized too" if self.double_quantization else "as they are"
        return f"NF4 values, in {self.compute_type} (blocks of {self.block_size}, scales {scales})"


def write_training_base(folder: Path, base: TrainingBase) -> None:
    """Writes base.json into an adapter's folder."""
    write_json(folder / BASE_FILE, asdict(base))


def read_training_base(folder: Path) -> TrainingBase | None:
    """Returns what an adapter's base.json says, or None if it has none.

    Raises WorkError if the file cannot be understood.
    """
    file = folder / BASE_FILE
    if not file.is_file():
        return None
    try:
        return TrainingBase(**read_json(file))
    except (OSError, ValueError, TypeError) as error:
        raise WorkError(f"{file} does not say what the adapter was trained on: {error}.") from None
