"""The parts of fetching a base model that need torch and transformers, run as a child process by
base_folder.py.

    python -m tasks.core.data.base_convert convert MODEL.gguf FOLDER   writes a Hugging Face folder,
        then checks it
    python -m tasks.core.data.base_convert check FOLDER                prints the faults found as
        one line of JSON

Reads a GGUF file or a model folder; writes config.json, generation_config.json, model.safetensors
(bf16), tokenizer.json, tokenizer_config.json and chat_template.jinja.
"""

import json
import sys
from pathlib import Path

import torch
from gguf import GGUFReader
from jinja2 import TemplateError
from safetensors import SafetensorError, safe_open
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

# the GGUF pads with its EOS, and a padded EOS is masked out of the loss: it would not be learnt
_PAD = "<|endoftext|>"
_PROBE = [{"role": "user", "content": "PROBE"}, {"role": "assistant", "content": "REPLY"}]


def convert(gguf: Path, out: Path) -> None:
    """Writes the SmolLM2 GGUF as a model folder; the same file gives the same bytes."""
    reader = GGUFReader(gguf)
    tokenizer = _tokenizer(reader)
    tokenizer.save_pretrained(out)
    source = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    model = AutoModelForCausalLM.from_config(
        _config(source.config, tokenizer), dtype=torch.bfloat16
    )
    model.load_state_dict(source.state_dict())
    model.tie_weights()
    model.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner alone


def _config(source: LlamaConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """The GGUF's shape without its quantization_config, with which save_pretrained refuses, and
    without its folder.
    """
    values = source.to_dict()
    for name in (
        "quantization_config",
        "_name_or_path",
        "_model_name_or_path",
        "transformers_version",
        "model_type",
    ):
        values.pop(name, None)
    values["rms_norm_eps"] = float(
        f"{values['rms_norm_eps']:.6g}"
    )  # 9.999999747378752e-06 is the float32 of 1e-05
    values["bos_token_id"] = tokenizer.bos_token_id
    values["eos_token_id"] = tokenizer.eos_token_id
    values["pad_token_id"] = tokenizer.pad_token_id
    return LlamaConfig(**values)


def _tokenizer(reader: GGUFReader) -> PreTrainedTokenizerFast:
    """The GGUF's tokenizer as the model was trained with it.

    transformers' own reading of this file takes <|im_start|> for EOS, does not split digits, and
    decodes like a Llama tokenizer. `smollm` means: each digit by itself, then GPT-2's byte-level
    split (llama.cpp, llama-vocab.cpp).
    """
    field = {
        name: reader.fields[f"tokenizer.ggml.{name}"].contents()
        for name in ("tokens", "merges", "token_type")
    }
    kind = reader.fields["tokenizer.ggml.pre"].contents()
    assert kind == "smollm", kind
    vocabulary = {token: index for index, token in enumerate(field["tokens"])}
    merges = [tuple(merge.split(" ")) for merge in field["merges"]]
    core = Tokenizer(models.BPE(vocabulary, merges))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    special = [
        token for token, kind in zip(field["tokens"], field["token_type"], strict=True) if kind == 3
    ]  # CONTROL
    core.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in special]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token=_PAD,
        unk_token=_PAD,
        model_max_length=reader.fields["llama.context_length"].contents(),
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = reader.fields["tokenizer.chat_template"].contents()
    assert len(tokenizer) == len(vocabulary), "special tokens must not grow the vocabulary"
    return tokenizer


def check(folder: Path) -> list[str]:
    """What keeps the folder from being trained and served as a chat model; empty if nothing does."""
    faults = _weight_faults(folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        return [*faults, f"transformers cannot read its configuration or tokenizer: {error}"]
    if config.vocab_size < len(tokenizer):
        faults.append(
            f"the tokenizer knows {len(tokenizer)} tokens and the model {config.vocab_size}"
        )
    return faults + _template_faults(tokenizer)


def _weight_faults(folder: Path) -> list[str]:
    """Whether every safetensors header can be read and, with an index, holds the tensors that the
    index names.
    """
    found: dict[str, set[str]] = {}
    faults = []
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                found[file.name] = set(tensors.keys())
        except (SafetensorError, OSError) as error:
            faults.append(f"{file.name} cannot be read: {error}")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        except (ValueError, KeyError) as error:
            return [*faults, f"{index.name} cannot be read: {error}"]
        gone = sorted(name for name, file in named.items() if name not in found.get(file, ()))
        if gone:
            faults.append(
                f"{len(gone)} tensors of {index.name} are in no file, among them {gone[0]} ({named[gone[0]]})"
            )
    return faults


def _template_faults(tokenizer: PreTrainedTokenizerFast) -> list[str]:
    if not tokenizer.chat_template:
        return [
            "the tokenizer has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)"
        ]
    if not tokenizer.eos_token:
        return ["the tokenizer names no eos_token"]
    try:
        text = tokenizer.apply_chat_template(_PROBE, tokenize=False)
    except TemplateError as error:
        return [f"the chat template does not render a question and its answer: {error}"]
    after = text.rpartition("REPLY")[2].strip()
    if not after.startswith(tokenizer.eos_token):
        return [
            f"the chat template ends an answer with {after!r} and the tokenizer's EOS is {tokenizer.eos_token!r}"
        ]
    return []


def main(arguments: list[str]) -> None:
    transformers_logging.disable_progress_bar()
    command, *paths = arguments
    if command == "convert":
        convert(Path(paths[0]), Path(paths[1]))
    print(json.dumps(check(Path(paths[-1])), ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
