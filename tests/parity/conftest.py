"""A tiny release: two random layers, an adapter trained on their NF4 values, and all that follows.

Its weights are wide, so that a wrong one shows in the answers as a trained model's would.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from tasks.core.files.json_files import write_lines
from tasks.core.kinds import KINDS
from tasks.core.kinds.base import scene_to_dict, system_prompt
from tasks.core.kinds.texts import to_text
from tasks.core.parity.hop import read_replies
from tasks.core.parity.prompts import Rows, choose_prompts, read_prompts
from tasks.core.parity.proof import Release, prove_computed
from tasks.core.records.training_base import TrainingBase, write_training_base
from tasks.core.release.gguf import convert
from tasks.core.release.merge import merge
from tests.conftest import made_once
from tests.release.conftest import demo_base, llama, quantize_plainly, silent  # noqa: F401
from tests.synthetic import LANGUAGES, scene_on
from tests.tiny import make_tokenizer

NF4 = TrainingBase("nf4", "bfloat16")


def strategy_row(kind, language):
    scene = scene_on(kind, (-3.1, 22.0, -7.2, 31.0), language)
    messages = [
        {"role": "system", "content": system_prompt(language)},
        {"role": "user", "content": kind.ask(scene, Random(1))},
        {"role": "assistant", "content": to_text(kind.answer(scene, Random(1)))},
    ]
    metadata = {"kind": kind.name, "language": language, "scene": scene_to_dict(scene)}
    return {"messages": messages, "metadata": metadata}


def strategy_rows():
    """One row of each kind and language."""
    return [strategy_row(kind, language) for kind in KINDS for language in LANGUAGES]


@pytest.fixture(scope="session")
def tokenizer_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def strategy(tmp_path_factory):
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_lines(file, strategy_rows() * 2)
    return file


@dataclass(frozen=True)
class Proven:
    """A release that passed, and the folder of its hops' files."""

    release: Release
    hops: Path

    @property
    def prompts(self):
        return read_prompts(self.hops / "prompts.json")

    @property
    def replies(self):
        return read_replies(self.hops, "quantize")


@pytest.fixture(scope="session")
def proven(demo_base, llama, tmp_path_factory):  # noqa: F811
    def make(folder):
        base = make_base(folder / "base", demo_base)
        adapter = make_adapter(base, folder / "adapter")
        for name in ("merged", "gguf", "hops"):
            (folder / name).mkdir()
        merge(base, adapter, folder / "merged", silent)
        convert(folder / "merged", llama, folder / "gguf", silent)
        quantize_plainly(folder / "gguf" / "model-f16.gguf", "Q8_0", llama, folder / "gguf")
        write_lines(folder / "rows.jsonl", strategy_rows()[:6])
        prompts = choose_prompts(Rows(strategy=folder / "rows.jsonl"), base)
        short = [replace(one, most_tokens=min(8, one.most_tokens)) for one in prompts.prompts]
        prompts = replace(prompts, prompts=short)
        figures = prove_computed(release_in(folder), prompts, folder / "hops", silent)
        found = [one.as_json() for one in figures]
        (folder / "figures.json").write_text(json.dumps(found))

    folder = made_once(tmp_path_factory, "proven", make)
    return Proven(release_in(folder), folder / "hops")


def release_in(folder):
    return Release(
        base=folder / "base",
        adapter=folder / "adapter",
        trained=NF4,
        merged=folder / "merged",
        f16=folder / "gguf" / "model-f16.gguf",
        quantized=folder / "gguf" / "model.gguf",
        quantization="Q4_K_M",  # of a random model, Q8_0 costs as much as that of a trained one
    )


def make_base(folder, tokenizer_dir):
    """Two random layers under the demo base's tokenizer and template."""
    config = LlamaConfig(
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=49_152,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
        initializer_range=0.12,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tokenizer_dir / name, folder / name)
    return folder


def make_adapter(base, folder):
    """An adapter on all linear layers, whose B matrices are as if they had been trained."""
    lora = LoraConfig(r=8, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.random.fork_rng():
        torch.manual_seed(6)
        policy = get_peft_model(LlamaForCausalLM.from_pretrained(base), lora)
        for name, weight in policy.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.normal_(weight, std=0.15)
        policy.save_pretrained(folder)
    write_training_base(folder, NF4)
    return folder
