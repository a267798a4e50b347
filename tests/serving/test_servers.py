"""Both real servers do the same: hold what was asked, ask as trained, move names, and leave nothing
half-made.
"""

import json
import logging
import shutil
from types import SimpleNamespace

import httpx
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.serving.registration import promote, prove_prompts, register, rollback
from tasks.core.serving.servers import live_reason, open_server, server_name, where_answered
from tests.serving.conftest import SYSTEM, silent

SCHEMA = {
    "type": "object",
    "properties": {
        "regime": {"enum": ["BEAR", "MILD_BULL"]},
        "confidence_pct": {"type": "integer", "minimum": 0, "maximum": 100},
    },
    "required": ["regime", "confidence_pct"],
    "additionalProperties": False,
}


def ask(server, tag, **request):
    body = {"model": tag, "temperature": 0, "max_tokens": 60, **request}
    answer = httpx.post(
        f"{server.openai_url}/chat/completions", json=body, timeout=300, trust_env=False
    )
    assert answer.is_success, answer.text
    return answer.json()


def other_template(base, folder):
    """The same tokenizer with a template that differs by one line."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, folder / name)
    file = folder / "chat_template.jinja"
    file.write_text("Today is Monday.\n" + file.read_text())
    return folder


def test_registered_asked_promoted_and_rolled_back(server, demo_gguf, demo_base, modelfile):
    told = register(server, "m:one", demo_gguf, modelfile, demo_base, silent)
    assert told["prompts_proven"] == 3
    assert told["digest"] == server.digest("m:one") == server.tags()["m:one"]

    schema = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    user = {"role": "user", "content": "return -3.1 %, breadth 20 %. Regime?"}
    system = {"role": "system", "content": SYSTEM}
    replies = [
        ask(server, "m:one", messages=sent, response_format=schema)
        for sent in ([user], [system, user])
    ]
    answer = json.loads(replies[0]["choices"][0]["message"]["content"])
    assert answer.keys() == {"regime", "confidence_pct"}
    assert 0 <= answer["confidence_pct"] <= 100
    assert replies[0]["usage"]["prompt_tokens"] == replies[1]["usage"]["prompt_tokens"], (
        "SYSTEM is there without asking"
    )

    promote(server, "m:one", "m")
    assert server.digest("m") == told["digest"]
    with pytest.raises(RequestError, match="m has no previous model"):
        rollback(server, "m")
    cooler = type(modelfile)(
        modelfile.template, modelfile.system, {**modelfile.parameters, "temperature": 0.1}
    )
    second = server.create("m:two", demo_gguf, cooler, silent)
    promote(server, "m:two", "m")
    promote(server, "m:two", "m")
    assert (server.digest("m:latest"), server.digest("m:previous")) == (second, told["digest"])
    rollback(server, "m")
    assert (server.digest("m:latest"), server.digest("m:previous")) == (told["digest"], second)
    assert set(server.tags()) == {"m:one", "m:two", "m:latest", "m:previous"}
    server.delete("m:one")
    server.delete("m:one")
    assert server.digest("m:one") is None
    with pytest.raises(RequestError, match="no model 'm:one'"):
        promote(server, "m:one", "m")


def test_a_prompt_unlike_training_is_refused_and_removed(
    server, demo_gguf, demo_base, modelfile, tmp_path
):
    trained = other_template(demo_base, tmp_path)
    with pytest.raises(
        WorkError, match=r"otherwise than it was trained(.|\n)*-'Today is Monday\.\\n'"
    ):
        register(server, "m:one", demo_gguf, modelfile, trained, silent)
    assert server.tags() == {}


def test_another_tokenizer_is_refused(server, demo_gguf, demo_base, modelfile, tmp_path):
    server.create("m:one", demo_gguf, modelfile, silent)
    trained = tmp_path / "trained"
    shutil.copytree(demo_base, trained, ignore=shutil.ignore_patterns("*.safetensors"))
    told = json.loads((trained / "tokenizer.json").read_text())
    told["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    told["model"]["merges"] = told["model"]["merges"][:20_000]
    (trained / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(WorkError, match="the GGUF's tokenizer is not that of"):
        prove_prompts(server, "m:one", modelfile, trained)


def test_a_cut_gguf_leaves_nothing(server, demo_gguf, demo_base, modelfile, tmp_path):
    cut = tmp_path / "cut.gguf"
    with demo_gguf.open("rb") as file:
        cut.write_bytes(file.read(2_000_000))
    with pytest.raises(WorkError, match="cut|EOF"):
        register(server, "m:cut", cut, modelfile, demo_base, silent)
    assert server.tags() == {}


def manifest(step, **metrics):
    return SimpleNamespace(recipe=SimpleNamespace(step=step), metrics=metrics)


def test_an_artifact_is_true_only_while_the_server_holds_its_model(
    server, demo_gguf, modelfile, tmp_path
):
    digest = server.create("m:one", demo_gguf, modelfile, silent)
    server.copy("m:one", "m:latest")
    reason = live_reason(tmp_path / "home")
    assert reason(manifest("merge")) is None
    assert reason(manifest("register", tag="m:one", digest=digest)) is None
    assert reason(manifest("promote", name="m", digest=digest, promoted=True)) is None
    assert reason(manifest("promote", name="gone", digest=digest, promoted=False)) is None
    assert (
        reason(manifest("register", tag="m:gone", digest=digest))
        == f"{server.name} does not hold m:gone"
    )
    assert reason(manifest("promote", name="m", digest="0", promoted=True)).endswith(
        "is another model now"
    )


def test_without_ollama_the_run_says_so(no_ollama, tmp_path, caplog):
    assert server_name(tmp_path) == "embedded"
    with caplog.at_level(logging.WARNING), open_server(tmp_path) as server:
        assert server.name == "embedded"
    assert "the embedded server answers instead" in caplog.text


def test_the_user_is_told_where_apps_find_the_model(no_ollama, monkeypatch, tmp_path):
    assert (
        "kospilot's own server (embedded), which runs only while a command asks it"
        in where_answered(tmp_path)
    )
    monkeypatch.setenv("OLLAMA_HOST", "box:11434")
    assert "http://box:11434/v1" in where_answered(tmp_path)


def test_a_host_that_does_not_answer_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert server_name(tmp_path) == "ollama http://127.0.0.1:9"
    with (
        pytest.raises(WorkError, match=r"OLLAMA_HOST names http://127\.0\.0\.1:9 .*ollama serve"),
        open_server(tmp_path),
    ):
        pass
    reason = live_reason(tmp_path)(manifest("register", tag="m:one", digest="0"))
    assert "no Ollama answers there" in reason
