"""Which files of a folder or a repository make a base model, and which of them are missing.

Reads config.json, which says whether the weights come quantized.
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.files.foreign import pickles_among
from tasks.core.files.json_files import read_json
from tasks.core.records.quantized_base import refuse_quantization

_NAMES = {
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
}
_NOT_THE_MODEL = ("consolidated", "adapter_")  # weights of another layout; a LoRA adapter
_TOKENIZERS = ({"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"})
_LISTED = 12  # file names in an error


def model_parts(names: Iterable[str]) -> list[str]:
    """The names that make the model, sorted; weights of another layout are left out.

    No other file is used, whatever the folder holds: none in a subfolder, no code and no pickle.
    """
    return sorted({name for name in names if _is_part(name)})


def _is_part(name: str) -> bool:
    is_weights = name.endswith(".safetensors") and "/" not in name
    return name in _NAMES or (is_weights and not name.startswith(_NOT_THE_MODEL))


def refuse_incomplete(place: str, parts: Collection[str], names: Iterable[str]) -> None:
    """Refuses a model with parts missing, and says which files are there instead.

    `place` says at the start of the sentence where the model was looked for; `names` are all files
    there.
    """
    missing = _missing_parts(parts)
    if not missing:
        return
    there = sorted(names)
    listed = ", ".join(there[:_LISTED]) or "no file"
    hint = ""
    pickles = pickles_among(there)
    if "adapter_config.json" in there:
        hint = " It is a LoRA adapter: name the model it was trained on."
    elif pickles and not any(name.endswith(".safetensors") for name in parts):
        hint = f" Pickles ({pickles[0]}) are not read, because they can run code."
    raise RequestError(
        f"{place} has no {' and no '.join(missing)}; it holds {listed}.{hint} Put the missing"
        " files in (save_pretrained of model and tokenizer writes them), or name another:"
        " model.base=FOLDER."
    )


def read_shape(location: str, file: Path) -> dict[str, Any]:
    """Returns what a model's config.json says.

    Raises RequestError if it cannot be read, or if the model comes quantized in a way that cannot
    be trained.
    """
    try:
        config: dict[str, Any] = read_json(file)
        quantization = config.get("quantization_config")
    except (OSError, ValueError, AttributeError) as error:
        raise RequestError(f"model.base={location}: {file} cannot be read: {error}.") from error
    refuse_quantization(location, quantization)
    return config


def _missing_parts(parts: Collection[str]) -> list[str]:
    missing = []
    if "config.json" not in parts:
        missing.append("configuration (config.json)")
    if not any(name.endswith(".safetensors") for name in parts):
        missing.append("weights (*.safetensors)")
    if not any(files.issubset(parts) for files in _TOKENIZERS):
        missing.append("tokenizer (tokenizer.json, tokenizer.model, or vocab.json with merges.txt)")
    return missing
