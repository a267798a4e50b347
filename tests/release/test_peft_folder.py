"""An adapter brings its own tokenizer and template, and these are served."""

import json

import pytest

from tasks.core.release.peft_folder import link_base


@pytest.fixture
def folders(tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    for folder in (base, adapter):
        folder.mkdir()
    for name in ("config.json", "model.safetensors", "chat_template.jinja", "tokenizer.json"):
        (base / name).write_text("base")
    (base / "tokenizer_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_text("adapter")
    return base, adapter, tmp_path / "out"


def contents(out):
    return {file.name: file.read_text() for file in out.iterdir()}


def test_an_adapter_without_a_tokenizer_has_the_bases(folders):
    base, _, out = folders
    link_base(*folders)
    assert contents(out) == contents(base)
    assert all(file.is_symlink() for file in out.iterdir())


def test_an_adapters_tokenizer_takes_the_place_of_the_bases(folders):
    _, adapter, out = folders
    for name in ("tokenizer.json", "added_tokens.json"):
        (adapter / name).write_text("adapter")
    (adapter / "tokenizer_config.json").write_text("{}")
    link_base(*folders)
    assert {name for name, text in contents(out).items() if text == "adapter"} == {
        "tokenizer.json",
        "added_tokens.json",
    }
    assert contents(out)["chat_template.jinja"] == "base"


def test_a_template_in_an_adapters_configuration_is_not_hidden_by_the_bases_file(folders):
    _, adapter, out = folders
    config = {"chat_template": "{{ messages }}"}
    (adapter / "tokenizer_config.json").write_text(json.dumps(config))
    link_base(*folders)
    assert "chat_template.jinja" not in contents(out)
    assert json.loads(contents(out)["tokenizer_config.json"]) == config
