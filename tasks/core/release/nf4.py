"""Weights as NF4 holds them, in the very values that bitsandbytes computes with.

NF4 (https://arxiv.org/abs/2305.14314) gives each block of weights a scale, and each weight one of
16 values; double quantization rounds the scales to 8 bits, after it took their mean off. Works on
the CPU. Importing this module imports PyTorch.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch
from bitsandbytes import functional
from numpy.typing import NDArray
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
_CHUNK = 1 << 22  # weights that bitsandbytes quantizes at a time: a multiple of every block size
_TABLE_CHUNK = 1 << 17  # weights that are looked up at a time, by each thread
_FAR = 640  # in bfloat16's numbering, five powers of two below a block's scale: all round to 0
_ONE = 0x3F80  # 1.0 in bfloat16
_ZERO = 7  # the code of 0.0
_NEIGHBOURS = 16  # float32 numbers on either side of the mean that another machine may have got


def quantized(weight: Weight, trained: TrainingBase) -> Iterator[memoryview]:
    """Yields the values of a 16-bit weight after quantization to NF4, in training's compute type.

    With double quantization there are several candidates, kospilot's own first: the values depend
    on the mean of the scales, whose last bits depend on the device and the threads that sum it if
    another program trained.
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
    """The packed codes and the blocks' scales, as bitsandbytes' quantize_4bit makes them."""
    flat = tensor.contiguous().reshape(-1)
    if tensor.dtype == torch.bfloat16 and len(flat) % block == 0:
        found = _look_up(flat.view(torch.uint16).numpy().reshape(-1, block))
        if found:
            return found
    codes = []
    scales = []
    for part in flat.split(_CHUNK):  # bitsandbytes needs 20 bytes a weight meanwhile
        packed, of_part = torch.ops.bitsandbytes.quantize_4bit(part, block, "nf4", torch.uint8)
        codes.append(packed)
        scales.append(of_part)
    return torch.cat(codes), torch.cat(scales)


def _look_up(blocks: NDArray[np.uint16]) -> tuple[Tensor, Tensor] | None:
    """The packed codes and the scales of bfloat16 blocks, given as bits; None if a scale is so
    large or small that its inverse is not exact.

    bitsandbytes compares each weight over its block's scale with 15 bounds, which takes minutes
    for a 7B. A code depends on little: the mantissa of the scale, the sign of the weight, and how
    many numbers lie between the two. bitsandbytes itself fills a table with these cases.
    """
    tops = np.empty(len(blocks), np.uint16)
    packed = np.empty((blocks.size // 2, 1), np.uint8)
    step = max(1, _TABLE_CHUNK // blocks.shape[1])

    def look_up(first: int) -> None:
        bits = blocks[first : first + step]
        magnitudes = bits & 0x7FFF
        top = magnitudes.max(axis=1)
        tops[first : first + step] = top
        np.subtract(top[:, None], magnitudes, out=magnitudes)
        cases = np.minimum(magnitudes, _FAR).astype(np.int64)
        cases *= 2
        cases += bits >> 15
        cases += (top & 0x7F).astype(np.int64)[:, None] * (2 * _FAR + 2)
        codes = _table().take(cases)
        codes[top == 0] = _ZERO
        pairs = codes.reshape(-1, 2)
        begin = first * blocks.shape[1] // 2
        packed[begin : begin + len(pairs), 0] = (pairs[:, 0] << 4) | pairs[:, 1]

    _table()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for _ in pool.map(look_up, range(0, len(blocks), step)):
            pass
    exponents = tops[tops > 0] >> 7
    if len(exponents) and (exponents.min() < 32 or exponents.max() > 222):
        return None
    scales = (tops.astype(np.uint32) << 16).view(np.float32)
    return torch.from_numpy(packed), torch.from_numpy(scales)


@cache
def _table() -> NDArray[np.uint8]:
    """The code of each case: by the scale's mantissa, numbers in between, and sign."""
    tops = np.arange(_ONE, _ONE + 128)[:, None]
    magnitudes = tops - np.arange(_FAR + 1)
    cases = np.stack([magnitudes, magnitudes | 0x8000], axis=-1).reshape(128, -1)
    # each case in a block of its own, whose scale stands beside it
    blocks = np.zeros((cases.size, 32), np.uint16)
    blocks[:, 0] = cases.reshape(-1)
    blocks[:, 1] = np.repeat(tops, cases.shape[1])
    weights = torch.from_numpy(blocks).view(torch.bfloat16)
    packed, _ = torch.ops.bitsandbytes.quantize_4bit(weights, 32, "nf4", torch.uint8)
    return packed.numpy().reshape(len(blocks), 16)[:, 0] >> 4


def _means(scales: Tensor) -> Iterator[Tensor]:
    """Yields the mean of the scales, then its neighbours among float32 numbers, nearest first."""
    mean = scales.double().mean().float()
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
