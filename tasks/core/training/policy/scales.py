"""NF4's rounded scales, made on the CPU whatever device holds the base.

NF4 gives each block of weights a scale. Double quantization takes the scales' mean off them and
rounds what is left to 8 bits. A GPU sums and divides in an order of its own: on an H200, scales of
199 of 214 tensors came out otherwise than on a CPU, and with them 0.06 % of the weights, by up to
8 % each. Made in one place, the values are the same on every machine, and an adapter can be merged
into them anywhere. Everything else of NF4 is exact on every device.
"""

from pathlib import Path

import torch
from bitsandbytes.functional import quantize_blockwise
from bitsandbytes.nn.modules import Linear4bit, Params4bit
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

_BLOCK = 256  # scales that share a scale of their own, fixed in bitsandbytes


def make_scales_on_cpu(model: PreTrainedModel, base: Path) -> None:
    """Gives every NF4 layer whose scales are rounded the scales that a CPU makes.

    base: the folder of the 16-bit weights that the layers were quantized from.
    """
    files = _files_of_tensors(base)
    for name, layer in model.named_modules():
        if not isinstance(layer, Linear4bit):
            continue
        assert isinstance(layer.weight, Params4bit)
        state = layer.weight.quant_state
        tensor = f"{name}.weight"
        if not state.nested or tensor not in files:
            continue
        with safe_open(files[tensor], "pt") as file:
            weight = file.get_tensor(tensor).to(state.dtype)
        device = layer.weight.device
        scales = block_scales(weight, state.blocksize)
        mean = exact_mean(scales)
        codes, rounding = quantize_blockwise(scales - mean, blocksize=_BLOCK)
        rounding.to(device)
        state.absmax, state.state2, state.offset = codes.to(device), rounding, mean.to(device)


def block_scales(weight: Tensor, block: int) -> Tensor:
    """Returns the largest magnitude of each block of weights, in float32; the last may be short."""
    magnitudes = weight.reshape(-1).abs()
    short = -len(magnitudes) % block
    padded = torch.nn.functional.pad(magnitudes, (0, short))
    return padded.reshape(-1, block).amax(dim=1).float()


def exact_mean(scales: Tensor) -> Tensor:
    """Returns the mean, whose last bit does not depend on the order of the sum."""
    return scales.double().mean().float()


def _files_of_tensors(base: Path) -> dict[str, Path]:
    files = {}
    for path in sorted(base.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            for name in file.keys():  # noqa: SIM118  it is no mapping
                files[name] = path
    return files
