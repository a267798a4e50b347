"""Reads a base model's configuration and tokenizer, and checks them before anything is trained."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from tasks.core.chat.families import refuse_template
from tasks.core.errors import RequestError
from tasks.core.records.quantized_base import refuse_quantization
from tasks.core.settings.tree import Training
from tasks.core.training.rows.rendering import render_chat

_CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
_PADDING = ("<|endoftext|>", "<pad>", "<unk>")  # the first of these tokens that there is pads


def read_config(base: Path) -> PreTrainedConfig:
    """Returns the base's configuration.

    Raises RequestError if there is none, or if the base comes quantized otherwise than as NF4.
    """
    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise RequestError(f"The base model {base} cannot be loaded: {error}") from error
    refuse_quantization(str(base), _quantization(config))
    return config


def comes_quantized(config: PreTrainedConfig) -> bool:
    """Says whether the base's files hold NF4 already."""
    return _quantization(config) is not None


def is_nf4(config: PreTrainedConfig, training: Training) -> bool:
    """Says whether training holds the base as NF4's values, whatever keeps them."""
    return comes_quantized(config) or training.quantize_base == "nf4"


def _quantization(config: PreTrainedConfig) -> dict[str, Any] | None:
    return getattr(config, "quantization_config", None)


def load_tokenizer(base: Path, template: str = "any") -> PreTrainedTokenizerFast:
    """Returns the base's tokenizer, which pads with another token than its EOS.

    template: training.template, that is known, chatml or any. Raises RequestError if the tokenizer,
    its EOS, that chat template or a token to pad with is missing.
    """
    if not (base / "tokenizer.json").exists():
        raise RequestError(
            f"The base model {base} has no tokenizer.json (it has: {_contents(base)})."
            " Use a complete model folder."
        )
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert isinstance(tokenizer, PreTrainedTokenizerFast), "it has a tokenizer.json"
    _check_template(tokenizer, base, template)
    _set_padding(tokenizer, base)
    return tokenizer


def _contents(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    return ", ".join(sorted(file.name for file in folder.iterdir()))


def _check_template(tokenizer: PreTrainedTokenizerFast, base: Path, template: str) -> None:
    if not tokenizer.chat_template:
        raise RequestError(
            f"The base model {base} has no chat template; use an instruction-tuned model."
        )
    try:
        rendered = render_chat(tokenizer, _CHAT)
    except RequestError:
        raise RequestError(
            f"The chat template of {base} does not render a plain question and its answer: take"
            " another base model."
        ) from None
    if not tokenizer.eos_token or tokenizer.eos_token not in rendered:
        raise RequestError(
            f"The chat template of {base} never writes its EOS token {tokenizer.eos_token!r}."
        )
    refuse_template(base, template)


def _set_padding(tokenizer: PreTrainedTokenizerFast, base: Path) -> None:
    """Takes another token to pad with if the present one is the EOS or has no embedding.

    An EOS as padding would be masked out of the loss, and the model would never learn to stop.
    transformers may add tokens that the base has no embedding of.
    """
    embeddings = read_config(base).get_text_config().vocab_size
    pads_with_eos = tokenizer.pad_token in (None, tokenizer.eos_token)
    if not pads_with_eos and tokenizer.pad_token_id < embeddings:
        return
    vocabulary = tokenizer.get_vocab()
    for token in _PADDING:
        if vocabulary.get(token, embeddings) < embeddings:
            tokenizer.pad_token = token
            return
    raise RequestError(
        f"The tokenizer of {base} pads with its EOS {tokenizer.eos_token!r}, which would never be"
        " learnt, and has no other padding token. Set pad_token in its tokenizer_config.json to an"
        " unused token."
    )
