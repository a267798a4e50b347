"""The arithmetic of merging: W + scale · B · A in float32, rounded once, some rows at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import WorkError
from tasks.core.release.adapter import Adapter, Update
from tasks.core.release.training_values import Values
from tasks.core.release.weights import ITEM_BYTES, decode, encode, read_array

_BLOCK = 1 << 18  # values at a time: those of a few steps stay in a processor's cache
_TILE = 1 << 18  # multiplications, up to which OpenBLAS takes one thread
_TILE_ROWS = 4
_COPIED = 1 << 20  # bytes at a time
_F16_MAX = float(np.finfo(np.float16).max)

Write = Callable[[int, bytes | memoryview], None]
"""Writes bytes at a position of a tensor."""


@dataclass(frozen=True)
class Folding:
    """What becomes of a tensor's values on their way into the merged model."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    cast: str | None  # the type that training held the values in, if they have to be rounded to it
    delta: "Delta | None"


@dataclass(frozen=True)
class Delta:
    """An update with its matrices: scale · left · right, (rows, columns)."""

    left: NDArray[np.float32]
    right: NDArray[np.float32]
    scale: float
    magnitude: NDArray[np.float32] | None

    def add_to(self, block: NDArray[np.float32], first: int) -> NDArray[np.float32]:
        """Returns rows of a weight, from the row `first`, with their update.

        DoRA (https://arxiv.org/abs/2402.09353) then gives each row its length.
        """
        rows = slice(first, first + len(block))
        update = _product(self.left[rows], self.right)
        update *= self.scale
        update += block
        if self.magnitude is None:
            return update
        lengths = np.linalg.norm(update, axis=1)
        return update * (self.magnitude[rows] / lengths)[:, None]


def _product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """left · right in tiles so small that OpenBLAS does each on the calling thread.

    A merge has a thread for each tensor; OpenBLAS's own would wait for one another at full load.
    """
    rank, columns = right.shape
    tiles = -(-len(left) // _TILE_ROWS)
    padded = np.zeros((tiles * _TILE_ROWS, rank), np.float32)
    padded[: len(left)] = left
    tiled = padded.reshape(tiles, _TILE_ROWS, rank)
    product = np.empty((tiles, _TILE_ROWS, columns), np.float32)
    width = max(1, _TILE // (_TILE_ROWS * rank))
    for column in range(0, columns, width):
        part = slice(column, column + width)
        np.matmul(tiled, right[:, part], out=product[:, :, part])
    return product.reshape(-1, columns)[: len(left)]


def load_delta(update: Update | None, adapter: Adapter | None) -> Delta | None:
    """Returns an update with its matrices read."""
    if update is None or adapter is None:
        return None
    left = read_array(adapter.tensors, update.left)
    if update.right is None:
        return Delta(left.reshape(-1, 1), np.ones((1, 1), np.float32), update.scale, None)
    right = read_array(adapter.tensors, update.right)
    magnitude = None
    if update.magnitude:
        magnitude = read_array(adapter.tensors, update.magnitude).reshape(-1)
    if update.transposed:
        return Delta(left.T, right.T, update.scale, magnitude)
    return Delta(left, right, update.scale, magnitude)


def fold(values: Values, folding: Folding, write: Write) -> None:
    """Writes a tensor of the merged model.

    Raises WorkError if a sum is beyond what the tensor's type can hold.
    """
    rows, columns = _as_matrix(folding.shape)
    step = max(1, _BLOCK // columns)
    width_in = columns * ITEM_BYTES[values.dtype]
    width_out = columns * ITEM_BYTES[folding.dtype]

    for first in range(0, rows, step):
        last = min(first + step, rows)
        data = values.read(first * width_in, last * width_in)
        block = decode(data, values.dtype).reshape(last - first, columns)
        if folding.cast:
            block = decode(encode(block, folding.cast), folding.cast).reshape(block.shape)
        if folding.delta:
            block = folding.delta.add_to(block, first)
        _check_range(block, folding)
        write(first * width_out, encode(block, folding.dtype))


def copy(values: Values, size: int, write: Write) -> None:
    """Writes a tensor of the merged model that is the base's, byte for byte."""
    for begin in range(0, size, _COPIED):
        write(begin, values.read(begin, min(begin + _COPIED, size)))


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a tensor; a bias is a column."""
    rows = shape[0] if shape else 1
    columns = int(np.prod(shape[1:], dtype=np.int64))
    return rows, columns


def _check_range(block: NDArray[np.float32], folding: Folding) -> None:
    if folding.dtype != "F16":
        return
    largest = float(np.abs(block).max(initial=0))
    if not largest < _F16_MAX:
        raise WorkError(
            f"{folding.name} with its adapter has {largest:g}, and F16, in which a GGUF is made,"
            " holds less than 65,504: take another base, or train at a lower learning rate."
        )
