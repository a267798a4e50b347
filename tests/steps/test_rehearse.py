"""The rehearsal of a release finds a broken tool, and leaves nothing on the server."""

from types import SimpleNamespace

import pytest

from tasks.core.chain.step import Surroundings
from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.files.memory import DigestMemory
from tasks.core.processes.child import ChildFailed
from tasks.core.release import rehearsal
from tasks.core.release.merge import merge
from tasks.core.release.rehearsal import merge_stand_in
from tasks.core.release.shrunken import shrink, shrink_config
from tasks.core.serving.servers import open_server
from tasks.core.settings.profiles import load
from tasks.core.settings.tree import Training
from tasks.core.steps.rehearse import STEP
from tests.release.conftest import demo_base, llama, silent, tiny_base  # noqa: F401
from tests.serving.conftest import no_ollama  # noqa: F401

QWEN_7B = {
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152_064,
    "tie_word_embeddings": False,
    "rope_theta": 1_000_000.0,
}


@pytest.fixture
def job(tiny_base, tmp_path):  # noqa: F811
    """A build of the step for a base of two layers."""
    (tmp_path / "download").mkdir()
    (tmp_path / "download" / "base").symlink_to(tiny_base)
    (tmp_path / "out").mkdir()
    return SimpleNamespace(
        key="0123456789abcdef",
        settings=load("demo").settings.declared(STEP.readable_settings),
        folder=lambda step: tmp_path / step,
        out=tmp_path / "out",
        home=tmp_path / "home",
        progress=silent,
    )


@pytest.fixture
def broken_llama(llama, tmp_path, monkeypatch):  # noqa: F811
    """A llama.cpp of which one program is replaced by a shell script."""
    folder = tmp_path / "llama.cpp"
    folder.mkdir()
    for file in llama.converter.parent.iterdir():
        (folder / file.name).symlink_to(file)
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", str(folder))

    def replace(program, script):
        (folder / program).unlink()
        (folder / program).write_text(script)
        (folder / program).chmod(0o755)

    return replace


def test_the_small_model_has_the_bases_architecture():
    small = shrink_config(QWEN_7B)
    changed = {name for name in QWEN_7B if small[name] != QWEN_7B[name]}
    assert changed == {
        "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads",
    }  # fmt: skip
    assert small.keys() == QWEN_7B.keys()
    assert small["num_attention_heads"] / small["num_key_value_heads"] == 7
    assert small["vocab_size"] * small["hidden_size"] * 2 < 70e6  # bytes in 16 bit


def test_what_belongs_to_single_layers_is_cut_and_a_quantization_goes():
    kinds = ["sliding_attention", "sliding_attention", "full_attention"]
    mixed = {**QWEN_7B, "layer_types": kinds, "quantization_config": {"load_in_4bit": True}}
    small = shrink_config(mixed)
    assert small["layer_types"] == kinds[:2]
    assert "quantization_config" not in small


@pytest.mark.slow
def test_a_release_is_rehearsed_and_leaves_nothing_behind(job, no_ollama, llama, monkeypatch):  # noqa: F811
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", str(llama.converter.parent))
    metrics = STEP.build(job)
    assert metrics["rehearsed"]
    assert metrics["prompts_proven"] == 4
    assert metrics["tag"] == "kospilot-demo-rehearsal:01234567"
    assert [file.name for file in job.out.iterdir()] == ["rehearsal.json"]
    with open_server(job.home) as server:
        assert server.tags() == {}


@pytest.mark.slow
def test_the_stand_in_has_the_bases_tokenizer_and_an_adapter(tiny_base, tmp_path):  # noqa: F811
    shrink(tiny_base, ["q_proj", "down_proj"], tmp_path)
    small = tmp_path / "base"
    assert read_json(small / "config.json")["intermediate_size"] == 128
    assert (small / "tokenizer.json").read_bytes() == (tiny_base / "tokenizer.json").read_bytes()
    (tmp_path / "merged").mkdir()
    metrics = merge(small, tmp_path / "adapter", tmp_path / "merged", silent)
    assert metrics["adapted_tensors"] == 4


@pytest.mark.slow
def test_an_architecture_that_cannot_be_made_small_is_no_failure(tmp_path, caplog):
    write_json(tmp_path / "base" / "config.json", {"model_type": "llama", "n_head": 4})
    assert merge_stand_in(tmp_path / "base", Training(), tmp_path) is None
    assert "The release is not rehearsed: no small model is like" in caplog.text
    assert "KeyError: 'num_attention_heads'" in caplog.text


def test_why_the_two_do_not_merge_is_told(tmp_path, monkeypatch):
    def fail(*command, env):
        raise ChildFailed("python exited with 1:\nsome warning\nerror: they do not belong together")

    monkeypatch.setattr(rehearsal, "run_child", fail)
    with pytest.raises(WorkError, match="cannot be merged: they do not belong together"):
        merge_stand_in(tmp_path, Training(), tmp_path)


@pytest.mark.slow
def test_a_broken_quantizer_is_found(job, no_ollama, broken_llama, tiny_base, monkeypatch):  # noqa: F811
    monkeypatch.setattr(rehearsal, "merge_stand_in", lambda *inputs: tiny_base)
    broken_llama("llama-quantize", "#!/bin/sh\necho 'cannot read tensor 7' >&2\nexit 1\n")
    told = "(?s)^The release would fail, so nothing is trained yet: .*cannot read tensor 7"
    with pytest.raises(WorkError, match=told):
        STEP.build(job)
    assert not list(job.out.iterdir())


def test_a_server_that_is_down_is_found_at_once(job, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setattr(
        rehearsal, "merge_stand_in", lambda *inputs: pytest.fail("that takes seconds")
    )
    with pytest.raises(WorkError, match="OLLAMA_HOST names http://127.0.0.1:9 and no Ollama"):
        STEP.build(job)


def test_another_llama_cpp_is_another_rehearsal(broken_llama, tmp_path, monkeypatch):
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    around = Surroundings(load("demo").settings, tmp_path, DigestMemory(tmp_path / "memory"))
    whole = STEP.outside(around)
    broken_llama("llama-quantize", "#!/bin/sh\nexit 1\n")
    broken = STEP.outside(around)
    assert {name for name in whole if whole[name] != broken[name]} == {"llama.cpp"}
