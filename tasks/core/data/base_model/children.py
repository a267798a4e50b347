"""The parts of fetching a base model that need torch, each run in a process of its own, offline.

This module loads no torch; convert.py and check.py do. Both print the faults of the model folder
as one line of JSON.
"""

import json
import sys
from pathlib import Path

from tasks.core.errors import RequestError
from tasks.core.processes.child import run_child

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}


def convert_gguf(gguf: Path, folder: Path) -> list[str]:
    """Writes the GGUF as a model folder and returns the folder's faults."""
    return _faults_from("convert", gguf, folder)


def check_folder(folder: Path) -> list[str]:
    """What keeps a folder from being trained and served as a chat model; empty if nothing does."""
    return _faults_from("check", folder)


def refuse_faults(location: str, faults: list[str]) -> None:
    """Refuses a base model that has faults, and names them all."""
    if faults:
        raise RequestError(
            f"The base model {location} cannot be used: {'; '.join(faults)}. Mend the folder, or"
            " name another model: model.base=FOLDER."
        )


def _faults_from(module: str, *paths: Path) -> list[str]:
    command = [sys.executable, "-m", f"tasks.core.data.base_model.{module}", *map(str, paths)]
    lines = run_child(command, env=_OFFLINE)
    last_list = next(line for line in reversed(lines) if line.startswith("["))
    return json.loads(last_list)
