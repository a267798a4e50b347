"""PEFT's own forward pass rounded where the engine rounds, and not rounded at all: what the engine
is checked against.

PEFT rounds a base layer's product to the compute type and then adds the adapter's. An update
smaller than half of the product's last bit is lost there, every time: in bf16 a young adapter seems
to do next to nothing, on GPU and CPU alike. The engine sums both in float32 and rounds the sum.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional

_ROWS = (
    8192  # of a weight that are float32 at a time: all of a large head would not fit a small card
)


@contextmanager
def rounded_once(policy: PeftModel) -> Iterator[None]:
    """Inside, PEFT's layers sum the base's product and the adapter's in float32 and round the sum."""
    layers = [layer for layer in policy.modules() if isinstance(layer, LoraLayer)]
    hooks = [layer.register_forward_hook(_rounded) for layer in layers]
    with _exact([layer.base_layer for layer in layers], hooks):
        yield


@contextmanager
def never_rounded(policy: PeftModel) -> Iterator[None]:
    """Inside, the policy computes in float32 throughout, from the very weights it has."""
    base = policy.get_base_model()
    linear = [
        layer
        for layer in base.modules()
        if isinstance(layer, nn.Linear) and layer.weight.dtype != torch.float32
    ]
    hooks = [base.get_input_embeddings().register_forward_hook(lambda layer, inputs, x: x.float())]
    with _exact(linear, hooks):
        yield


@contextmanager
def _exact(layers: list[nn.Linear], hooks: list) -> Iterator[None]:
    """The layers' products in float32, until the hooks are removed."""
    before = [vars(layer).get("forward") for layer in layers]
    try:
        for layer in layers:
            layer.forward = partial(_exactly, layer)
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, forward in zip(layers, before, strict=True):
            del layer.forward
            if forward is not None:
                layer.forward = forward


def _exactly(base: nn.Linear, x: Tensor) -> Tensor:
    weight = base.weight
    if isinstance(base, Linear4bit):
        weight = dequantize_4bit(weight.data, weight.quant_state).to(base.compute_dtype)
    y = torch.cat(
        [functional.linear(x.float(), part.float()) for part in weight.split(_ROWS)], dim=-1
    )
    return y if base.bias is None else y + base.bias.float()


def _rounded(layer: nn.Module, inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
    return y.to(inputs[0].dtype)
