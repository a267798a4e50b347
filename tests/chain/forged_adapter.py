"""Adapters' folders that say something false of themselves."""

import json
import math
from pathlib import Path

from safetensors.torch import load_file, save_file

from tasks.core.files.digests import digest_file


def forge(folder: Path, name: str, **values) -> None:
    """Changes a JSON file of an adapter's folder, and gives it a digest that fits."""
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
    refit(folder, name)


def refit(folder: Path, name: str) -> None:
    file = folder / "training_config.json"
    config = json.loads(file.read_text())
    if name in config["adapter_files"]:
        config["adapter_files"][name] = digest_file(folder / name)
    file.write_text(json.dumps(config))


def spoil_weights(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    next(iter(weights.values()))[0, 0] = math.nan
    save_file(weights, folder / "adapter_model.safetensors")
    refit(folder, "adapter_model.safetensors")


def flip_a_bit(folder: Path) -> None:
    file = folder / "adapter_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)


def lose_half(folder: Path) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    kept = {name: weight for name, weight in weights.items() if "layers.0" in name}
    save_file(kept, folder / "adapter_model.safetensors")
    refit(folder, "adapter_model.safetensors")


def forget_checks(folder: Path) -> None:
    (folder / "checks.json").write_text("{}")


def link_the_card(folder: Path) -> None:
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("/etc/passwd")


def plant_code(folder: Path) -> None:
    (folder / "tokenizer_evil.py").write_text("")
