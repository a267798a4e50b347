"""A base model for tests: two random Qwen2 layers and a tokenizer trained on the spot, with a
ChatML template.

Nothing is fetched. The template inserts a system message where there is none, as those of Qwen2.5
and SmolLM2 do.
"""

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

CHATML = """\
{%- if messages[0]['role'] != 'system' %}
{{- '<|im_start|>system\\nYou are a tiny model.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"""

_REGIMES = {"BEAR": -3.1, "WEAKENING": -0.4, "MILD_BULL": 0.6, "STRONG_BULL": 1.9}
_WORDS = (
    "시장이 약해졌다",
    "반등이 넓다",
    "breadth fell",
    "momentum holds",
    "변동성이 크다",
    "volume rose",
)


def make_base(folder: Path, layers: int = 2) -> Path:
    """Writes the model folder; the same arguments give the same bytes."""
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def quantize_base(base: Path, folder: Path, **changes: Any) -> Path:
    """Writes a base as one that comes in NF4; changes: of bitsandbytes' configuration."""
    asked = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    asked |= {"bnb_4bit_compute_dtype": torch.bfloat16}
    quantization = BitsAndBytesConfig(load_in_4bit=True, **asked | changes)
    model = AutoModelForCausalLM.from_pretrained(
        base, quantization_config=quantization, dtype=torch.bfloat16, device_map={"": "cpu"}
    )
    shutil.copytree(base, folder)
    model.save_pretrained(folder)
    return folder


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 400 tokens that has seen the rows' own words."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(
        [json.dumps(row, ensure_ascii=False) for row in chat_rows(50)], trainer
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def chat_rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Conversations whose answer follows from their question; a few have two turns or no system
    message.
    """
    random = Random(seed)
    rows = []
    for number in range(count):
        regime, change = random.choice(list(_REGIMES.items()))
        change += random.randrange(-20, 20) / 100
        question = f"return {change:+.2f} %, {random.choice(_WORDS)}"
        answer = json.dumps(
            {"regime": regime, "reasoning": f"{change:+.2f} %: {random.choice(_WORDS)}"}
        )
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        if number % 5 == 4:
            messages += [
                {"role": "user", "content": "그래서?"},
                {"role": "assistant", "content": "hold"},
            ]
        if number % 3:
            messages.insert(0, {"role": "system", "content": "Answer in JSON."})
        rows.append({"messages": messages})
    return rows


def preference_pairs(count: int, seed: int = 2) -> list[dict[str, Any]]:
    """Pairs whose rejected answer names another regime."""
    pairs = []
    for row in chat_rows(count, seed):
        *prompt, chosen = (
            row["messages"][:3] if row["messages"][0]["role"] == "system" else row["messages"][:2]
        )
        rejected = (
            chosen["content"].replace("BULL", "BEAR").replace("WEAKENING", "STRONG_BULL") + " maybe"
        )
        pairs.append(
            {
                "prompt": prompt,
                "chosen": [chosen],
                "rejected": [{"role": "assistant", "content": rejected}],
            }
        )
    return pairs


def write_jsonl(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    return file
