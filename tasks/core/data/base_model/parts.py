"""Which files of a folder or a repository make a base model, and which of them are missing.

Reads config.json, which says whether the weights come quantized.
"""

import re
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
# model_type of transformers' encoder-decoders, for a config.json that does not say what it is
_ENCODER_DECODERS = {
    "bart",
    "bigbird_pegasus",
    "blenderbot",
    "blenderbot-small",
    "encoder-decoder",
    "fsmt",
    "led",
    "longt5",
    "m2m_100",
    "marian",
    "mbart",
    "mt5",
    "mvp",
    "nllb-moe",
    "pegasus",
    "pegasus_x",
    "plbart",
    "prophetnet",
    "switch_transformers",
    "t5",
    "t5gemma",
    "t5gemma2",
    "umt5",
    "xlm-prophetnet",
}
# the same in architectures, of a config.json that names no model_type; others that end so decode
_CONDITIONAL = re.compile(
    "(Bart|BigBirdPegasus|Blenderbot|BlenderbotSmall|FSMT|LED|LongT5|M2M100|MBart|MT5|Mvp|NllbMoe"
    "|PLBart|Pegasus|PegasusX|ProphetNet|SwitchTransformers|T5|T5Gemma|UMT5)"
    "ForConditionalGeneration|MarianMTModel"
)


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


def refuse_encoder_decoder(location: str, file: Path) -> None:
    """Refuses a base that reads with one network and writes with another, as T5 and BART do.

    file: its config.json. It is asked before what else is missing, since no other file would help;
    one that cannot be read is refused elsewhere.
    """
    try:
        config = read_json(file)
    except (OSError, ValueError):
        return
    if isinstance(config, dict) and _is_encoder_decoder(config):
        named = config.get("model_type") or config["architectures"][0]
        raise RequestError(
            f"The base model {location} is an encoder-decoder ({named}), as T5, BART and Pegasus"
            " are: it is neither trained nor served here, where a chat goes on from its own text."
            " Take a decoder: model.base=Qwen/Qwen2.5-1.5B-Instruct, or the small"
            " model.base=HuggingFaceTB/SmolLM2-360M-Instruct."
        )


def _is_encoder_decoder(config: dict[str, Any]) -> bool:
    says = config.get("is_encoder_decoder")
    if says is not None:  # a decoder of BART's alone says false
        return bool(says)
    classes = config.get("architectures") or []
    named = [name for name in classes if _CONDITIONAL.fullmatch(str(name))]
    return config.get("model_type") in _ENCODER_DECODERS or bool(named)


def read_shape(location: str, file: Path) -> dict[str, Any]:
    """Returns what a model's config.json says.

    Raises RequestError if it cannot be read, if the model is no decoder, or if it comes quantized
    in a way that cannot be trained.
    """
    refuse_encoder_decoder(location, file)
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
