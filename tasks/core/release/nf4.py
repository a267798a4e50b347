"""Weights as NF4 holds them, in the very values that bitsandbytes computes with.

NF4 (https://arxiv.org/abs/2305.14314) gives each block of weights a scale, and each weight one of
16 values; double quantization rounds the scales to 8 bits, after it took their mean off. Works on
the CPU. Importing this module imports PyTorch.
"""

import math
from collections.abc import Callable, Iterator
from functools import cache, partial

import numpy as np
import torch
from bitsandbytes import functional
from numpy.typing import NDArray
from torch import Tensor

from tasks.core.records.training_base import TrainingBase
from tasks.core.release.base_weights import Weight
from tasks.core.release.weights import ITEM_BYTES, encode, read_bytes

Read = Callable[[int, int], memoryview]
"""Computes the bytes of a tensor from one position to another."""

_TYPES = {
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "F32": torch.float32,
    "U8": torch.uint8,
}
_SCALES_BLOCK = 256  # scales that share a scale of their own, fixed in bitsandbytes
_CHUNK = 1 << 18  # weights whose scales are made at a time: a multiple of every block size
_FAR = 640  # in bfloat16's numbering, five powers of two below a block's scale: all round to 0
_ONE = 0x3F80  # 1.0 in bfloat16
_NEIGHBOURS = 16  # float32 numbers on either side of the mean that another machine may have got


def quantized(weight: Weight, trained: TrainingBase) -> Iterator[Read]:
    """Yields the values of a 16-bit weight after quantization to NF4, in training's compute type:
    a function that computes those from one byte to another.

    With double quantization there are several candidates, kospilot's own first: the values depend
    on the mean of the scales, whose last bits depend on the device and the threads that sum it if
    another program trained.
    """
    scales = _block_scales(weight, trained)
    if not trained.double_quantization:
        yield from _readers(weight, trained, scales)
        return
    for mean in _means(scales):
        codes, state = functional.quantize_blockwise(scales - mean, blocksize=_SCALES_BLOCK)
        rounded = functional.dequantize_blockwise(codes, state) + mean
        yield from _readers(weight, trained, rounded)


def _readers(weight: Weight, trained: TrainingBase, scales: Tensor) -> Iterator[Read]:
    """Yields how values are computed with these scales.

    bitsandbytes' kernel for processors confuses blocks of rows that are no multiple of a block, and
    that is what a training on a processor saw.
    """
    if weight.shape[-1] % trained.block_size:
        tensor = _computed(weight, trained, 0, _elements(weight)).reshape(weight.shape)
        values = _dequantized(tensor, scales, trained.block_size)
        yield lambda begin, end: values[begin:end]
    yield partial(_values, weight, trained, scales)


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


def _block_scales(weight: Weight, trained: TrainingBase) -> Tensor:
    """The largest magnitude of each block, in float32."""
    scales = []
    for first in range(0, _elements(weight), _CHUNK):
        tensor = _computed(weight, trained, first, min(first + _CHUNK, _elements(weight)))
        scales.append(_scales_of(tensor, trained.block_size))
    return torch.cat(scales)


def _scales_of(tensor: Tensor, block: int) -> Tensor:
    if tensor.dtype == torch.bfloat16 and len(tensor) % block == 0:
        bits = tensor.view(torch.uint16).numpy().reshape(-1, block)
        return torch.from_numpy(_as_float((bits & 0x7FFF).max(axis=1)))
    padded = torch.nn.functional.pad(tensor, (0, -len(tensor) % block))
    return padded.reshape(-1, block).abs().amax(dim=1).float()


def _elements(weight: Weight) -> int:
    return math.prod(weight.shape)


def _computed(weight: Weight, trained: TrainingBase, first: int, last: int) -> Tensor:
    """A weight's elements from `first` to `last`, in training's compute type."""
    size = ITEM_BYTES[weight.dtype]
    stored = _tensor(read_bytes(weight.shard, weight.name, first * size, last * size), weight.dtype)
    return stored.to(getattr(torch, trained.compute_type))


def _values(
    weight: Weight, trained: TrainingBase, scales: Tensor, begin: int, end: int
) -> memoryview:
    """The bytes from `begin` to `end` of a weight's values; whole blocks are computed for them."""
    size = getattr(torch, trained.compute_type).itemsize
    block = trained.block_size
    blocks = slice(begin // size // block, -(-end // size // block))
    first = blocks.start * block
    tensor = _computed(weight, trained, first, min(blocks.stop * block, _elements(weight)))
    values = _quantize(tensor, scales[blocks], block)
    return values[begin - first * size : end - first * size]


def _quantize(tensor: Tensor, scales: Tensor, block: int) -> memoryview:
    """The values of a flat tensor of some blocks, the last of which may be short."""
    if tensor.dtype == torch.bfloat16 and len(tensor) % block == 0:
        found = _look_up(tensor.view(torch.uint16).numpy().reshape(-1, block), scales.numpy())
        if found is not None:
            return found
    return _dequantized(tensor, scales, block)


def _dequantized(tensor: Tensor, scales: Tensor, block: int) -> memoryview:
    """bitsandbytes' own values of a tensor, with these scales."""
    codes, _ = torch.ops.bitsandbytes.quantize_4bit(tensor, block, "nf4", torch.uint8)
    state = functional.QuantState(
        absmax=scales, shape=tensor.shape, dtype=tensor.dtype, blocksize=block, quant_type="nf4"
    )
    return _bytes_of(functional.dequantize_4bit(codes, state))


def _look_up(blocks: NDArray[np.uint16], scales: NDArray[np.float32]) -> memoryview | None:
    """The values of bfloat16 blocks, given as bits; None if the largest of one is so large or small
    that its inverse is not exact.

    bitsandbytes compares each weight over its block's largest with 15 bounds, which takes minutes
    for a 7B. A code depends on little: the mantissa of the largest, the sign of the weight, and how
    many numbers lie between the two. bitsandbytes itself fills a table with these cases.
    """
    magnitudes = blocks & 0x7FFF
    tops = magnitudes.max(axis=1)
    exponents = tops[tops > 0] >> 7
    if len(exponents) and (exponents.min() < 32 or exponents.max() > 222):
        return None
    np.subtract(tops[:, None], magnitudes, out=magnitudes)
    np.minimum(magnitudes, _FAR, out=magnitudes)
    magnitudes *= 2
    magnitudes += blocks >> 15
    cases = magnitudes.astype(np.intp)
    cases += (tops & 0x7F).astype(np.intp)[:, None] * (2 * _FAR + 2)
    values = _table().take(cases)
    values[tops == 0] = 0
    values *= scales[:, None]
    return encode(values, "BF16")


def _as_float(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 numbers, given as bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


@cache
def _table() -> NDArray[np.float32]:
    """What the code of each case stands for, where the scale is 1: by the mantissa of the block's
    largest, numbers in between, and sign.
    """
    tops = np.arange(_ONE, _ONE + 128)[:, None]
    magnitudes = tops - np.arange(_FAR + 1)
    cases = np.stack([magnitudes, magnitudes | 0x8000], axis=-1).reshape(128, -1)
    # each case in a block of its own, whose scale stands beside it
    blocks = np.zeros((cases.size, 32), np.uint16)
    blocks[:, 0] = cases.reshape(-1)
    blocks[:, 1] = np.repeat(tops, cases.shape[1])
    weights = torch.from_numpy(blocks).view(torch.bfloat16)
    packed, _ = torch.ops.bitsandbytes.quantize_4bit(weights, 32, "nf4", torch.uint8)
    codes = packed.numpy().reshape(len(blocks), 16)[:, 0] >> 4
    return functional.get_4bit_type("nf4", device="cpu").numpy().astype(np.float32)[codes]


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
