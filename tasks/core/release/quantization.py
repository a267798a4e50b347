"""Which quantizations there are, and what their files hold: bits a weight, and the tensors' types.

A quantization names the types that llama.cpp gives to a model's tensors; K types have blocks of 256
weights. A tensor whose rows are no multiple of 256 falls back to a type with blocks of 32, which
has more bits: a file's real bits depend on the model.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from tasks.core.records.quantizations import BITS
from tasks.core.release.gguf_file import GgufFile

_K_BLOCK = 256
F16 = "F16"


@dataclass(frozen=True)
class Quantization:
    """How a model is quantized."""

    name: str
    """llama.cpp's name, e.g. Q4_K_M; F16 leaves the model as it is."""

    imatrix: Path | None = None
    """The file that says which input columns matter, if there is one."""

    tensor_types: dict[str, str] = field(default_factory=dict)
    """Tensors that get a type of their own: ffn_down or blk.3.ffn_down -> q6_K."""


def expected_bytes(whole: GgufFile, quantization: str) -> int:
    """About how many bytes a quantized F16 file takes."""
    bits = BITS.get(quantization, BITS["F16"])
    weights = sum(tensor.elements for tensor in whole.tensors)
    return round(weights * (bits.narrow if _narrow_rows(whole) else bits.wide) / 8)


def _narrow_rows(whole: GgufFile) -> list[int]:
    """Lengths of the matrices' rows that are no multiple of a K type's block."""
    widths = {tensor.shape[0] for tensor in whole.tensors if len(tensor.shape) > 1}
    return sorted(width for width in widths if width % _K_BLOCK)


@dataclass(frozen=True)
class Contents:
    """What a quantized file holds."""

    bytes: int
    bits_per_weight: float
    tensor_types: dict[str, int]
    """Type -> number of tensors, those of vectors (F32) too; the most first."""


def read_contents(file: GgufFile) -> Contents:
    """Returns what a file's own table of contents says of its tensors."""
    weights = sum(tensor.elements for tensor in file.tensors)
    size = sum(tensor.size for tensor in file.tensors)
    types = Counter(tensor.type for tensor in file.tensors)
    bits = round(8 * size / weights, 2)
    return Contents(file.path.stat().st_size, bits, dict(types.most_common()))


def headline(quantization: str, contents: Contents) -> str:
    """A quantized file's size, e.g. "Q4_K_M: 105 MB, 6.17 bits a weight"."""
    size = f"{contents.bytes / 1e6:,.0f} MB"
    return f"{quantization}: {size}, {contents.bits_per_weight:.2f} bits a weight"


def describe_types(contents: Contents, whole: GgufFile, fallen: int) -> str:
    """A quantized file's tensors, e.g. "166 tensors Q5_0, 61 F32, 16 Q4_K: rows of 576 are no
    multiple of 256, so 181 of 211 matrices got a larger type".
    """
    first, *others = contents.tensor_types.items()
    types = [f"{first[1]} tensors {first[0]}", *(f"{count} {kind}" for kind, count in others)]
    if not fallen:
        return ", ".join(types)
    widths = ", ".join(str(width) for width in _narrow_rows(whole))
    matrices = sum(len(tensor.shape) > 1 for tensor in whole.tensors)
    return (
        f"{', '.join(types)}: rows of {widths} are no multiple of {_K_BLOCK}, so {fallen} of"
        f" {matrices} matrices got a larger type"
    )


def block_of(kind: str) -> int:
    """How many weights share a scale in a type, e.g. 256 in Q4_K: rows must be multiples of it."""
    block: int = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][0]
    return block
