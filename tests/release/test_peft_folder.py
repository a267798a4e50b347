"""An adapter brings its own tokenizer and template, and these are served, but nothing that may run
code or that lies elsewhere.
"""

import json

import pytest

from tasks.core.errors import RequestError
from tasks.core.release.peft_folder import check_adapter, link_base
from tests.files.test_foreign import POINTER


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
    base, adapter, out = folders
    link_base(base.iterdir(), adapter, out)
    assert contents(out) == contents(base)
    assert all(file.is_symlink() for file in out.iterdir())


def test_an_adapters_tokenizer_takes_the_place_of_the_bases(folders):
    base, adapter, out = folders
    for name in ("tokenizer.json", "added_tokens.json"):
        (adapter / name).write_text("adapter")
    (adapter / "tokenizer_config.json").write_text("{}")
    link_base(base.iterdir(), adapter, out)
    assert {name for name, text in contents(out).items() if text == "adapter"} == {
        "tokenizer.json",
        "added_tokens.json",
    }
    assert contents(out)["chat_template.jinja"] == "base"


def test_a_template_in_an_adapters_configuration_is_not_hidden_by_the_bases_file(folders):
    base, adapter, out = folders
    config = {"chat_template": "{{ messages }}"}
    (adapter / "tokenizer_config.json").write_text(json.dumps(config))
    link_base(base.iterdir(), adapter, out)
    assert "chat_template.jinja" not in contents(out)
    assert json.loads(contents(out)["tokenizer_config.json"]) == config


def plant_code(folder):
    (folder / "tokenizer_evil.py").write_text("open('/tmp/ran', 'w')")


def plant_a_link(folder):
    (folder / "tokenizer.json").symlink_to("/etc/passwd")


def plant_auto_map(folder):
    named = {"auto_map": {"AutoTokenizer": ["tokenizer_evil.Evil", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))


def plant_a_pointer(folder):
    (folder / "adapter_model.safetensors").write_text(POINTER)


def leave_a_pickle(folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


@pytest.mark.parametrize(
    ("plant", "refusal"),
    [
        (plant_code, "brings code of its own \\(tokenizer_evil.py\\)"),
        (plant_a_link, "tokenizer.json is a link to /etc/passwd, outside its folder"),
        (plant_auto_map, "asks for code of the model's own \\(auto_map"),
        (plant_a_pointer, "is a Git LFS pointer"),
        (leave_a_pickle, "no adapter_model.safetensors; .* Pickles .* can run code"),
    ],
)
def test_what_an_adapters_folder_must_not_bring_is_refused(folders, plant, refusal):
    _, adapter, _ = folders
    (adapter / "adapter_config.json").write_text("{}")
    check_adapter(adapter)
    plant(adapter)
    with pytest.raises(RequestError, match=refusal):
        check_adapter(adapter)
