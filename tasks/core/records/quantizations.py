"""The quantizations that a release can have: what each costs in bits, and what it is for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class BitsAWeight:
    """Bits a weight over all tensors of a model."""

    wide: float
    """If all rows are multiples of 256, as a 7B model's are."""

    narrow: float
    """If they are not: such rows fall back to types with more bits. Measured on SmolLM2-135M."""


# wide: the sizes that llama-quantize's help gives for Llama-3-8B, over its 8.03 billion weights
BITS = {
    "F16": BitsAWeight(16.0, 16.0),
    "Q8_0": BitsAWeight(8.5, 8.51),
    "Q5_K_M": BitsAWeight(5.7, 6.56),
    "Q4_K_M": BitsAWeight(4.9, 6.17),
    "Q4_K_S": BitsAWeight(4.7, 5.96),
    "Q3_K_M": BitsAWeight(4.0, 5.46),
    "Q2_K": BitsAWeight(3.2, 5.14),
}
"""By llama.cpp's names, the largest first."""


def share_of_base(quantization: str) -> float:
    """A quantized file's size at most, in sizes of the 16-bit base model."""
    return BITS[quantization].narrow / 16
