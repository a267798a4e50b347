"""PEFT's own forward pass, rounded as the engine rounds and not rounded at all.

The engine is checked against both.

PEFT rounds a base layer's product to the compute type and then adds the adapter's. An update
smaller than half of the product's last bit is lost there, every time: in bf16 a young adapter seems
to do next to nothing, on GPU and CPU alike. The engine sums both in float32 and rounds the sum.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from tasks.core.training.policy.quantized import values_of
from tasks.core.training.rows.records import IGNORED, Conversation

_ROWS = 8192  # rows of a weight in float32 at a time: a whole large head would not fit a small card


@contextmanager
def rounded_once(policy: PeftModel) -> Iterator[None]:
    """Inside, PEFT's layers add base's and adapter's product in float32 and round the sum."""
    base_layers = []
    hooks = []
    for layer in policy.modules():
        if isinstance(layer, LoraLayer):
            assert isinstance(layer.base_layer, nn.Linear)
            base_layers.append(layer.base_layer)
            hooks.append(layer.register_forward_hook(_round_output))
    try:
        with _exact_products(base_layers):
            yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def never_rounded(policy: PeftModel) -> Iterator[None]:
    """Inside, the policy computes in float32 throughout, from the very weights it has."""
    base = policy.get_base_model()
    assert isinstance(base, PreTrainedModel)
    rounding = []
    for layer in base.modules():
        if isinstance(layer, nn.Linear) and layer.weight.dtype != torch.float32:
            rounding.append(layer)
    hook = base.get_input_embeddings().register_forward_hook(_widen_output)
    try:
        with _exact_products(rounding):
            yield
    finally:
        hook.remove()


@contextmanager
def _exact_products(layers: list[nn.Linear]) -> Iterator[None]:
    """Inside, the layers' products are float32."""
    replaced = [vars(layer).get("forward") for layer in layers]
    for layer in layers:
        vars(layer)["forward"] = partial(_exact_product, layer)
    try:
        yield
    finally:
        for layer, forward in zip(layers, replaced, strict=True):
            del vars(layer)["forward"]
            if forward is not None:
                vars(layer)["forward"] = forward


def _exact_product(layer: nn.Linear, x: Tensor) -> Tensor:
    parts = values_of(layer).split(_ROWS)
    product = torch.cat([functional.linear(x.float(), part.float()) for part in parts], dim=-1)
    if layer.bias is None:
        return product
    return product + layer.bias.float()


def _round_output(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.to(inputs[0].dtype)


def _widen_output(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.float()


def log_probs_alone(policy: PeftModel, answer: Conversation) -> Tensor:
    """Returns the log-probs of a sequence's trained tokens by plain logits: nats, float32, (n,)."""
    before = np.flatnonzero(answer.labels[1:] != IGNORED).tolist()
    targets = answer.labels[1:][before].tolist()
    ids = torch.tensor([answer.input_ids.tolist()], device=policy.device)
    logits = policy(input_ids=ids, use_cache=False).logits[0, before]
    log_probs = logits.float().log_softmax(-1)
    return log_probs[range(len(targets)), targets]
