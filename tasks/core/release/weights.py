"""Single tensors of .safetensors files as float32 NumPy arrays, without a training library and
without loading a whole file.

A file holds the header's length in 8 bytes (little-endian), a JSON header
{name: {dtype, shape, data_offsets}}, and then the bytes of the tensors. NumPy has no bfloat16: it
is the upper half of a float32, rounded to nearest even as PyTorch does.
"""

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json

DTYPES = ("BF16", "F16", "F32")
"""The types that can be read as float32 and written again."""

ITEM_BYTES = {
    **{"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2},
    **{"I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1},
}
"""The bytes of one value of a type."""

_F16_NORMAL = 0x38800000  # 2**-14 in float32, the least normal number of F16
_F16_INFINITE = 0x477FF000  # 65,520 in float32, the least that F16 rounds to infinity
_F16_REBIAS = np.uint32(0xC8000FFF)
"""Takes 112 off the exponent of a float32, because exponents are biased by 127 there and by 15 in
F16, and adds just less than half of what is cut off. The 32-bit sum wraps around.
"""

_METADATA = "__metadata__"
_INDEX = "*.safetensors.index.json"
_ALIGNMENT = 8  # bytes; readers map the tensors after the header into memory


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
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes of the whole file."""
        return len(self.raw) + max((entry.end for entry in self.entries.values()), default=0)


def find_shards(folder: Path) -> list[Path]:
    """Returns a model's .safetensors files: those that its index names, or all if it has none.

    Raises WorkError if there are none, or if one that the index names is not there.
    """
    names = set()
    for index in folder.glob(_INDEX):
        names |= _names_in(index)
    files = sorted(folder / name for name in names) or sorted(folder.glob("*.safetensors"))
    if not files:
        raise WorkError(
            f"{folder} holds no *.safetensors: only models in that format can be merged."
        )
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WorkError(
            f"{folder} lacks {len(missing)} of its {len(files)} weight files, the first is"
            f" {missing[0]}: fetch the model again."
        )
    return files


def _names_in(index: Path) -> set[str]:
    """The files that an index names, none of which may lie outside its folder."""
    try:
        names = set(read_json(index)["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WorkError(f"{index} cannot be read as an index of weights: {error}.") from None
    for name in names:
        if Path(name).name != name:
            raise WorkError(f"{index} names {name!r}, which is not a file of its folder.")
    return names


def read_header(path: Path) -> Header:
    """Returns a file's header.

    Raises WorkError if the file is not there, is no .safetensors, or is shorter than its header
    says.
    """
    try:
        with path.open("rb") as file:
            length = file.read(8)
            text = file.read(struct.unpack("<Q", length)[0])
        tensors = json.loads(text)
        metadata = tensors.pop(_METADATA, {})
        header = Header(path, length + text, _parse(tensors), metadata)
    except (
        *(OSError, struct.error, OverflowError, ValueError),
        *(KeyError, TypeError, AttributeError, MemoryError),
    ) as error:
        raise WorkError(f"{path} cannot be read as .safetensors: {error}.") from None
    size = path.stat().st_size
    if size < header.size:
        raise WorkError(f"{path} is cut: {size} of {header.size} bytes are there.")
    return header


def _parse(tensors: dict[str, Any]) -> dict[str, Entry]:
    """The tensors of a JSON header, in the order of their bytes."""
    entries = {}
    for name, tensor in tensors.items():
        begin, end = tensor["data_offsets"]
        entries[name] = Entry(tensor["dtype"], tuple(tensor["shape"]), begin, end)
    return dict(sorted(entries.items(), key=lambda item: item[1].begin))


def build_header(
    path: Path, tensors: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str]
) -> Header:
    """Returns the header of a file that is to hold tensors of these types and shapes, in order."""
    entries = {}
    written: dict[str, Any] = {_METADATA: metadata}
    begin = 0
    for name, (dtype, shape) in tensors.items():
        end = begin + ITEM_BYTES[dtype] * math.prod(shape)
        entries[name] = Entry(dtype, shape, begin, end)
        written[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(written, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return Header(path, struct.pack("<Q", len(text)) + text, entries, metadata)


def read_bytes(header: Header, name: str, begin: int = 0, end: int | None = None) -> memoryview:
    """Returns a tensor's bytes as they stand in the file, or those from `begin` to `end`."""
    entry = header.entries[name]
    stop = entry.end - entry.begin if end is None else end
    data = np.empty(stop - begin, np.uint8).data
    with header.path.open("rb", buffering=0) as file:
        file.seek(len(header.raw) + entry.begin + begin)
        unread = data
        while unread:
            count = file.readinto(unread)
            if not count:
                raise WorkError(f"{header.path} was cut while it was read: fetch it again.")
            unread = unread[count:]
    return data


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
    return decode(read_bytes(header, name), entry.dtype).reshape(entry.shape)


def decode(data: bytes | memoryview, dtype: str) -> NDArray[np.float32]:
    """Returns the values in a buffer of one of DTYPES as a flat array of its own."""
    if dtype == "F32":
        return np.frombuffer(data, "<f4").astype("<f4")
    if dtype == "F16":
        return np.frombuffer(data, "<f2").astype("<f4")
    bits = np.frombuffer(data, "<u2").astype("<u4")
    bits <<= 16
    return bits.view("<f4")


def encode(array: NDArray[np.float32], dtype: str) -> memoryview:
    """Returns the bytes of a float32 array in one of DTYPES, rounded to nearest even."""
    flat = np.ascontiguousarray(array, "<f4").reshape(-1)
    if dtype == "F32":
        return flat.view(np.uint8).data
    if dtype == "F16":
        return _rounded_to_f16(flat).view(np.uint8).data
    bits = flat.view("<u4")
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    return rounded.astype("<u2").view(np.uint8).data


def _rounded_to_f16(flat: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of values in F16, rounded to nearest even in half the time of NumPy's own cast.

    A normal number keeps ten bits of its mantissa, and its exponent gets another bias. Those that
    are not normal in F16 are left to NumPy: a few small ones, or all if one is too large.
    """
    bits = flat.view("<u4")
    magnitudes = bits & 0x7FFFFFFF
    if magnitudes.max(initial=0) >= _F16_INFINITE:
        with np.errstate(over="ignore"):  # the caller looks for infinities
            return flat.astype("<f2").view("<u2")
    rounded = magnitudes >> 13
    rounded &= 1
    rounded += magnitudes
    rounded += _F16_REBIAS
    rounded >>= 13
    rounded |= (bits >> 16) & 0x8000
    halves = rounded.astype("<u2")
    small = np.flatnonzero(magnitudes < _F16_NORMAL)
    halves[small] = flat[small].astype("<f2").view("<u2")
    return halves
