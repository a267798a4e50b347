"""The embedded server's models on disk: which GGUF and which Modelfile a tag stands for.

Reads and writes a folder with blobs/SHA256.gguf and models/TAG.json. A blob is a hard link if it
can be one, so that a model stays served when the artifact that it came from is collected.
"""

import logging
import os
import re
import shutil
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, unquote

from pydantic import NonNegativeInt, StringConstraints, TypeAdapter

from tasks.core.files.atomic import replacing
from tasks.core.files.digests import digest_file, digest_value
from tasks.core.files.json_files import write_json
from tasks.core.files.memory import DigestMemory
from tasks.core.processes.cores import threads
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.tags import full_name, same_name

log = logging.getLogger(__name__)

SMALL = 512 << 20
"""Bytes of weights below which several copies of a model answer side by side."""

MOST_COPIES = 4
"""Each takes memory for a context: 0.3 GB for 8,192 tokens of the demo's model."""

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Entry:
    """One registered model."""

    tag: str
    sha256: Sha256  # of the GGUF, whose file is named by it
    size: NonNegativeInt  # bytes
    modelfile: Modelfile

    @property
    def digest(self) -> str:
        """The model's identity: its weights and its Modelfile, whatever its tag is."""
        return digest_value([self.sha256, asdict(self.modelfile)])

    @property
    def copies(self) -> int:
        """How many copies of the model answer side by side; they share its weights.

        The threads of a small model wait for one another longer than they compute, so each thread
        has a question of its own. A large one is read once for each token, and only once.
        """
        return min(MOST_COPIES, threads()) if self.size < SMALL else 1


def put(folder: Path, tag: str, gguf: Path, modelfile: Modelfile) -> Entry:
    """Registers a model; what the tag stood for before is forgotten."""
    entry = Entry(full_name(tag), digest_file(gguf), gguf.stat().st_size, modelfile)
    blob = blob_of(folder, entry)
    if _fault(folder, entry):
        with replacing(blob) as neighbour:
            _link_or_copy(gguf, neighbour)
    _write(folder, entry)
    return entry


def get(folder: Path, tag: str) -> Entry | None:
    """Returns a tag's model, or None if there is none or its weights are gone or damaged."""
    entry = _read(_file_of(folder, tag))
    return entry if entry and _fault(folder, entry) is None else None


def entries(folder: Path) -> list[Entry]:
    """Returns every model whose weights are whole, in the order of the files' names."""
    return [entry for entry in _every(folder) if _fault(folder, entry) is None]


def find_problems(folder: Path) -> dict[str, str | None]:
    """Reads all weights again, and returns by tag what is wrong with them; None if nothing is.

    A damaged model is no model from then on, so that the next run registers it again.
    """
    problems: dict[str, str | None] = {}
    for file in _files(folder):
        entry = _read(file)
        if entry is None:
            problems[unquote(file.stem)] = f"{file} says nothing that can be read"
        else:
            problems[entry.tag] = _fault(folder, entry, anew=True)
    return problems


def problem_of(folder: Path, tag: str) -> str | None:
    """What is wrong with a tag's weights, in words; None if nothing is, or if there is no such tag.

    They are read only if their file changed.
    """
    entry = _read(_file_of(folder, tag))
    return _fault(folder, entry) if entry else None


def copy(folder: Path, source: Entry, tag: str) -> None:
    """Lets another tag stand for the same model."""
    _write(folder, Entry(full_name(tag), source.sha256, source.size, source.modelfile))


def delete(folder: Path, tag: str) -> None:
    """Removes a tag, and its weights if no other tag needs them."""
    file = _file_of(folder, tag)
    entry = _read(file)
    file.unlink(missing_ok=True)
    if entry and entry.sha256 not in {other.sha256 for other in _every(folder)}:
        blob_of(folder, entry).unlink(missing_ok=True)


def blob_of(folder: Path, entry: Entry) -> Path:
    """Returns where the model's weights lie."""
    return folder / "blobs" / f"{entry.sha256}.gguf"


def _file_of(folder: Path, tag: str) -> Path:
    """The file of a tag, or of the same name in other capitals: Ollama takes the two for one."""
    exact = folder / "models" / f"{quote(full_name(tag), safe='', errors='replace')}.json"
    same = [file for file in _files(folder) if same_name(unquote(file.stem), tag)]
    return exact if exact in same or not same else same[0]


def _write(folder: Path, entry: Entry) -> None:
    write_json(_file_of(folder, entry.tag), asdict(entry))


def _files(folder: Path) -> list[Path]:
    return sorted((folder / "models").glob("*.json"))


def _every(folder: Path) -> list[Entry]:
    read = [_read(file) for file in _files(folder)]
    return [entry for entry in read if entry]


def _read(file: Path) -> Entry | None:
    """What a tag's file says, or None, with a word, if that cannot be read."""
    if not os.path.isfile(file):  # Path.is_file raises if the name is too long
        return None
    try:
        entry = _reader().validate_json(file.read_bytes())
        if not re.fullmatch("[0-9a-f]{64}", entry.sha256):
            raise ValueError("its weights would lie elsewhere")
        for name in ("num_ctx", "num_predict"):
            int(entry.modelfile.parameters.get(name, 0))
        return entry
    except (OSError, ValueError, TypeError):
        log.warning("%s says nothing that can be read: the model counts as not registered", file)
        return None


@cache
def _reader() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)  # a killed process with our number may have left it
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)


def _fault(folder: Path, entry: Entry, anew: bool = False) -> str | None:
    """Why a model's weights are not there byte for byte, or None if they are.

    They are read only if their file changed, unless they are to be read `anew`.
    """
    blob = blob_of(folder, entry)
    if not blob.is_file():
        return f"its weights are missing: {blob}"
    memory = DigestMemory(folder / ".digests.json")
    is_whole = blob.stat().st_size == entry.size and memory.digest_of(blob, anew) == entry.sha256
    memory.save()
    return None if is_whole else f"the content of its weights changed: {blob}"
