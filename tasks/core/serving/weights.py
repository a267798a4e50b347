"""Where Ollamas of this machine keep the models that kospilot registered: blobs, which are files
named by their digests, and for each model a manifest that names its blobs.

Reads KOSPILOT_HOME/ollama, and the store of this machine's own Ollama. An Ollama reads its blobs
again and never compares them with their names.
"""

import logging
import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json
from tasks.core.files.memory import DigestMemory
from tasks.core.serving.tags import full_name

log = logging.getLogger(__name__)

_DIGEST = re.compile("sha256:([0-9a-f]{64})")
_USUAL = ("registry.ollama.ai", "library")
"""What comes before a model's name in the path of its manifest, if the name does not say it."""
_SMALL = 1 << 20  # bytes; weights are larger, and what else a model has is smaller


@dataclass(frozen=True)
class OllamaFiles:
    """What one Ollama keeps on this machine, as far as this user can read it."""

    folders: tuple[Path, ...]
    home: Path  # KOSPILOT_HOME, where digests are remembered
    are_ours: bool

    @classmethod
    def private(cls, home: Path) -> Self:
        """The files of the Ollama that kospilot starts itself."""
        return cls((home / "ollama" / "models",), home, True)

    @classmethod
    def of_machine(cls, home: Path) -> Self:
        """The files of an Ollama of the user's, or of the system's."""
        own = Path(os.environ.get("OLLAMA_MODELS") or "~/.ollama/models").expanduser()
        return cls((own, Path("/usr/share/ollama/.ollama/models")), home, False)

    def find_damaged(self, tag: str, anew: bool = False) -> Path | None:
        """Returns a file of a model that is gone, or whose content is not what its name says; None
        if there is none.

        A file is read only if it changed since it was read last, unless it is to be read `anew`.
        """
        memory = DigestMemory.of(self.home)
        files = [file for folder in self.folders for file in _blobs_of(folder, tag)]
        for file in files:
            if not file.exists() or memory.digest_of(file, anew) != _digest_in(file):
                return file
        memory.save()
        return None

    def make_room(self, sha256: str) -> None:
        """Removes damaged files that Ollama would take for what it is about to be given: weights of
        this digest, and any templates, system prompts and parameters.

        Raises WorkError if they are not ours to remove.
        """
        for folder in self.folders:
            weights = _blob(folder, sha256)
            small = [blob for blob in folder.glob("blobs/sha256-*") if _is_small(blob)]
            for blob in (weights, *small):
                if _can_be_read(blob) and is_damaged(blob):
                    self._remove(blob)

    def _remove(self, blob: Path) -> None:
        if not self.are_ours:
            raise WorkError(
                f"The content of {blob} changed, and Ollama would serve it as it is. Remove this"
                " file, and run the same command again."
            )
        blob.unlink()


@cache
def tell_damage(tag: str, problem: str) -> None:
    """Says, once, that a model's weights are not what they were."""
    log.warning("%s counts as not registered: %s. `kospilot run` registers it again", tag, problem)


def find_ollama_blobs(home: Path, sha256: str) -> list[Path]:
    """Returns the files in which Ollamas of this machine keep weights; those that can be read."""
    folders = (*OllamaFiles.private(home).folders, *OllamaFiles.of_machine(home).folders)
    blobs = [_blob(folder, sha256) for folder in dict.fromkeys(folders)]
    return [blob for blob in blobs if _can_be_read(blob)]


def is_damaged(blob: Path) -> bool:
    """Whether a blob of Ollama's is no longer what its name says; reads all of it."""
    return digest_file(blob) != _digest_in(blob)


def _blobs_of(folder: Path, tag: str) -> list[Path]:
    """The blobs that a model's manifest names: its weights, template, system prompt, parameters."""
    name, _, version = full_name(tag).rpartition(":")
    parts = [*_USUAL, *name.split("/")][-3:] if name.count("/") < 2 else name.split("/")
    if ".." in (*parts, version):
        return []
    try:
        manifest = read_json(Path(folder, "manifests", *parts, version))
    except (OSError, ValueError):
        return []
    digests = _DIGEST.findall(str(manifest))
    blobs = [_blob(folder, sha256) for sha256 in dict.fromkeys(digests)]
    can_be_seen = os.access(folder / "blobs", os.R_OK | os.X_OK)
    return [blob for blob in blobs if can_be_seen and (_can_be_read(blob) or not blob.exists())]


def _blob(folder: Path, sha256: str) -> Path:
    return folder / "blobs" / f"sha256-{sha256}"


def _digest_in(blob: Path) -> str:
    """The digest that a blob's name says."""
    return blob.name.removeprefix("sha256-")


def _is_small(blob: Path) -> bool:
    """Whether a blob holds no weights; one that is just being written is not looked at."""
    return len(blob.name) == len("sha256-") + 64 and blob.stat().st_size < _SMALL


def _can_be_read(file: Path) -> bool:
    return os.access(file, os.R_OK) and file.is_file()
