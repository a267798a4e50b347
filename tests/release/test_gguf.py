"""llama.cpp's own converter and quantizer on a small model: what comes out is read back, what is
wrong is named.
"""

import json
import shutil
from dataclasses import replace

import pytest

from tasks.core.errors import WorkError
from tasks.core.release.gguf import check_gguf, convert
from tasks.core.release.gguf_file import read_gguf
from tasks.core.release.quantize import quantize
from tests.release.conftest import silent

pytestmark = pytest.mark.slow


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_eos_architecture_and_template_are_read_back(tiny_base, tiny_f16):
    assert check_gguf(tiny_f16, tiny_base) == {
        "architecture": "llama",
        "eos_token": "<|im_end|>",
        "tensors": 20,
    }
    assert read_gguf(tiny_f16).text("tokenizer.ggml.pre") == "smollm"


def test_bytes_do_not_depend_on_the_folders_name(tiny_base, tiny_f16, llama, tmp_path, out):
    elsewhere = shutil.copytree(tiny_base, tmp_path / "Another-Name-7B")
    seen = []
    convert(elsewhere, llama, out, lambda share, text: seen.append(share))
    assert (out / "model-f16.gguf").read_bytes() == tiny_f16.read_bytes()
    assert seen[0] == 0.0
    assert seen == sorted(seen)


def test_a_model_that_would_never_stop_is_refused(tiny_base, llama, tmp_path, out):
    model = shutil.copytree(tiny_base, tmp_path / "model")
    for file, name, value in (
        ("tokenizer_config.json", "eos_token", "<|im_start|>"),
        ("config.json", "eos_token_id", 1),
        ("generation_config.json", "eos_token_id", 1),
    ):
        config = json.loads((model / file).read_text())
        (model / file).write_text(json.dumps({**config, name: value}))
    with pytest.raises(
        WorkError, match=r"ends its answers with '<\|im_start\|>' .* '<\|im_end\|>'"
    ):
        convert(model, llama, out, silent)


def test_a_model_without_a_template_is_refused(tiny_base, llama, tmp_path, out):
    model = shutil.copytree(tiny_base, tmp_path / "model")
    (model / "chat_template.jinja").unlink()
    with pytest.raises(WorkError, match="has no chat template"):
        convert(model, llama, out, silent)


def test_what_the_converter_says_is_in_the_error(tiny_base, llama, tmp_path, out):
    model = shutil.copytree(tiny_base, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(
        json.dumps({**config, "architectures": ["NoSuchForCausalLM"]})
    )
    with pytest.raises(
        WorkError,
        match=r"does not know the architecture NoSuchForCausalLM .* Set KOSPILOT_LLAMA_CPP",
    ):
        convert(model, llama, out, silent)


def test_quantizing_is_repeatable_and_smaller(tiny_f16, llama, tmp_path, out):
    seen = []
    metrics = quantize(tiny_f16, "Q8_0", llama, out, lambda share, text: seen.append((share, text)))
    assert metrics["bytes"] == (out / "model.gguf").stat().st_size < metrics["from_bytes"]
    assert seen[-1] == (1.0, "20 / 20 tensors to Q8_0")
    again = tmp_path / "again"
    again.mkdir()
    quantize(tiny_f16, "Q8_0", llama, again, silent)
    assert (again / "model.gguf").read_bytes() == (out / "model.gguf").read_bytes()


def test_a_cut_gguf_is_refused(tiny_f16, llama, tmp_path, out):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_f16.read_bytes()[:-1000])
    with pytest.raises(WorkError, match=f"{cut} is cut or damaged"):
        quantize(cut, "Q8_0", llama, out, silent)
    cut.write_bytes(b"<html>")
    with pytest.raises(WorkError, match=f"{cut} is not a GGUF: it begins with b'<htm'"):
        quantize(cut, "Q8_0", llama, out, silent)


def test_the_quantizers_own_message_is_in_the_error(tiny_f16, llama, out):
    with pytest.raises(
        WorkError, match="could not make Q9_9 of .*: llama_quantize: invalid ftype 'Q9_9'$"
    ):
        quantize(tiny_f16, "Q9_9", llama, out, silent)


def test_a_tool_that_fails_is_named(tiny_f16, llama, tmp_path, out):
    broken = tmp_path / "llama-quantize"
    broken.write_text("#!/bin/sh\necho this build is broken\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(WorkError, match="this build is broken"):
        quantize(tiny_f16, "Q8_0", replace(llama, quantize=broken), out, silent)
