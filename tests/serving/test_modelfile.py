"""A model is asked as it was trained, and every parameter is named."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.servers import required_server
from tasks.core.settings.release import Release
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


def test_a_template_of_no_family_is_the_embedded_servers(tmp_path, caplog):
    folder, _ = chat_tokenizer(
        tmp_path, "{% for m in messages %}[INST]{{ m.content }}[/INST]{% endfor %}"
    )
    modelfile = build_modelfile(folder, Release(), "S")
    assert not modelfile.is_for_ollama
    assert modelfile.parameters["stop"] == ["<|im_end|>"]
    assert "\n# No template that kospilot ships for Ollama asks" in modelfile.text("model.gguf")
    assert required_server(folder) == "embedded"
    assert "The embedded server is used and not Ollama: the chat template of" in caplog.text
    assert "it renders '[INST]S[/INST]" in caplog.text


def test_a_folder_without_tokenizer_or_template_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"has no tokenizer_config\.json"):
        build_modelfile(tmp_path, Release(), "S")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(RequestError, match="has no chat template"):
        build_modelfile(tmp_path, Release(), "S")
