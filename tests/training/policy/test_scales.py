"""NF4's values do not depend on the device that quantized the base."""

import torch
from bitsandbytes.nn.modules import Linear4bit

from tasks.core.settings.tree import Training
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.policy.loading import _load_base, load_policy
from tasks.core.training.policy.quantized import _digest, describe_base, values_of
from tasks.core.training.policy.scales import block_scales, exact_mean, make_scales_on_cpu
from tests.training.conftest import TRAINING


def test_other_scales_are_replaced(base):
    """As a GPU makes them: some codes are off by one, and the mean is in its last bit."""
    plain = Training(**TRAINING)
    machine = Machine("cpu", torch.bfloat16, "")
    wanted = describe_base(load_policy(base, None, plain, machine, nf4=True), torch.bfloat16)
    model = _load_base(base, plain, machine)
    for layer in model.modules():
        if isinstance(layer, Linear4bit):
            state = layer.weight.quant_state
            state.absmax = state.absmax ^ 1
            state.offset = torch.nextafter(state.offset, torch.tensor(torch.inf))
    assert digests(model).keys() == wanted.tensors.keys()
    assert not digests(model).items() & wanted.tensors.items()
    make_scales_on_cpu(model, base)
    assert digests(model) == wanted.tensors


def digests(model):
    layers = [each for each in model.named_modules() if isinstance(each[1], Linear4bit)]
    return {f"{name}.weight": _digest(values_of(layer)) for name, layer in layers}


def test_the_last_block_may_be_short():
    assert block_scales(torch.tensor([1.0, -2.0, 3.0]), 2).tolist() == [2.0, 3.0]


def test_the_mean_does_not_depend_on_the_order_of_its_terms():
    scales = torch.rand(100_003)
    assert exact_mean(scales) == exact_mean(scales.flip(0))
