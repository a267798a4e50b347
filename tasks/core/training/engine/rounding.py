"""PEFT's own forward pass, rounded where the engine rounds: what the engine is checked against.

PEFT rounds a base layer's product to the compute type and then adds the adapter's. An update smaller than half of the
product's last bit is lost there, every time: in bf16 a young adapter seems to do next to nothing, on GPU and CPU alike.
The engine sums both in float32 and rounds the sum.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional


@contextmanager
def rounded_once(policy: PeftModel) -> Iterator[None]:
    """Inside, PEFT's layers sum the base's product and the adapter's in float32 and round the sum."""
    layers = [layer for layer in policy.modules() if isinstance(layer, LoraLayer)]
    hooks = []
    try:
        for layer in layers:
            layer.base_layer.forward = partial(_exactly, layer.base_layer)
            hooks.append(layer.register_forward_hook(_rounded))
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer in layers:
            vars(layer.base_layer).pop("forward", None)


def _exactly(base: nn.Linear, x: Tensor) -> Tensor:
    weight = base.weight
    if isinstance(base, Linear4bit):
        weight = dequantize_4bit(weight.data, weight.quant_state).to(base.compute_dtype)
    return functional.linear(x.float(), weight.float(), None if base.bias is None else base.bias.float())


def _rounded(layer: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
    return y.to(inputs[0].dtype)
