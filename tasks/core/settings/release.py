"""The settings of a release: how the trained model is quantized, named and served."""

import re
from typing import Annotated, Literal

from pydantic import ValidationInfo, field_validator

from tasks.core.errors import did_you_mean
from tasks.core.settings.model_names import fault_of_release_name
from tasks.core.settings.section import BESIDE, LATER, Count, Section

QuantizationName = Literal["F16", "Q8_0", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K"]

_TENSORS = (
    "token_embd",
    "output",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_qkv",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)
"""The matrices of a decoder, as GGUF calls them; blk.3.ffn_down is that of the fourth layer."""

_TYPES = (
    *("F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0"),
    *("Q4_K", "Q4_1", "Q4_0", "IQ4_NL", "IQ4_XS", "Q3_K", "Q2_K"),
)
"""llama.cpp's types of single tensors that need no importance matrix."""

# Mean KL to F16 in nats, without and with the matrix: SmolLM2-135M after the demo's three stages,
# 12 held-out rows of both languages, 4,461 positions; in brackets the change ± its standard error.
#   Q5_K_M 0.0582 → 0.0209 (-0.0364 ± 0.0016)    Q3_K_M 0.122 → 0.077 (-0.043 ± 0.002)
#   Q4_K_M 0.0405 → 0.0278 (-0.0136 ± 0.0009)    Q2_K   0.409 → 0.269 (-0.141 ± 0.009)
#   Q4_K_S 0.0611 → 0.0338 (-0.0277 ± 0.0012)
# General rows, of which the matrix saw none, gain too: Q4_K_M 0.060 → 0.046, Q2_K 0.48 → 0.37.
_HELPED_BY_IMATRIX = ("Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K")


class Release(Section):
    name: str = "qwen2.5-kospi-ft"
    """Model name in Ollama; Stage 2 and 3 releases get -s2 and -s3."""
    stages: Annotated[list[Literal["stage1", "stage2", "stage3"]], BESIDE] = []
    """Earlier stages that are released too, each under its own name as soon as it is trained, e.g.
    release.stages=[stage1,stage2]; the newest stage that runs always is.
    """
    quantization: QuantizationName = "Q4_K_M"
    """llama.cpp quantization of the released GGUF. In bits a weight of a 7B: F16 16, Q8_0 8.5 (like
    F16), Q5_K_M 5.7, Q4_K_M 4.9 (the usual choice), Q4_K_S 4.7, Q3_K_M 4.0, Q2_K 3.2 (if nothing
    else fits). Small models have more: their rows are too narrow for K types.
    """
    also: Annotated[list[QuantizationName], LATER] = []
    """Further quantizations, made beside the released one: release.also=[Q8_0, F16]."""
    imatrix: Annotated[bool, LATER] = True
    """Quantize with an importance matrix, computed from the released stage's own rows: what matters
    more is rounded with more care. Q8_0 and F16 need none.
    """
    tensor_types: Annotated[dict[str, str], LATER] = {}
    """Types of single tensors, e.g. release.tensor_types={ffn_down: Q6_K, blk.0.attn_v: Q8_0}."""
    system_language: Literal["ko", "en", "none"] = "ko"
    """Language of the strategy prompt that is the model's SYSTEM; none gives it no prompt, for rows
    that bring their own; those of Stage 1 that do not are given a helpful assistant's.
    """
    num_ctx: Count = 8_192
    """Context length in tokens served by default."""
    num_predict: Count = 4_096
    """Most tokens of one reply."""
    keep_intermediates: Annotated[bool, BESIDE] = False
    """Keep merged shards and the F16 GGUF after the release passed; they are rebuilt on demand
    otherwise.
    """

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        fault = fault_of_release_name(name)
        if fault:
            raise ValueError(fault)
        return name

    @field_validator("also")
    @classmethod
    def _are_others(cls, also: list[str], others: ValidationInfo) -> list[str]:
        main = others.data.get("quantization")
        if main in also:
            raise ValueError(f"{main} is release.quantization already; name others only")
        if len(set(also)) < len(also):
            raise ValueError("each quantization is made once; name it once")
        return also

    @field_validator("tensor_types")
    @classmethod
    def _are_known(cls, types: dict[str, str], others: ValidationInfo) -> dict[str, str]:
        """The types in capitals, as a GGUF's table of contents has them."""
        if types and others.data.get("quantization") == "F16":
            raise ValueError("F16 is not quantized, so no tensor of it gets another type")
        known = {}
        for name, kind in types.items():
            _check_tensor(name)
            known[name] = _known_type(kind)
        return known

    def uses_imatrix(self, quantization: str) -> bool:
        """Whether a model is quantized so with an importance matrix."""
        return self.imatrix and quantization in _HELPED_BY_IMATRIX


def _check_tensor(name: str) -> None:
    matrix = re.sub(r"^blk\.\d+\.", "", name)
    if matrix not in _TENSORS:
        raise ValueError(
            f"there is no tensor {name}.{did_you_mean(matrix, _TENSORS)} Tensors are"
            f" {', '.join(_TENSORS)}, or one layer's, as blk.0.ffn_down"
        )


def _known_type(kind: str) -> str:
    if kind.upper() not in _TYPES:
        raise ValueError(
            f"there is no type {kind}.{did_you_mean(kind.upper(), _TYPES)} Types are"
            f" {', '.join(_TYPES)}"
        )
    return kind.upper()
