"""What keeps a model folder from being trained and served as a chat model.

    python -m tasks.core.data.base_model.check FOLDER   prints the faults as one line of JSON

Reads the configuration, the tokenizer, the chat template and the headers of the weights. Writes
tokenizer.json, which other steps read, if the tokenizer comes in another form.
"""

import json
import re
import sys
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from tasks.core.chat.rendering import TemplateRefused, render
from tasks.core.files.json_files import read_json

_STATE = ".quant_state.bitsandbytes__nf4"  # beside each weight in NF4, under its name
_MARK = re.compile(r"<\|[^|\s]+\|>")
_PROBE = [{"role": "user", "content": "PROBE"}, {"role": "assistant", "content": "REPLY"}]


def check(folder: Path) -> list[str]:
    """What keeps a folder from being trained and served as a chat model; empty if nothing does."""
    tensors_of, faults = _read_headers(folder)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        faults += _index_faults(index, tensors_of)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        return [*faults, f"transformers cannot read its configuration or tokenizer: {error}"]
    faults += _architecture_faults(config) + _complete_tokenizer(folder, tokenizer)
    if config.vocab_size < len(tokenizer):
        faults.append(
            f"the tokenizer knows {len(tokenizer)} tokens and the model {config.vocab_size}"
        )
    if not faults:
        comes_quantized = hasattr(config, "quantization_config")
        faults += _quantization_faults(set().union(*tensors_of.values()), comes_quantized)
    return faults + _template_faults(tokenizer)


def print_faults(folder: Path) -> None:
    """Prints the folder's faults as one line of JSON, for the process that started this one."""
    print(json.dumps(check(folder), ensure_ascii=False))


def _read_headers(folder: Path) -> tuple[dict[str, set[str]], list[str]]:
    """The names of the tensors in each safetensors file, and the files that cannot be read."""
    tensors_of: dict[str, set[str]] = {}
    faults = []
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                tensors_of[file.name] = set(tensors.keys())
        except (SafetensorError, OSError) as error:
            faults.append(f"{file.name} cannot be read: {error}")
    return tensors_of, faults


def _index_faults(index: Path, tensors_of: dict[str, set[str]]) -> list[str]:
    """The tensors that the index names and that are not in the file it names."""
    try:
        file_of = read_json(index)["weight_map"]
    except (ValueError, KeyError) as error:
        return [f"{index.name} cannot be read: {error}"]
    missing = sorted(
        tensor for tensor, file in file_of.items() if tensor not in tensors_of.get(file, ())
    )
    if not missing:
        return []
    first = missing[0]
    return [
        f"{len(missing)} tensors of {index.name} are in no file, among them {first}"
        f" ({file_of[first]})"
    ]


def _architecture_faults(config: PreTrainedConfig) -> list[str]:
    """Whether model_type, by which training chooses the model's code, and architectures, by which
    llama.cpp's converter chooses, mean the same model.
    """
    named = config.architectures or []
    known: set[str] = set()
    for mapping in (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES):
        classes = mapping.get(config.model_type, ())
        known |= {classes} if isinstance(classes, str) else set(classes)
    if not known:
        return [f"transformers has no language model of model_type {config.model_type}"]
    if len(named) == 1 and named[0] in known:
        return []
    return [
        f"its config.json has architectures {named}, and of model_type {config.model_type} is"
        f" {' or '.join(sorted(known))}"
    ]


def _complete_tokenizer(folder: Path, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Writes tokenizer.json for a tokenizer that came without (vocab.json with merges.txt, or
    tokenizer.model); the fault if it has no such form.
    """
    file = folder / "tokenizer.json"
    if file.exists():
        return []
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        return [
            "its tokenizer has no tokenizer.json, and transformers cannot make one of it: save it"
            " as a fast tokenizer"
        ]
    tokenizer.backend_tokenizer.add_special_tokens(_unreachable_tokens(tokenizer))
    tokenizer.backend_tokenizer.save(str(file))
    return []


def _unreachable_tokens(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The tokens such as <|im_start|> that the vocabulary has and no text becomes, by their ids.

    Only tokenizer.json says that they are whole: without it a template's marks would be cut into
    pieces that the model never saw.
    """
    vocabulary = tokenizer.get_vocab()
    marks = [token for token in vocabulary if _MARK.fullmatch(token)]
    cut = [token for token in marks if len(tokenizer.encode(token, add_special_tokens=False)) > 1]
    return sorted(cut, key=lambda token: vocabulary[token])


def _quantization_faults(tensors: set[str], comes_quantized: bool) -> list[str]:
    """Whether the weights are NF4 if config.json says so, and only then, and are whole."""
    packed = {name.removesuffix(_STATE) for name in tensors if name.endswith(_STATE)}
    if comes_quantized and not packed:
        return ["its config.json has a quantization_config, and no weight is in NF4"]
    if packed and not comes_quantized:
        return [f"{len(packed)} weights are in NF4, and its config.json has no quantization_config"]
    needed = {name + part for name in packed for part in ("", ".absmax", ".quant_map")}
    missing = sorted(needed - tensors)
    if missing:
        return [f"{len(missing)} tensors of weights in NF4 are missing, among them {missing[0]}"]
    return []


def _template_faults(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Whether the chat template renders a conversation and ends an answer with the EOS token."""
    if not tokenizer.chat_template:
        return [
            "the tokenizer has no chat template (chat_template.jinja, or chat_template in"
            " tokenizer_config.json)"
        ]
    eos = tokenizer.eos_token
    if not eos:
        return ["the tokenizer names no eos_token"]
    values = {"messages": _PROBE, "add_generation_prompt": False, **tokenizer.special_tokens_map}
    try:
        text = render(tokenizer.get_chat_template(), values)
    except TemplateRefused as error:
        return [f"the chat template does not render a question and its answer: {error}"]
    end = text.rpartition("REPLY")[2].strip()
    if not end.startswith(eos):
        return [
            f"the chat template ends an answer with {end!r} and the tokenizer's EOS is {eos!r}"
            f" (a copy of the folder whose tokenizer_config.json has {end!r} as eos_token will do)"
        ]
    return []


if __name__ == "__main__":
    transformers_logging.disable_progress_bar()
    print_faults(Path(sys.argv[1]))
