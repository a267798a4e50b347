"""The SmolLM2 GGUF as a Hugging Face folder.

    python -m tasks.core.data.base_model.convert MODEL.gguf FOLDER   writes the folder, checks it,
        and prints its faults as one line of JSON

Writes config.json, generation_config.json, model.safetensors (bf16), tokenizer.json,
tokenizer_config.json and chat_template.jinja.
"""

import gc
import sys
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging as transformers_logging

from tasks.core.data.base_model.check import print_faults

# the GGUF pads with its EOS, and a padded EOS is masked out of the loss: it would not be learnt
_PAD = "<|endoftext|>"
_CONTROL = 3  # the GGUF's type of a special token

# save_pretrained refuses the quantization, the names are of the GGUF's folder, and the rest
# LlamaConfig writes itself
_NOT_KEPT = (
    "quantization_config",
    "_name_or_path",
    "_model_name_or_path",
    "transformers_version",
    "model_type",
)


def convert(gguf: Path, out: Path) -> None:
    """Writes the SmolLM2 GGUF as a model folder; the same file gives the same bytes."""
    tokenizer = _tokenizer(GGUFReader(gguf))
    tokenizer.save_pretrained(out)
    source = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    config = _config(source.config, tokenizer)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.load_state_dict(source.state_dict())
    model.tie_weights()
    model.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes for the owner alone


def _config(source: PreTrainedConfig, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """The GGUF's shape, with the tokenizer's special tokens."""
    values = source.to_dict()
    for name in _NOT_KEPT:
        values.pop(name, None)
    # 9.999999747378752e-06 is the float32 of 1e-05
    values["rms_norm_eps"] = float(f"{values['rms_norm_eps']:.6g}")
    values["bos_token_id"] = tokenizer.bos_token_id
    values["eos_token_id"] = tokenizer.eos_token_id
    values["pad_token_id"] = tokenizer.pad_token_id
    return LlamaConfig(**values)


def _tokenizer(reader: GGUFReader) -> PreTrainedTokenizerFast:
    """The GGUF's tokenizer as the model was trained with it.

    transformers' own reading of this file takes <|im_start|> for EOS, does not split digits, and
    decodes like a Llama tokenizer.
    """
    core = _byte_level_bpe(reader)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token=_PAD,
        unk_token=_PAD,
        model_max_length=_field(reader, "llama.context_length"),
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = _field(reader, "tokenizer.chat_template")
    tokens = len(_field(reader, "tokenizer.ggml.tokens"))
    assert len(tokenizer) == tokens, "special tokens must not grow the vocabulary"
    return tokenizer


def _byte_level_bpe(reader: GGUFReader) -> Tokenizer:
    """The BPE of the GGUF's tokens and merges.

    `smollm` means: each digit by itself, then GPT-2's byte-level split (llama.cpp,
    llama-vocab.cpp).
    """
    split = _field(reader, "tokenizer.ggml.pre")
    assert split == "smollm", split
    tokens = _field(reader, "tokenizer.ggml.tokens")
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [tuple(merge.split(" ")) for merge in _field(reader, "tokenizer.ggml.merges")]
    core = Tokenizer(models.BPE(vocabulary, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    core.decoder = decoders.ByteLevel()
    types = _field(reader, "tokenizer.ggml.token_type")
    special = []
    for token, token_type in zip(tokens, types, strict=True):
        if token_type == _CONTROL:
            special.append(AddedToken(token, special=True, normalized=False))
    core.add_special_tokens(special)
    return core


def _field(reader: GGUFReader, name: str) -> Any:
    return reader.fields[name].contents()


if __name__ == "__main__":
    # a reader of GGUF makes a million small arrays, none of them garbage: a fifth of the time went
    # by in looking for some
    gc.disable()
    transformers_logging.disable_progress_bar()
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
    print_faults(Path(sys.argv[2]))
