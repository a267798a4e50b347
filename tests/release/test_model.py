"""A model becomes one quantized GGUF: with its adapter or without, whole or not at all."""

import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from tasks.core.errors import WorkError
from tasks.core.release.gguf import convert
from tasks.core.release.merge import merge
from tasks.core.release.model import Model, build_gguf
from tests.release.conftest import quantize_plainly, silent
from tests.release.tiny_merge import load_nf4

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(5)
    lora = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16)
    get_peft_model(base, lora).save_pretrained(folder)
    return folder


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_a_base_alone_is_converted_and_quantized(tiny_base, tiny_f16, llama, tmp_path, out):
    metrics = build_gguf(Model(tiny_base), "Q8_0", llama, out, silent)
    assert metrics == quantize_plainly(tiny_f16, "Q8_0", llama, tmp_path, silent)
    assert (out / "model.gguf").read_bytes() == (tmp_path / "model.gguf").read_bytes()
    assert [file.name for file in out.iterdir()] == ["model.gguf"]


def test_an_adapter_is_merged_first(tiny_base, adapter, llama, tmp_path, out):
    build_gguf(Model(tiny_base, adapter), "Q8_0", llama, out, silent)
    merged = tmp_path / "merged"
    merged.mkdir()
    merge(tiny_base, adapter, merged, silent)
    convert(merged, llama, tmp_path, silent)
    quantize_plainly(tmp_path / "model-f16.gguf", "Q8_0", llama, tmp_path, silent)
    assert (out / "model.gguf").read_bytes() == (tmp_path / "model.gguf").read_bytes()
    assert [file.name for file in out.iterdir()] == ["model.gguf"]


def test_a_base_that_comes_as_nf4_is_written_in_16_bit_first(tiny_base, llama, tmp_path, out):
    packed = tmp_path / "packed"
    load_nf4(tiny_base).save_pretrained(packed)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tiny_base / name, packed / name)
    build_gguf(Model(packed), "Q8_0", llama, out, silent)
    plain = tmp_path / "plain"
    plain.mkdir()
    merge(packed, None, plain, silent)
    build_gguf(Model(plain), "Q8_0", llama, tmp_path, silent)
    assert (out / "model.gguf").read_bytes() == (tmp_path / "model.gguf").read_bytes()


def test_a_finished_one_is_taken_as_it_is(tiny_base, llama, out):
    (out / "model.gguf").write_bytes(b"finished")
    (out / "making" / "merged").mkdir(parents=True)  # a kill came between the rename and this
    metrics = build_gguf(Model(tiny_base), "Q8_0", llama, out, silent)
    assert metrics == {"quantization": "Q8_0", "bytes": 8}
    assert [file.name for file in out.iterdir()] == ["model.gguf"]


def test_an_interrupted_attempt_is_begun_anew(tiny_base, llama, out):
    def interrupt(share, text):
        if "tensors to" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_gguf(Model(tiny_base), "Q8_0", llama, out, interrupt)
    assert not (out / "model.gguf").exists()
    with pytest.raises(WorkError, match="Q9_9"):
        build_gguf(Model(tiny_base), "Q9_9", llama, out, silent)
    build_gguf(Model(tiny_base), "Q8_0", llama, out, silent)
    assert [file.name for file in out.iterdir()] == ["model.gguf"]
