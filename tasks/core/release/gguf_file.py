"""A GGUF file's table of contents: its metadata and tensors, without the weights.

gguf-py's own reader takes seconds for it, because it makes several arrays of each of a vocabulary's
words; this one takes a tenth of a second. The format is that of llama.cpp's docs/gguf.md, in its
versions 2 and 3, little-endian.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from tasks.core.errors import WorkError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING = 8
_ARRAY = 9
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""struct's letter for each of the format's types of numbers."""
_ALIGNMENT = 32
"""Bytes to which tensors are aligned unless general.alignment says otherwise."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a file."""

    name: str
    type: str
    """llama.cpp's name of its type in capitals, e.g. Q4_K."""
    shape: tuple[int, ...]
    """Rows last: the first is the number of columns, as GGUF has it."""
    begin: int
    """Byte of the file at which its data begins."""
    size: int
    """Bytes of its data."""

    @property
    def elements(self) -> int:
        """How many weights it has."""
        product = 1
        for length in self.shape:
            product *= length
        return product


@dataclass(frozen=True)
class GgufFile:
    """What a GGUF file says of itself."""

    path: Path
    metadata: dict[str, Any]
    tensors: list[Tensor]

    def text(self, name: str) -> str:
        """The text under this name in the metadata; empty if there is none."""
        return str(self.metadata.get(name, ""))


def read_gguf(path: Path) -> GgufFile:
    """Reads a file's table of contents. Raises WorkError if it is no GGUF, or is cut."""
    with path.open("rb") as file:
        magic = file.read(len(_MAGIC))
        if magic != _MAGIC:
            raise WorkError(f"{path} is not a GGUF: it begins with {magic!r}.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _read(path, data)
            except (struct.error, ValueError, KeyError) as error:
                raise WorkError(
                    f"{path} is cut or damaged ({error}). Remove it and run the same command again."
                ) from None


def _read(path: Path, data: mmap.mmap) -> GgufFile:
    reader = _Reader(data, len(_MAGIC))
    version = reader.number("I")
    if version not in _VERSIONS:
        raise ValueError(f"version {version} of the format")
    tensor_count = reader.number("Q")
    metadata = {}
    for _ in range(reader.number("Q")):
        name = reader.string()
        metadata[name] = reader.value(reader.number("I"))
    entries = [_read_entry(reader) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", _ALIGNMENT)
    start = -(-reader.position // alignment) * alignment
    tensors = [_tensor(entry, start) for entry in entries]
    end = max((tensor.begin + tensor.size for tensor in tensors), default=start)
    if len(data) < end:
        raise ValueError(f"{len(data):,} of {end:,} bytes are there")
    return GgufFile(path, metadata, tensors)


@dataclass(frozen=True)
class _Entry:
    """A tensor as the table of contents has it; `offset` counts from where the data begins."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int


def _read_entry(reader: "_Reader") -> _Entry:
    name = reader.string()
    shape = tuple(reader.number("Q") for _ in range(reader.number("I")))
    return _Entry(name, shape, type=reader.number("I"), offset=reader.number("Q"))


def _tensor(entry: _Entry, start: int) -> Tensor:
    kind = GGMLQuantizationType(entry.type)
    block, block_bytes = GGML_QUANT_SIZES[kind]
    elements = 1
    for length in entry.shape:
        elements *= length
    size = elements // block * block_bytes
    return Tensor(entry.name, kind.name, entry.shape, start + entry.offset, size)


class _Reader:
    """Reads values one after another, from `position` on."""

    def __init__(self, data: mmap.mmap, position: int):
        self._data = data
        self.position = position

    def number(self, letter: str) -> Any:
        return self._numbers(letter, 1)[0]

    def _numbers(self, letter: str, count: int) -> tuple[Any, ...]:
        form = f"<{count}{letter}"
        values = struct.unpack_from(form, self._data, self.position)
        self.position += struct.calcsize(form)
        return values

    def string(self) -> str:
        length = self.number("Q")
        end = self.position + length
        if end > len(self._data):
            raise ValueError("a text goes beyond the end of the file")
        text = self._data[self.position : end].decode(errors="replace")
        self.position = end
        return text

    def value(self, kind: int) -> Any:
        """A value of one of the format's types; an array is a list or a tuple of values."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array()
        return self.number(_NUMBERS[kind])

    def _array(self) -> Any:
        kind = self.number("I")
        count = self.number("Q")
        if kind in _NUMBERS:
            return self._numbers(_NUMBERS[kind], count)
        return [self.value(kind) for _ in range(count)]
