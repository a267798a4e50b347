"""A small random model of a base's architecture with the base's own tokenizer, and a random LoRA
adapter for it: what a release is rehearsed with before there is anything to release.

    python -m tasks.core.release.shrunken BASE OUT nf4|none MODULE…

Reads the base's folder but none of its weights; writes OUT/base, OUT/adapter and both OUT/merged.
It is a program of its own because it needs PyTorch, whose memory no run shall hold during hours of
training. Why the two do not merge is its last line, after `error: `.
"""

import shutil
import sys
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.records.artifacts import no_progress
from tasks.core.records.training_base import TrainingBase, write_training_base
from tasks.core.release.merge import merge

_LAYERS = 2
_HEAD_WIDTH = 32
"""Width of an attention head. It makes every row a multiple of 32, which all quantizations need."""
_RANK = 4
_SPREAD = 0.02
"""Standard deviation of the adapter's random weights; transformers draws a base's with it too."""


def shrink(base: Path, modules: list[str], out: Path) -> None:
    """Writes the small model to out/base and an adapter of these linear layers to out/adapter.

    Raises KeyError, TypeError or ValueError for a configuration that cannot be made small.
    """
    config = shrink_config(read_json(base / "config.json"))
    folder = out / "base"
    write_json(folder / "config.json", config)
    torch.manual_seed(0)
    shape = AutoConfig.from_pretrained(folder)
    model = AutoModelForCausalLM.from_config(shape, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    _save_adapter(model, modules, out / "adapter")
    for file in base.iterdir():
        if file.is_file() and ".safetensors" not in file.suffixes:
            shutil.copyfile(file, folder / file.name)
    # The converter shall read the base's own spelling of the configuration, not transformers'.
    write_json(folder / "config.json", config)


def shrink_config(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the config.json of the same architecture with two narrow layers.

    As many query heads share a key head as before; vocabulary, tied embeddings and RoPE stay as
    they are. A base's quantization goes, for its merged weights have none. Raises KeyError if the
    configuration does not say how many heads there are.
    """
    heads: int = config["num_attention_heads"]
    sharing = heads // (config.get("num_key_value_heads") or heads)
    key_heads = 2 if sharing == 1 else 1
    width = sharing * key_heads * _HEAD_WIDTH
    sizes = {
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": sharing * key_heads,
        "num_key_value_heads": key_heads,
        "head_dim": _HEAD_WIDTH,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "moe_intermediate_size": width,
        "shared_expert_intermediate_size": width,
    }
    small = dict(config)
    small.pop("quantization_config", None)
    for name, size in sizes.items():
        if config.get(name):
            small[name] = size
    if config.get("layer_types"):
        small["layer_types"] = config["layer_types"][:_LAYERS]
    return small


def _save_adapter(model: torch.nn.Module, modules: list[str], folder: Path) -> None:
    """Writes a PEFT folder whose matrices are random: in a new adapter B is zero."""
    tensors = {}
    for name, layer in model.named_modules():
        if not isinstance(layer, torch.nn.Linear) or name.rpartition(".")[2] not in modules:
            continue
        shapes = {"A": (_RANK, layer.in_features), "B": (layer.out_features, _RANK)}
        for side, shape in shapes.items():
            weights = torch.randn(shape, dtype=torch.float32) * _SPREAD
            tensors[f"base_model.model.{name}.lora_{side}.weight"] = weights
    folder.mkdir()
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": _RANK, "lora_alpha": _RANK, "target_modules": modules}
    write_json(folder / "adapter_config.json", config)


def main(base: Path, out: Path, quantization: Literal["nf4", "none"], modules: list[str]) -> None:
    """Makes base and adapter, and merges them as if training had held the base so."""
    transformers_logging.disable_progress_bar()
    shrink(base, modules, out)
    write_training_base(out / "adapter", TrainingBase(quantization, "bfloat16"))
    (out / "merged").mkdir()
    try:
        merge(out / "base", out / "adapter", out / "merged", no_progress)
    except (RequestError, WorkError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), cast(Any, sys.argv[3]), sys.argv[4:])
