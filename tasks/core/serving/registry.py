"""The models of the embedded server: tag → GGUF and Modelfile, on disk.

A folder holds blobs/SHA256.gguf and models/TAG.json. A blob is a hard link where it can be, so that
a model stays served when the artifact it came from is collected.
"""

import os
import shutil
from dataclasses import asdict, dataclass
from json import loads
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import write_json
from tasks.core.serving.modelfile import Modelfile


@dataclass(frozen=True)
class Entry:
    """One registered model."""

    tag: str
    sha256: str  # of the GGUF
    size: int  # bytes
    modelfile: Modelfile

    @property
    def digest(self) -> str:
        return digest_value([self.sha256, asdict(self.modelfile)])


def put(folder: Path, tag: str, gguf: Path, modelfile: Modelfile) -> Entry:
    """Registers a model; what the tag named before is forgotten."""
    entry = Entry(full(tag), digest_file(gguf), gguf.stat().st_size, modelfile)
    blob = blob_of(folder, entry)
    if not _whole(blob, entry):
        blob.parent.mkdir(parents=True, exist_ok=True)
        neighbour = blob.with_name(f".{blob.name}.{os.getpid()}")
        neighbour.unlink(missing_ok=True)
        try:
            os.link(gguf, neighbour)
        except OSError:  # another disk, or one without links
            shutil.copyfile(gguf, neighbour)
        os.replace(neighbour, blob)
    _write(folder, entry)
    return entry


def get(folder: Path, tag: str) -> Entry | None:
    """The model of a tag, or None if there is none or its weights are gone or cut."""
    file = _file(folder, tag)
    entry = _read(file) if file.is_file() else None
    return entry if entry and _whole(blob_of(folder, entry), entry) else None


def entries(folder: Path) -> list[Entry]:
    found = [_read(file) for file in sorted((folder / "models").glob("*.json"))]
    return [entry for entry in found if _whole(blob_of(folder, entry), entry)]


def copy(folder: Path, source: Entry, tag: str) -> None:
    _write(folder, Entry(full(tag), source.sha256, source.size, source.modelfile))


def delete(folder: Path, tag: str) -> None:
    """Removes a tag, and its weights when no other tag needs them."""
    file = _file(folder, tag)
    if file.is_file():
        entry = _read(file)
        file.unlink()
        if entry.sha256 not in {other.sha256 for other in entries(folder)}:
            blob_of(folder, entry).unlink(missing_ok=True)


def blob_of(folder: Path, entry: Entry) -> Path:
    return folder / "blobs" / f"{entry.sha256}.gguf"


def full(tag: str) -> str:
    """A name without a tag means its `latest`, as on Ollama."""
    return tag if ":" in tag else f"{tag}:latest"


def _file(folder: Path, tag: str) -> Path:
    return folder / "models" / f"{quote(full(tag), safe='')}.json"


def _write(folder: Path, entry: Entry) -> None:
    write_json(_file(folder, entry.tag), asdict(entry))


def _read(file: Path) -> Entry:
    told: dict[str, Any] = loads(file.read_text(encoding="utf-8"))
    return Entry(**{**told, "modelfile": Modelfile(**told["modelfile"])})


def _whole(blob: Path, entry: Entry) -> bool:
    return blob.is_file() and blob.stat().st_size == entry.size
