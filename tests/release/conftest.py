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
from tasks.core.release.quantize import quantize
from tasks.core.tools import find_llama_cpp
from tests.conftest import USERS_HOME

HOMES = (USERS_HOME, Path.home() / ".kospilot")


def silent(share, text):
    pass


@pytest.fixture(scope="session")
def llama():
    found = next(filter(None, (find_llama_cpp(home) for home in HOMES)), None)
    return found or pytest.skip("needs llama.cpp: kospilot tools install llama.cpp")


@pytest.fixture(scope="session")
def demo_base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "base"
    try:
        fetch_base("demo", folder, silent, USERS_HOME / "downloads")
    except WorkError as error:
        pytest.skip(f"needs the demo base model: {error}")
    return folder


@pytest.fixture(scope="session")
def demo_gguf(demo_base, llama, tmp_path_factory):
    """The demo base as Q4_K_M."""
    out = tmp_path_factory.mktemp("gguf")
    convert(demo_base, llama, out, silent)
    quantize(out / "model-f16.gguf", "Q4_K_M", llama, out, silent)
    (out / "model-f16.gguf").unlink()
    return out / "model.gguf"


@pytest.fixture(scope="session")
def tiny_base(demo_base, tmp_path_factory):
    """Two random layers under the demo base's tokenizer and template."""
    folder = tmp_path_factory.mktemp("tiny") / "base"
    torch.manual_seed(3)
    shape = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    tokens = {"vocab_size": 49_152, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    LlamaForCausalLM(
        LlamaConfig(**shape, **tokens, tie_word_embeddings=True)
    ).bfloat16().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(demo_base / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def tiny_f16(tiny_base, llama, tmp_path_factory):
    out = tmp_path_factory.mktemp("tiny-f16")
    convert(tiny_base, llama, out, silent)
    return out / "model-f16.gguf"
