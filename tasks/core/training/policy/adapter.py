"""The policy's LoRA adapter: its matrices, and the folder that it is saved in.

Reads and writes adapter_config.json and adapter_model.safetensors; writes the base's tokenizer and
chat template beside them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.atomic import write_text
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json
from tasks.core.records.training_base import BASE_FILE, TrainingBase, read_training_base
from tasks.core.settings.tree import Training

CONFIG_FILE = "adapter_config.json"
ADAPTER_FILE = "adapter_model.safetensors"
_TEMPLATE_FILE = "chat_template.jinja"


def lora_weights(policy: PeftModel) -> Iterator[tuple[str, torch.nn.Parameter]]:
    """Yields the adapter's matrices, by name."""
    for name, weight in policy.named_parameters():
        if ".lora_" in name:
            yield name, weight


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Returns the tensors of an adapter's file under the names that `lora_weights` uses."""
    tensors = load_file(folder / ADAPTER_FILE)
    return {name.replace(".weight", ".default.weight"): tensor for name, tensor in tensors.items()}


def load_weights(policy: PeftModel, saved: dict[str, torch.Tensor]) -> None:
    """Gives the policy an adapter's weights, as `read_weights` reads them."""
    for name, weight in lora_weights(policy):
        weight.data.copy_(saved[name])


def digest_adapter(folder: Path) -> dict[str, str]:
    """Returns the sha256 of the files that are an adapter.

    An adapter of an earlier version has no base.json. Raises RequestError if another file is not
    there.
    """
    names = [CONFIG_FILE, ADAPTER_FILE]
    if (folder / BASE_FILE).exists():
        names.append(BASE_FILE)
    try:
        return {name: digest_file(folder / name) for name in names}
    except OSError as error:
        raise RequestError(f"{folder} is no adapter folder: {error}.") from error


def ranks_and_scales(training: Training) -> dict[str, Any]:
    """Returns the ranks and scales of an adapter, under PEFT's names.

    A module's alpha grows with its rank, so that alpha / r stays the same.
    """
    rank, alpha = training.lora_rank, training.lora_alpha
    odd = {name: own for name, own in training.module_ranks.items() if own != rank}
    alphas = {name: alpha * own / rank for name, own in odd.items()}
    return {"r": rank, "lora_alpha": alpha, "rank_pattern": odd, "alpha_pattern": alphas}


def check_start(start: Path, training: Training) -> None:
    """Raises RequestError if the adapter in `start` has another shape than the settings ask for."""
    try:
        config = read_json(start / CONFIG_FILE)
    except (OSError, ValueError) as error:
        raise RequestError(f"{start} is no adapter folder: {error}.") from error
    saved = {"rank_pattern": {}, "alpha_pattern": {}} | config
    wrong = []
    for name, value in ranks_and_scales(training).items():
        if saved.get(name) != value:
            wrong.append(f"{name} {saved.get(name)} (settings: {value})")
    modules = sorted(config["target_modules"])
    if set(modules) != set(training.target_modules):
        wrong.append(f"target_modules {modules} (settings: {sorted(training.target_modules)})")
    if wrong:
        raise RequestError(
            f"The adapter {start} has {'; '.join(wrong)}. Train the earlier stage with these"
            " settings."
        )


def check_same_base(start: Path, base: TrainingBase) -> None:
    """Raises RequestError if the adapter in `start` was trained on other values of the base.

    An adapter without base.json may have been trained on any.
    """
    earlier = read_training_base(start)
    if earlier is None or earlier == base:
        return
    if str(earlier) != str(base):
        raise RequestError(
            f"The adapter {start} was trained on the base as {earlier}; this stage would hold it as"
            f" {base}. Train the earlier stage again, here and with these settings, or set"
            f" training.quantize_base={earlier.quantization}."
        )
    differing = sorted({name for name, _ in earlier.tensors.items() ^ base.tensors.items()})
    first = differing[0]
    raise RequestError(
        f"The adapter {start} was trained on other values of {len(differing)} of the base's layers:"
        f" those of {first} have sha256 {earlier.tensors.get(first)} in its {BASE_FILE} and"
        f" {base.tensors.get(first)} here. It had another base, or another version of kospilot or"
        " bitsandbytes rounded it. Train the earlier stage again, here."
    )


def read_start_weights(policy: PeftModel, start: Path) -> dict[str, torch.Tensor]:
    """Returns the weights saved in `start`, which are the policy's by name and shape.

    Raises RequestError if they are not.
    """
    saved = read_weights(start)
    own_shapes = {name: weight.shape for name, weight in lora_weights(policy)}
    saved_shapes = {name: weight.shape for name, weight in saved.items()}
    odd = sorted({name for name, _ in own_shapes.items() ^ saved_shapes.items()})
    if odd:
        raise RequestError(
            f"The adapter {start} was made for another base model: {len(odd)} matrices have no"
            f" counterpart, the first is {odd[0]}."
        )
    return saved


def save_adapter(
    policy: PeftModel, tokenizer: PreTrainedTokenizerFast, base: Path, out: Path
) -> None:
    """Writes the adapter, and the base's tokenizer and template beside it.

    The bytes depend only on the weights. Raises WorkError if PEFT wrote no weights.
    """
    # PEFT would write the name of a folder of this machine
    policy.peft_config["default"].base_model_name_or_path = ""
    policy.save_pretrained(str(out), safe_serialization=True)
    (out / "README.md").unlink(missing_ok=True)  # PEFT's; ours says more
    _settle_config(out / CONFIG_FILE)
    tokenizer.save_pretrained(out)
    template = base / _TEMPLATE_FILE
    text = template.read_text(encoding="utf-8") if template.exists() else tokenizer.chat_template
    (out / _TEMPLATE_FILE).write_text(text, encoding="utf-8")
    if not (out / ADAPTER_FILE).exists():
        raise WorkError(f"PEFT wrote no {ADAPTER_FILE} into {out}.")


def _settle_config(file: Path) -> None:
    """Makes PEFT's configuration the same bytes every time.

    PEFT writes its set of modules in any order.
    """
    config = read_json(file)
    config["target_modules"] = sorted(config["target_modules"])
    config["inference_mode"] = True
    write_text(file, json.dumps(config, indent=2, sort_keys=True) + "\n")
