"""Where model servers keep the weights that kospilot registered: files named by their digests.

Reads KOSPILOT_HOME/serving, KOSPILOT_HOME/ollama, and the store of this machine's own Ollama.
"""

import os
from pathlib import Path

from tasks.core.files.digests import digest_file


def find_ollama_blobs(home: Path, sha256: str) -> list[Path]:
    """Returns the files in which Ollamas of this machine keep weights; those that can be read.

    They are the private Ollama's, and those of OLLAMA_MODELS or of the user's ~/.ollama.
    """
    own = Path(os.environ.get("OLLAMA_MODELS") or "~/.ollama/models").expanduser()
    stores = (home / "ollama" / "models", own, Path("/usr/share/ollama/.ollama/models"))
    blobs = [store / "blobs" / f"sha256-{sha256}" for store in dict.fromkeys(stores)]
    return [blob for blob in blobs if os.access(blob, os.R_OK) and blob.is_file()]


def is_damaged(blob: Path) -> bool:
    """Whether a blob of Ollama's is no longer what its name says; reads all of it."""
    return digest_file(blob) != blob.name.removeprefix("sha256-")
