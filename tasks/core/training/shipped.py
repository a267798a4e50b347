"""The Stage 1 adapter that ships with kospilot: trained on a GPU, of the demo's base model.

Reads the folder shipped_adapter beside this file, which is what a stage leaves and made.json: what
it was trained on, and how to make it again.
"""

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json
from tasks.core.training.finished import figures

_WEIGHTS = "model.safetensors"
_OF_THE_BASE = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def shipped_folder() -> Path:
    """Returns the folder of the adapter, as it was installed."""
    return Path(str(files("tasks.core.training"))) / "shipped_adapter"


def shipped_digest() -> str:
    """Returns the sha256 of the adapter's weights."""
    return digest_file(shipped_folder() / "adapter_model.safetensors")


def take_shipped(base: Path, out: Path) -> dict[str, Any]:
    """Writes the adapter into `out` as its training would have left it; returns its figures.

    Raises WorkError if the base's weights are others than those that it was trained on.
    """
    folder = shipped_folder()
    trained_on = read_json(folder / "training_config.json")["base_files"][_WEIGHTS]
    here = digest_file(base / _WEIGHTS)
    if here != trained_on:
        raise WorkError(
            f"The shipped Stage 1 adapter was trained on weights with sha256 {trained_on[:12]}, and"
            f" the demo's base here has {here[:12]}. Train the stage: add stages.stage1=train."
        )
    shutil.copytree(folder, out, dirs_exist_ok=True)
    for name in _OF_THE_BASE:
        shutil.copyfile(base / name, out / name)
    return figures(out) | {"trained": read_json(folder / "made.json")["where"]}
