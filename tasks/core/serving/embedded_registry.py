"""The embedded server's models on disk: which GGUF and which Modelfile a tag stands for.

Reads and writes a folder with blobs/SHA256.gguf and models/TAG.json. A blob is a hard link if it
can be one, so that a model stays served when the artifact that it came from is collected.
"""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from tasks.core.files.atomic import replacing
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import read_json, write_json
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.tags import full_name, same_name


@dataclass(frozen=True)
class Entry:
    """One registered model."""

    tag: str
    sha256: str  # of the GGUF
    size: int  # bytes
    modelfile: Modelfile

    @property
    def digest(self) -> str:
        """The model's identity: its weights and its Modelfile, whatever its tag is."""
        return digest_value([self.sha256, asdict(self.modelfile)])


def put(folder: Path, tag: str, gguf: Path, modelfile: Modelfile) -> Entry:
    """Registers a model; what the tag stood for before is forgotten."""
    entry = Entry(full_name(tag), digest_file(gguf), gguf.stat().st_size, modelfile)
    blob = blob_of(folder, entry)
    if not _is_whole(blob, entry):
        with replacing(blob) as neighbour:
            _link_or_copy(gguf, neighbour)
    _write(folder, entry)
    return entry


def get(folder: Path, tag: str) -> Entry | None:
    """Returns a tag's model, or None if there is none or its weights are gone or cut."""
    file = _file_of(folder, tag)
    if not file.is_file():
        return None
    entry = _read(file)
    return entry if _is_whole(blob_of(folder, entry), entry) else None


def entries(folder: Path) -> list[Entry]:
    """Returns every model whose weights are whole, in the order of the files' names."""
    every = [_read(file) for file in sorted((folder / "models").glob("*.json"))]
    return [entry for entry in every if _is_whole(blob_of(folder, entry), entry)]


def copy(folder: Path, source: Entry, tag: str) -> None:
    """Lets another tag stand for the same model."""
    _write(folder, Entry(full_name(tag), source.sha256, source.size, source.modelfile))


def delete(folder: Path, tag: str) -> None:
    """Removes a tag, and its weights if no other tag needs them."""
    file = _file_of(folder, tag)
    if not file.is_file():
        return
    entry = _read(file)
    file.unlink()
    if entry.sha256 not in {other.sha256 for other in entries(folder)}:
        blob_of(folder, entry).unlink(missing_ok=True)


def blob_of(folder: Path, entry: Entry) -> Path:
    """Returns where the model's weights lie."""
    return folder / "blobs" / f"{entry.sha256}.gguf"


def _file_of(folder: Path, tag: str) -> Path:
    """The file of a tag, or of the same name in other capitals: Ollama takes the two for one."""
    exact = folder / "models" / f"{quote(full_name(tag), safe='', errors='replace')}.json"
    there = sorted((folder / "models").glob("*.json"))
    same = [file for file in there if same_name(unquote(file.stem), tag)]
    return exact if exact in same or not same else same[0]


def _write(folder: Path, entry: Entry) -> None:
    write_json(_file_of(folder, entry.tag), asdict(entry))


def _read(file: Path) -> Entry:
    fields = read_json(file)
    modelfile = Modelfile(**fields.pop("modelfile"))
    return Entry(**fields, modelfile=modelfile)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # a killed process with our number may have left it
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def _is_whole(blob: Path, entry: Entry) -> bool:
    return blob.is_file() and blob.stat().st_size == entry.size
