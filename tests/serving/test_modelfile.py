"""A model is served as it was trained: only ChatML is, and every parameter is named."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.settings.tree import Release
from tests.chat.tokenizer import CHATML, chat_tokenizer


def test_every_parameter_is_named(tmp_path):
    folder, _ = chat_tokenizer(tmp_path, CHATML)
    modelfile = build_modelfile(folder, Release(num_ctx=2048, num_predict=512), "S")
    assert modelfile.parameters == {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "repeat_penalty": 1.0,
        "num_predict": 512,
        "num_ctx": 2048,
        "stop": ["<|im_end|>", "<|im_start|>"],
    }


def test_text_of_a_modelfile(tmp_path):
    folder, _ = chat_tokenizer(tmp_path, CHATML)
    text = build_modelfile(folder, Release(), "S").text("model.gguf")
    assert text.startswith('FROM model.gguf\nTEMPLATE """{{- range .Messages }}<|im_start|>')
    assert '\nSYSTEM """S"""\n' in text
    assert text.endswith('PARAMETER stop "<|im_end|>"\nPARAMETER stop "<|im_start|>"\n')


def test_another_template_is_refused(tmp_path):
    folder, _ = chat_tokenizer(
        tmp_path, "{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}"
    )
    with pytest.raises(RequestError, match=r"is not ChatML.*\[INST\]S\[/INST\]"):
        build_modelfile(folder, Release(), "S")


def test_a_folder_without_tokenizer_or_template_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"has no tokenizer_config\.json"):
        build_modelfile(tmp_path, Release(), "S")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(RequestError, match="has no chat template"):
        build_modelfile(tmp_path, Release(), "S")
