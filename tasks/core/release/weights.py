"""Single tensors of a .safetensors file as float32 NumPy arrays, without loading the file or a
training library.

The format: 8 bytes header length (little-endian), a JSON header {name: {dtype, shape,
data_offsets}}, then the bytes. NumPy has no bfloat16: it is the upper half of a float32, rounded to
nearest even as PyTorch does.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.core.errors import WorkError

DTYPES = ("BF16", "F16", "F32")


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: where its bytes are, counted from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """A file's table of contents, in the order of the bytes."""

    path: Path
    raw: bytes  # as it stands in the file, length included
    entries: dict[str, Entry]


def read_header(path: Path) -> Header:
    """Raises WorkError if the file is not there, is no .safetensors, or is shorter than its header
    says.
    """
    try:
        with path.open("rb") as file:
            length = file.read(8)
            text = file.read(struct.unpack("<Q", length)[0])
        table = {name: entry for name, entry in json.loads(text).items() if name != "__metadata__"}
        entries = {
            name: Entry(e["dtype"], tuple(e["shape"]), *e["data_offsets"])
            for name, e in table.items()
        }
    except (OSError, struct.error, OverflowError, ValueError, KeyError, TypeError) as error:
        raise WorkError(f"{path} cannot be read as .safetensors: {error}.") from None
    ordered = dict(sorted(entries.items(), key=lambda item: item[1].begin))
    header = Header(path, length + text, ordered)
    expected = len(header.raw) + max((entry.end for entry in entries.values()), default=0)
    if path.stat().st_size < expected:
        raise WorkError(f"{path} is cut: {path.stat().st_size} of {expected} bytes are there.")
    return header


def read_bytes(header: Header, name: str) -> bytes:
    entry = header.entries[name]
    with header.path.open("rb") as file:
        file.seek(len(header.raw) + entry.begin)
        return file.read(entry.end - entry.begin)


def read_array(header: Header, name: str) -> np.ndarray:
    """A tensor as float32. Raises WorkError for integers: quantized weights."""
    entry = header.entries[name]
    if entry.dtype not in DTYPES:
        raise WorkError(
            f"{name} in {header.path} is {entry.dtype}; only {', '.join(DTYPES)} weights merge."
            " Take the model's 16-bit version."
        )
    data = read_bytes(header, name)
    if entry.dtype == "BF16":
        array = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    else:
        array = np.frombuffer(data, "<f2" if entry.dtype == "F16" else "<f4").astype("<f4")
    return array.reshape(entry.shape)


def to_bytes(array: np.ndarray, dtype: str) -> bytes:
    """A float32 array in a file's dtype, rounded to nearest even."""
    if dtype != "BF16":
        return array.astype("<f2" if dtype == "F16" else "<f4").tobytes()
    bits = array.astype("<f4").view("<u4")
    return ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype("<u2").tobytes()
