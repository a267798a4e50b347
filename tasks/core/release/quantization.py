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
from tasks.core.release.gguf_file import GgufFile, Tensor

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
    return round(weights * (bits.narrow if _narrow(_matrices(whole)) else bits.wide) / 8)


def _matrices(file: GgufFile) -> list[Tensor]:
    return [tensor for tensor in file.tensors if len(tensor.shape) > 1]


def _narrow(matrices: list[Tensor]) -> list[Tensor]:
    """Those whose rows are no multiple of a K type's block."""
    return [tensor for tensor in matrices if tensor.shape[0] % _K_BLOCK]


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


def describe_types(contents: Contents, file: GgufFile) -> str:
    """A quantized file's tensors, e.g. "166 tensors Q5_0, 61 F32, 16 Q4_K; 181 of 211 matrices have
    rows of 576, no multiple of 256, and so a type with smaller blocks and more bits".
    """
    first, *others = contents.tensor_types.items()
    types = [f"{first[1]} tensors {first[0]}", *(f"{count} {kind}" for kind, count in others)]
    matrices = _matrices(file)
    narrow = _narrow(matrices)
    if not narrow or first[0] in ("F16", "Q8_0"):
        return ", ".join(types)
    widths = " or ".join(str(width) for width in sorted({each.shape[0] for each in narrow}))
    return (
        f"{', '.join(types)}; {len(narrow)} of {len(matrices)} matrices have rows of {widths}, no"
        f" multiple of {_K_BLOCK}, and so a type with smaller blocks and more bits"
    )


def block_of(kind: str) -> int:
    """How many weights share a scale in a type, e.g. 256 in Q4_K: rows must be multiples of it."""
    block: int = GGML_QUANT_SIZES[GGMLQuantizationType[kind]][0]
    return block
