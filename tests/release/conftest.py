"""The real parts that these tests share: llama.cpp, the demo base, and a two-layer model with its
tokenizer.
"""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tasks.core.data.base_model.folder import fetch_base
from tasks.core.errors import WorkError
from tasks.core.release.gguf import convert
from tasks.core.release.quantization import Quantization
from tasks.core.release.quantize import quantize
from tasks.core.tools import find_llama_cpp
from tests.conftest import USERS_HOME, made_once

HOMES = (USERS_HOME, Path.home() / ".kospilot")


def silent(share, text):
    pass


def quantize_plainly(gguf, name, llama, out, progress=silent):
    """Writes out/model.gguf without an importance matrix."""
    return quantize(out / "model.gguf", gguf, Quantization(name), llama, progress)


@pytest.fixture(scope="session")
def llama():
    found = next(filter(None, (find_llama_cpp(home) for home in HOMES)), None)
    return found or pytest.skip("needs llama.cpp: kospilot tools install llama.cpp")


@pytest.fixture(scope="session")
def demo_base(tmp_path_factory):
    def make(folder):
        fetch_base("demo", folder / "base", silent, USERS_HOME / "downloads")

    try:
        return made_once(tmp_path_factory, "demo-base", make) / "base"
    except WorkError as error:
        pytest.skip(f"needs the demo base model: {error}")


@pytest.fixture(scope="session")
def demo_gguf(demo_base, llama, tmp_path_factory):
    """The demo base as Q4_K_M."""

    def make(folder):
        convert(demo_base, llama, folder, silent)
        quantize_plainly(folder / "model-f16.gguf", "Q4_K_M", llama, folder)
        (folder / "model-f16.gguf").unlink()

    return made_once(tmp_path_factory, "demo-gguf", make) / "model.gguf"


@pytest.fixture(scope="session")
def tiny_base(demo_base, tmp_path_factory):
    """Two random layers under the demo base's tokenizer and template."""

    def make(folder):
        write_tiny_base(folder / "base", demo_base)

    return made_once(tmp_path_factory, "tiny-base", make) / "base"


def write_tiny_base(folder, demo_base):
    torch.manual_seed(3)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=49_152,
        max_position_embeddings=8_192,  # the context that releases are served with
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(demo_base / name, folder / name)


@pytest.fixture(scope="session")
def tiny_f16(tiny_base, llama, tmp_path_factory):
    def make(folder):
        convert(tiny_base, llama, folder, silent)

    return made_once(tmp_path_factory, "tiny-f16", make) / "model-f16.gguf"
