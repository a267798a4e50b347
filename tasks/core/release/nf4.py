"""Weights as NF4 holds them, in the very values that bitsandbytes computes with.

NF4 (https://arxiv.org/abs/2305.14314) gives each block of weights a scale, and each weight one of
16 values; double quantization rounds the scales to 8 bits, after it took their mean off. Works on
the CPU. Importing this module imports PyTorch.
"""

from collections.abc import Iterator

import torch
from bitsandbytes import functional
from torch import Tensor

from tasks.core.records.training_base import TrainingBase
from tasks.core.release.base_weights import Weight
from tasks.core.release.weights import read_bytes

_TYPES = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
    "U8": torch.uint8,
}
_SCALES_BLOCK = 256  # scales that share a scale of their own, fixed in bitsandbytes
_CHUNK = 1 << 22  # weights that are quantized at a time: a multiple of every block size
_NEIGHBOURS = 16  # float32 numbers on either side of the mean that another machine may have got


def quantized(weight: Weight, trained: TrainingBase) -> Iterator[memoryview]:
    """Yields the values of a 16-bit weight after quantization to NF4, in training's compute type.

    With double quantization there are several candidates, this machine's own first. The mean of
    the scales depends in its last bits on the device and on the number of threads that sum it, and
    the values depend on the mean; all else is exact.
    """
    stored = _tensor(read_bytes(weight.shard, weight.name), weight.dtype)
    tensor = stored.reshape(weight.shape).to(getattr(torch, trained.compute_type))
    codes, scales = _codes_and_scales(tensor, trained.block_size)
    state = functional.QuantState(
        absmax=scales,
        shape=tensor.shape,
        dtype=tensor.dtype,
        blocksize=trained.block_size,
        quant_type="nf4",
    )
    if not trained.double_quantization:
        yield _bytes_of(functional.dequantize_4bit(codes, state))
        return
    state.nested = True
    for mean in _means(scales):
        state.offset = mean
        state.absmax, state.state2 = functional.quantize_blockwise(
            scales - mean, blocksize=_SCALES_BLOCK
        )
        yield _bytes_of(functional.dequantize_4bit(codes, state))


def unpacked(weight: Weight) -> memoryview:
    """Returns the values of a weight that came as NF4, in the type that it names."""
    prefix = f"{weight.name}."
    beside = {}
    for name, entry in weight.shard.entries.items():
        if name.startswith(prefix):
            tensor = _tensor(read_bytes(weight.shard, name), entry.dtype)
            beside[name.removeprefix(prefix)] = tensor.reshape(entry.shape)
    state = functional.QuantState.from_dict(beside, torch.device("cpu"))
    codes = _tensor(read_bytes(weight.shard, weight.name), "U8").reshape(-1, 1)
    return _bytes_of(functional.dequantize_4bit(codes, state))


def cast(values: memoryview, dtype: str, compute_type: str) -> memoryview:
    """Returns values of a safetensors type as those of a PyTorch type."""
    return _bytes_of(_tensor(values, dtype).to(getattr(torch, compute_type)))


def _codes_and_scales(tensor: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """The packed codes and the blocks' scales, made a part of the tensor at a time: bitsandbytes
    needs 20 bytes a weight meanwhile.
    """
    codes = []
    scales = []
    for part in tensor.reshape(-1).split(_CHUNK):
        packed, of_part = torch.ops.bitsandbytes.quantize_4bit(part, block, "nf4", torch.uint8)
        codes.append(packed)
        scales.append(of_part)
    return torch.cat(codes), torch.cat(scales)


def _means(scales: Tensor) -> Iterator[Tensor]:
    """Yields the mean of the scales, then its neighbours among float32 numbers, nearest first."""
    mean = scales.mean()
    yield mean
    upper = lower = mean
    for _ in range(_NEIGHBOURS):
        upper = torch.nextafter(upper, torch.tensor(torch.inf))
        lower = torch.nextafter(lower, torch.tensor(-torch.inf))
        yield upper
        yield lower


def _tensor(data: memoryview, dtype: str) -> Tensor:
    return torch.frombuffer(data, dtype=_TYPES[dtype])


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor's numbers, in place."""
    return memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
