"""The values that a quantized base computes with: kept in place of NF4, and told in base.json.

Whatever holds them (NF4 as it is, or its values in the compute type), they are the same, and what
is written of them is too.
"""

import hashlib
from dataclasses import dataclass

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from tasks.core.errors import RequestError
from tasks.core.records.training_base import TrainingBase

# attributes by which transformers, PEFT and TRL take a quantized model for a plain one
_PLAIN = {"hf_quantizer": None, "is_quantized": False, "is_loaded_in_4bit": False}


@dataclass(frozen=True)
class _Scales:
    """How NF4 scales a tensor."""

    block_size: int
    double_quantization: bool


class DequantizedLinear(nn.Linear):
    """A plain layer that holds the very values that an NF4 layer computes with."""

    def __init__(self, layer: Linear4bit):
        has_bias = layer.bias is not None
        super().__init__(layer.in_features, layer.out_features, bias=has_bias, device="meta")
        self.weight = nn.Parameter(values_of(layer), requires_grad=False)
        self.bias = layer.bias
        self.scales = _scales_of(layer)


def values_of(layer: nn.Linear) -> Tensor:
    """Returns a layer's weight as the values that it computes with, (outputs, inputs)."""
    weight = layer.weight
    if isinstance(layer, Linear4bit):
        assert isinstance(weight, Params4bit)
        return dequantize_4bit(weight.data, weight.quant_state).to(layer.compute_dtype)
    return weight


def dequantize_layers(model: PreTrainedModel) -> None:
    """Replaces every 4-bit layer by a plain one that holds the very values NF4 computes with.

    bitsandbytes dequantizes a layer each time it is used, forward and backward; on a CPU that takes
    most of a step's time. Does nothing to a model that is not quantized.
    """
    layers = [(name, layer) for name, layer in model.named_modules() if _is_nf4(layer)]
    if not layers:
        return
    for name, layer in layers:
        model.set_submodule(name, DequantizedLinear(layer))
    del model.config.quantization_config
    for name, value in _PLAIN.items():
        setattr(model, name, value)


def describe_base(policy: PeftModel, compute: torch.dtype) -> TrainingBase:
    """Returns how the policy holds its base, and the digest of each quantized layer's values.

    A 7B has 13 GB of values, which take a processor some 10 to 30 s. Raises RequestError if the
    layers are not all scaled alike.
    """
    tensors = {}
    scales = set()
    for name, layer in policy.get_base_model().named_modules():
        if isinstance(layer, Linear4bit | DequantizedLinear):
            # PEFT keeps a layer that it adapts under this name
            tensors[f"{name.removesuffix('.base_layer')}.weight"] = _digest(values_of(layer))
            scales.add(_scales_of(layer))
    compute_type = str(compute).removeprefix("torch.")
    if not tensors:
        return TrainingBase("none", compute_type)
    if len(scales) > 1:
        raise RequestError(
            f"The base's NF4 layers are not all scaled alike: {', '.join(map(str, scales))}. Take"
            " another base."
        )
    (scale,) = scales
    return TrainingBase(
        "nf4",
        compute_type,
        scale.block_size,
        scale.double_quantization,
        dict(sorted(tensors.items())),
    )


def _is_nf4(layer: nn.Module) -> bool:
    return isinstance(layer, Linear4bit)


def _scales_of(layer: Linear4bit | DequantizedLinear) -> _Scales:
    if isinstance(layer, DequantizedLinear):
        return layer.scales
    assert isinstance(layer.weight, Params4bit)
    state = layer.weight.quant_state
    return _Scales(state.blocksize, state.nested)


def _digest(values: Tensor) -> str:
    """Returns the sha256 of a tensor's numbers, rows one after another, little-endian."""
    numbers = values.detach().contiguous().cpu().view(torch.uint8).numpy()
    return hashlib.sha256(numbers.data).hexdigest()
