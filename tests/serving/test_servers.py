"""Both real servers do the same: hold what was asked, ask as trained, move names, and leave nothing
half-made.
"""

import contextlib
import json
import logging
import shutil
import time
from dataclasses import replace

import httpx
import psutil
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.serving.registration import (
    NewModel,
    promote,
    prove_prompts,
    register,
    rollback,
)
from tasks.core.serving.servers import HeldModels, open_server, server_name, where_answered
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


def holders(server):
    """Digests of the model that holds the name, and of the one that held it before."""
    return server.digest("m:latest"), server.digest("m:previous")


def other_template(base, folder):
    """The same tokenizer with a template that differs by one line."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, folder / name)
    file = folder / "chat_template.jinja"
    file.write_text("Today is Monday.\n" + file.read_text())
    return folder


def test_registered_asked_promoted_and_rolled_back(server, demo_gguf, demo_base, modelfile):
    model = NewModel("m:one", demo_gguf, modelfile, demo_base)
    registered = register(server, model, silent)
    assert registered["prompts_proven"] == 4
    first = registered["digest"]
    assert first == server.digest("m:one") == server.tags()["m:one"]

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

    promote(server, "m:one", first, "m")
    assert server.digest("m") == first
    with pytest.raises(RequestError, match="m has no previous model"):
        rollback(server, "m")
    cooler = replace(modelfile, parameters={**modelfile.parameters, "temperature": 0.1})
    second = server.create("m:two", demo_gguf, cooler, silent)
    with pytest.raises(WorkError, match="m:two on .* is another model than the one that was reg"):
        promote(server, "m:two", first, "m")
    assert server.digest("m") == first, "the name stays where it was"
    promote(server, "m:two", second, "m")
    promote(server, "M:Two", second, "m")
    assert holders(server) == (second, first)
    rollback(server, "m")
    assert holders(server) == (first, second)
    assert set(server.tags()) == {"m:one", "m:two", "m:latest", "m:previous"}
    server.delete("m:one")
    server.delete("m:one")
    assert server.digest("m:one") is None
    with pytest.raises(WorkError, match="no model 'm:one'"):
        promote(server, "m:one", first, "m")


def test_a_prompt_unlike_training_is_refused_and_removed(
    server, demo_gguf, demo_base, modelfile, tmp_path
):
    trained = other_template(demo_base, tmp_path)
    with pytest.raises(
        WorkError, match=r"otherwise than it was trained(.|\n)*-'Today is Monday\.\\n'"
    ):
        register(server, NewModel("m:one", demo_gguf, modelfile, trained), silent)
    assert server.tags() == {}


def test_another_tokenizer_is_refused(server, demo_gguf, demo_base, modelfile, tmp_path):
    server.create("m:one", demo_gguf, modelfile, silent)
    trained = tmp_path / "trained"
    shutil.copytree(demo_base, trained, ignore=shutil.ignore_patterns("*.safetensors"))
    tokenizer = json.loads((trained / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    tokenizer["model"]["merges"] = tokenizer["model"]["merges"][:20_000]
    (trained / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(WorkError, match="the GGUF's tokenizer is not that of"):
        prove_prompts(server, "m:one", modelfile, trained)


def test_a_cut_gguf_leaves_nothing(server, demo_gguf, demo_base, modelfile, tmp_path):
    cut = tmp_path / "cut.gguf"
    with demo_gguf.open("rb") as file:
        cut.write_bytes(file.read(2_000_000))
    with pytest.raises(WorkError, match="cut|EOF"):
        register(server, NewModel("m:cut", cut, modelfile, demo_base), silent)
    assert server.tags() == {}


def test_a_model_is_held_only_while_the_server_has_it(server, demo_gguf, modelfile, tmp_path):
    digest = server.create("m:one", demo_gguf, modelfile, silent)
    held = HeldModels(tmp_path / "home")
    assert held.problem("m:one", digest) is None
    assert held.problem("m:gone", digest) == f"{server.name} does not hold m:gone"
    assert held.problem("m:one", "0") == f"m:one on {server.name} is another model now"


def memory_of_children():
    """Bytes that the servers which this process started hold now."""
    sizes = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes.append(process.memory_info().rss)
    return sum(sizes)


def test_an_unloaded_model_leaves_the_memory_and_answers_again(server, demo_gguf, modelfile):
    server.create("m:one", demo_gguf, modelfile, silent)
    server.unload("m:one")  # nothing is loaded yet
    question = [{"role": "user", "content": "return -3.1 %. Regime?"}]
    reply = ask(server, "m:one", messages=question, max_tokens=4)
    loaded = memory_of_children()
    server.unload("m:gone")
    server.unload("m:one")
    deadline = time.monotonic() + 20
    while memory_of_children() > loaded - demo_gguf.stat().st_size / 2:
        assert time.monotonic() < deadline, f"{loaded} bytes were not given back"
        time.sleep(0.1)
    again = ask(server, "m:one", messages=question, max_tokens=4)
    assert again["choices"] == reply["choices"]


def test_the_context_is_known_if_the_server_keeps_to_it(server, demo_gguf, modelfile):
    server.create("m:one", demo_gguf, modelfile, silent)
    expected = {"ollama private": 1024, "embedded": None}
    assert server.context_length("m:one") == expected[server.name]
    assert server.context_length("m:gone") is None


def test_without_ollama_the_run_says_so(no_ollama, tmp_path, caplog):
    assert server_name(tmp_path) == "embedded"
    with caplog.at_level(logging.WARNING), open_server(tmp_path) as server:
        assert server.name == "embedded"
    assert "the embedded server answers instead" in caplog.text


def test_the_user_is_told_where_apps_find_the_model(no_ollama, monkeypatch, tmp_path):
    assert (
        "kospilot's own server (embedded), which runs only while a command asks it"
        in where_answered(tmp_path, "embedded")
    )
    monkeypatch.setenv("OLLAMA_HOST", "box:11434")
    name = "ollama http://box:11434"
    assert "http://box:11434/v1" in where_answered(tmp_path, name)
    assert "Ollama has no template for it" in where_answered(tmp_path, "embedded")


def test_a_host_that_does_not_answer_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    assert server_name(tmp_path) == "ollama http://127.0.0.1:9"
    with (
        pytest.raises(WorkError, match=r"OLLAMA_HOST names http://127\.0\.0\.1:9 .*ollama serve"),
        open_server(tmp_path),
    ):
        pass
    assert "no Ollama answers there" in HeldModels(tmp_path).problem("m:one", "0")
