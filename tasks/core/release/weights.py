"""Single tensors of a .safetensors file as float32 NumPy arrays, without a training library and
without loading the whole file.

A file holds the header's length in 8 bytes (little-endian), a JSON header
{name: {dtype, shape, data_offsets}}, and then the bytes of the tensors. NumPy has no bfloat16: it
is the upper half of a float32, rounded to nearest even as PyTorch does.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import WorkError

DTYPES = ("BF16", "F16", "F32")
"""The types that can be read as float32 and written again."""

_METADATA = "__metadata__"


@dataclass(frozen=True)
class Entry:
    """One tensor of a file; `begin` and `end` count its bytes from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A file's table of contents, in the order of the tensors' bytes."""

    path: Path
    raw: bytes  # as it stands in the file, length included
    entries: dict[str, Entry]


def read_header(path: Path) -> Header:
    """Returns a file's header.

    Raises WorkError if the file is not there, is no .safetensors, or is shorter than its header
    says.
    """
    try:
        with path.open("rb") as file:
            length = file.read(8)
            text = file.read(struct.unpack("<Q", length)[0])
        entries = _parse(text)
    except (OSError, struct.error, OverflowError, ValueError, KeyError, TypeError) as error:
        raise WorkError(f"{path} cannot be read as .safetensors: {error}.") from None
    header = Header(path, length + text, entries)
    expected = len(header.raw) + max((entry.end for entry in entries.values()), default=0)
    size = path.stat().st_size
    if size < expected:
        raise WorkError(f"{path} is cut: {size} of {expected} bytes are there.")
    return header


def _parse(text: bytes) -> dict[str, Entry]:
    """The tensors of a JSON header, in the order of their bytes."""
    entries = {}
    for name, tensor in json.loads(text).items():
        if name != _METADATA:
            begin, end = tensor["data_offsets"]
            entries[name] = Entry(tensor["dtype"], tuple(tensor["shape"]), begin, end)
    return dict(sorted(entries.items(), key=lambda item: item[1].begin))


def read_bytes(header: Header, name: str) -> bytes:
    """Returns a tensor's bytes as they stand in the file."""
    entry = header.entries[name]
    with header.path.open("rb") as file:
        file.seek(len(header.raw) + entry.begin)
        return file.read(entry.end - entry.begin)


def read_array(header: Header, name: str) -> NDArray[np.float32]:
    """Returns a tensor as float32 in its own shape.

    Raises WorkError if it holds integers, as quantized weights do.
    """
    entry = header.entries[name]
    if entry.dtype not in DTYPES:
        raise WorkError(
            f"{name} in {header.path} is {entry.dtype}; only {', '.join(DTYPES)} weights merge."
            " Take the model's 16-bit version."
        )
    data = read_bytes(header, name)
    if entry.dtype == "BF16":
        upper_halves = np.frombuffer(data, "<u2").astype("<u4")
        array = (upper_halves << 16).view("<f4")
    elif entry.dtype == "F16":
        array = np.frombuffer(data, "<f2").astype("<f4")
    else:
        array = np.frombuffer(data, "<f4").astype("<f4")
    return array.reshape(entry.shape)


def to_bytes(array: NDArray[np.float32], dtype: str) -> bytes:
    """Returns a float32 array's bytes in one of DTYPES, rounded to nearest even."""
    if dtype == "F32":
        return array.astype("<f4").tobytes()
    if dtype == "F16":
        return array.astype("<f2").tobytes()
    bits = array.astype("<f4").view("<u4")
    lowest_kept = (bits >> 16) & 1
    return ((bits + (lowest_kept + 0x7FFF)) >> 16).astype("<u2").tobytes()
