"""llama.cpp's own converter on a small model: what comes out is read back, errors are named."""

import json
import shutil

import pytest

from tasks.core.errors import WorkError
from tasks.core.release.gguf import check_gguf, convert
from tasks.core.release.gguf_file import read_gguf
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


def test_bytes_do_not_depend_on_the_folders_name(
    tiny_base, tiny_f16, llama, tmp_path, out, monkeypatch
):
    elsewhere = shutil.copytree(tiny_base, tmp_path / "Another-Name-7B")
    # All scratch lies in `out`, which goes if the step is killed.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
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
