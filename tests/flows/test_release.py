"""kospilot release: an adapter that PEFT saved becomes a model that answers, or a short error."""

import json
import shutil
import subprocess

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from flows.commands import release
from flows.commands.adapters import Made
from tasks.core.data.base_model import children as base_children
from tasks.core.errors import WorkError
from tasks.core.evaluation.answer import Endpoint, Options, ask
from tasks.core.files.json_files import read_json, write_json, write_lines
from tasks.core.records.training_base import TrainingBase, write_training_base
from tasks.core.release import model as release_model
from tasks.core.release.model import Parts
from tasks.core.release.rows import read_rows
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.registration import NewModel, prove_prompts
from tasks.core.serving.servers import open_server
from tasks.core.settings.release import Release
from tests.conftest import made_once
from tests.flows.test_cli import kospilot  # noqa: F401
from tests.release.conftest import demo_base, llama, silent, tiny_base, tiny_f16  # noqa: F401
from tests.serving.conftest import no_ollama, ollama, private_ollama  # noqa: F401

DEFAULT = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


@pytest.fixture(scope="session")
def trained(tiny_base, tmp_path_factory):  # noqa: F811
    """An adapter of the tiny base, as PEFT saves it anywhere."""

    def make(folder):
        torch.manual_seed(5)
        lora = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.bfloat16)
        get_peft_model(base, lora).save_pretrained(folder / "My Adapter")

    return made_once(tmp_path_factory, "trained", make) / "My Adapter"


@pytest.fixture
def adapter(tmp_path):
    """A folder that is an adapter's as far as names go, and of no base."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    write_json(folder / "adapter_config.json", {"peft_type": "LORA", "r": 4, "lora_alpha": 8})
    save_file({}, folder / "adapter_model.safetensors")
    return folder


@pytest.fixture
def here(llama, monkeypatch):  # noqa: F811
    """This machine's llama.cpp, though KOSPILOT_HOME is the test's own."""
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", str(llama.converter.parent))


@pytest.mark.slow
def test_an_exported_folder_answers_in_any_ollama(
    kospilot,  # noqa: F811
    trained,
    here,
    private_ollama,  # noqa: F811
    ollama,  # noqa: F811
    tiny_base,  # noqa: F811
    tmp_path,
):
    base = tmp_path / "base"
    shutil.copytree(tiny_base, base)
    (base / "LICENSE").write_text("Apache License, Version 2.0\n")
    to = tmp_path / "new" / "model"
    done = kospilot(
        "release", str(trained), "--base", str(base), "--to", str(to), "-q", "Q8_0", "--json"
    )
    assert done.code == 0, done.err
    assert "Proven on 64 prompts of packaged rows" in one_line(done.err)
    told = json.loads(done.out)
    assert told["quantization"] == "Q8_0"
    assert {file.name for file in to.iterdir()} == {
        "LICENSE",
        "Modelfile",
        "README.md",
        "model.gguf",
    }
    assert "does not say what the adapter was trained on" in " ".join(done.err.split())
    assert "ollama create my-adapter -f Modelfile" in (to / "README.md").read_text()
    with open_server(tmp_path / "ollama") as server:
        command = [ollama.binary, "create", "mine", "-f", "Modelfile"]
        env = {"OLLAMA_HOST": server.url, "HOME": str(tmp_path)}
        subprocess.run(command, cwd=to, env=env, check=True, capture_output=True)
        modelfile = build_modelfile(tiny_base, Release(), DEFAULT)
        assert prove_prompts(server, "mine:latest", modelfile, tiny_base)["prompts_proven"] == 4
        question = [{"role": "user", "content": "KOSPI?"}]
        reply = ask(Endpoint.of(server, "mine:latest"), question, options=Options(max_tokens=4))
    assert reply.completion_tokens >= 1


def test_a_model_that_is_not_the_trained_one_is_not_released(
    kospilot,  # noqa: F811
    adapter,
    tiny_base,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    """It is proven with the user's own rows, which another test's hops would take long to read."""
    rows = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": "KOSPI?"}, {"role": "assistant", "content": "+1.2 %"}]
    write_lines(rows, [{"messages": turns}])
    proven = []

    def refuse(request, made, rows, work, report):
        proven.extend(read_rows(rows.finance))
        raise WorkError("It parts from it at merge")

    monkeypatch.setattr(release, "make_model", lambda *inputs: None)
    monkeypatch.setattr(release, "prove", refuse)
    options = ["--base", str(tiny_base), "--to", str(tmp_path / "to"), "--rows", str(rows)]
    done = kospilot("release", str(adapter), *options)
    assert done.code == 1
    assert "It parts from it at merge" in done.err
    assert not (tmp_path / "to").exists()
    assert [row.messages[-1]["content"] for row in proven] == ["+1.2 %"]


@pytest.mark.slow
def test_a_new_model_is_registered_and_a_name_in_use_is_left_alone(
    kospilot,  # noqa: F811
    trained,
    no_ollama,  # noqa: F811
    tiny_base,  # noqa: F811
    tiny_f16,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    """What is merged and quantized the other test shows."""
    modelfile = build_modelfile(tiny_base, Release(num_ctx=1024, num_predict=64), "Du.")

    def make(request, rows, work, home, report):
        metrics = {"quantization": "F16", "bytes": 1e6, "bits_per_weight": 16.0}
        merged = tmp_path / "merged"
        merged.mkdir()
        f16 = tmp_path / "model-f16.gguf"
        f16.write_bytes(b"")
        parts = Parts(merged, f16, tiny_f16, metrics)
        return Made(NewModel(request.name, tiny_f16, modelfile, tiny_base), parts)

    monkeypatch.setattr(release, "make_model", make)
    monkeypatch.setattr(release, "prove", lambda *inputs: None)
    done = kospilot("release", str(trained), "--trained-on", "16bit", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["tag"] == "my-adapter:latest"
    assert "my-adapter:latest is on embedded: F16, 1 MB, 16.00 bits a weight" in one_line(done.err)
    assert not [file for file in (tmp_path / "home").iterdir() if file.name.startswith(".kospilot")]
    monkeypatch.setattr(release, "make_model", lambda *inputs: pytest.fail("the work began"))
    again = kospilot("release", str(trained), "--trained-on", "16bit")
    assert again.code == 2
    assert "my-adapter:latest is on embedded already and stays as it is" in one_line(again.err)


def one_line(text):
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "names no base model. Give it: --base FOLDER or --base OWNER/NAME."),
        (("--base", "x/y", "-q", "Q4_M"), "There is no quantization 'Q4_M'. Did you mean Q4_K_M?"),
        (("--base", "x/y", "--trained-on", "int8"), "--trained-on int8: it is nf4 (QLoRA) or"),
        (("--base", "x/y", "--name", "a b"), "'a b' is no name for a model"),
        (("--base", "x/y", "--to", "."), "is there already and is left as it is."),
        (("--base", "/nowhere", "--to", "new"), "/nowhere is not there"),
        (("--base", "empty", "--to", "new"), "The base model folder empty"),
        (("--base", "x/y", "--rows", "gone.jsonl"), "--rows gone.jsonl is no file."),
        (("--base", "x/y", "--system", '"""'), 'cannot hold """ in a system prompt'),
    ],
)
def test_a_wrong_request_is_refused_before_any_work(kospilot, adapter, options, told, monkeypatch):  # noqa: F811
    monkeypatch.chdir(adapter.parent)
    (adapter.parent / "empty").mkdir()
    done = kospilot("release", str(adapter), *options)
    assert done.code == 2
    assert told in one_line(done.err)
    assert {file.name for file in adapter.parent.iterdir()} <= {"adapter", "empty", "home"}


def test_what_is_no_adapter_is_refused(kospilot, adapter, tmp_path):  # noqa: F811
    missing = kospilot("release", str(tmp_path / "nothing"))
    assert "There is no adapter folder" in one_line(missing.err)
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    cut = kospilot("release", str(adapter))
    assert "holds no adapter_model.safetensors; there is adapter_config.json" in one_line(cut.err)
    untrained = kospilot("release", "stage3")
    assert "No stage3 was trained here yet" in one_line(untrained.err)
    unknown = kospilot("release", "00ff00ff")
    assert "No artifact's key begins with '00ff00ff'" in one_line(unknown.err)
    assert missing.code == cut.code == untrained.code == unknown.code == 2


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ({"peft_type": "IA3"}, "is IA3; only LoRA is merged. Train it as LoRA."),
        ({"r": 0}, "has r: 0, which has to be a number above 0"),
        ({"fan_in_fan_out": True}, "was trained with fan_in_fan_out, which cannot be merged"),
        (None, "cannot be read as .safetensors"),
    ],
)
def test_what_cannot_be_merged_is_refused_before_its_base_is_fetched(
    kospilot,  # noqa: F811
    adapter,
    spoil,
    told,
):
    if spoil is None:
        (adapter / "adapter_model.safetensors").write_bytes(b"{}")
    else:
        config = read_json(adapter / "adapter_config.json")
        write_json(adapter / "adapter_config.json", config | spoil)
    done = kospilot("release", str(adapter), "--base", "no/model", "--to", "new")
    assert done.code == 1
    assert told in one_line(done.err)


def test_a_base_of_another_machine_has_to_be_named(kospilot, adapter):  # noqa: F811
    config = read_json(adapter / "adapter_config.json")
    elsewhere = {**config, "base_model_name_or_path": "/home/her/models/Qwen"}
    write_json(adapter / "adapter_config.json", elsewhere)
    done = kospilot("release", str(adapter))
    assert done.code == 2
    assert "/home/her/models/Qwen, which is not on this machine." in one_line(done.err)


def test_an_option_that_contradicts_the_folder_is_refused(kospilot, adapter):  # noqa: F811
    write_training_base(adapter, TrainingBase("nf4", "bfloat16"))
    done = kospilot("release", str(adapter), "--base", "x/y", "--trained-on", "16bit")
    assert done.code == 2
    assert "says that the adapter was trained on NF4 values" in one_line(done.err)


def test_work_that_fails_leaves_nothing(kospilot, adapter, tiny_base, tmp_path, monkeypatch):  # noqa: F811
    def fail(request, rows, work, home, report):
        (work / "merged").mkdir()
        raise WorkError("llama-quantize broke")

    monkeypatch.setattr(release, "make_model", fail)
    done = kospilot(
        "release", str(adapter), "--base", str(tiny_base), "--to", str(tmp_path / "a" / "b")
    )
    assert done.code == 1
    assert "llama-quantize broke" in done.err
    assert {file.name for file in tmp_path.iterdir()} <= {"adapter", "home"}


def test_errors_name_the_base_as_the_user_did(kospilot, adapter, tiny_base, monkeypatch, here):  # noqa: F811
    def fail(model, *inputs):
        raise WorkError(f"{model.base}/config.json is odd")

    monkeypatch.setattr(base_children, "check_folder", lambda folder: [])
    monkeypatch.setattr(release_model, "build_parts", fail)
    monkeypatch.chdir(tiny_base.parent)
    done = kospilot("release", str(adapter), "--base", "base", "--to", str(adapter / "new"))
    assert done.code == 1
    assert done.err.endswith("error: base/config.json is odd\n")
    assert {file.name for file in adapter.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
