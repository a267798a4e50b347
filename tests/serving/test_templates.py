"""Ollama asks a model of each family as its tokenizer's own template does: text and tokens."""

import shutil
from dataclasses import replace

import httpx
import pytest

from tasks.core.chat.families import PROBE_TOOLS
from tasks.core.chat.template import ChatTemplate
from tasks.core.errors import WorkError
from tasks.core.release.gguf import convert
from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.registration import NewModel, prove_prompts, register
from tasks.core.serving.servers import open_server
from tasks.core.settings.release import Release
from tests.conftest import made_once
from tests.serving.conftest import SYSTEM, silent
from tests.serving.shapes import (
    SHAPES,
    conversations,
    let_servers_add_bos,
    qwen_base,
    shaped_base,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder_of(demo_base, llama, tmp_path_factory):
    """Makes a family's model once: a folder with `base` and model-f16.gguf."""

    def made(name):
        if name == "llama-3.1-tools":
            return _with_template(made("llama-3"), SHAPES[name].template)

        def make(folder):
            if name == "chatml-tools":
                qwen_base(folder / "base")
            else:
                shaped_base(demo_base, SHAPES[name], folder / "base")
            convert(folder / "base", llama, folder, silent)
            if name != "chatml-tools":
                let_servers_add_bos(folder / "model-f16.gguf")

        return made_once(tmp_path_factory, f"shape-{name}", make)

    def _with_template(folder, template):
        """The same model with another template, which Ollama does not look for in the GGUF."""
        other = tmp_path_factory.mktemp("other-template")
        (other / "model-f16.gguf").symlink_to(folder / "model-f16.gguf")
        (other / "base").mkdir()
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(folder / "base" / name, other / "base" / name)
        (other / "base" / "chat_template.jinja").write_text(template)
        return other

    return made


@pytest.fixture(scope="module")
def ollama_server(ollama, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OLLAMA_HOST", raising=False)
        patch.setenv("PATH", f"{ollama.binary.parent}:/usr/bin:/bin")
        with open_server(tmp_path_factory.mktemp("home")) as server:
            yield server


@pytest.fixture
def new_model(request, folder_of):
    """A model of the family that the test names, as register gets it."""

    def make(name):
        if name == "chatml":
            base = request.getfixturevalue("tiny_base")
            gguf = request.getfixturevalue("tiny_f16")
        else:
            folder = folder_of(name)
            base, gguf = folder / "base", folder / "model-f16.gguf"
        modelfile = build_modelfile(base, Release(num_ctx=2048, num_predict=16), SYSTEM)
        # Two threads wait for each other on a busy machine, and a tiny model needs one.
        modelfile.parameters["num_thread"] = 1
        return NewModel(f"{name}:one", gguf, modelfile, base)

    return make


@pytest.mark.parametrize("name", ["chatml", "chatml-tools", *SHAPES])
def test_fifty_conversations_are_asked_as_trained(ollama_server, new_model, name):
    model = new_model(name)
    register(ollama_server, model, silent)
    asked = tuple(conversations(50))
    proof = prove_prompts(ollama_server, model.tag, model.modelfile, model.tokenizer_dir, asked)
    assert proof["prompts_proven"] == 50
    assert proof["prompt_tokens_proven"] > 5_000


@pytest.mark.parametrize("name", ["chatml", *SHAPES])
def test_one_space_more_is_refused(ollama_server, new_model, name):
    model = new_model(name)
    end = model.modelfile.parameters["stop"][0]
    spaced = replace(model.modelfile, template=model.modelfile.template.replace(end, f" {end}"))
    tag = f"{name}:spaced"
    with pytest.raises(WorkError, match="otherwise than it was trained"):
        register(ollama_server, replace(model, tag=tag, modelfile=spaced), silent)
    assert tag not in ollama_server.tags()


CALL = {"function": {"name": "price", "arguments": {"code": "005930", "market": "코스피 & <b>"}}}
TOOL_TALKS = (
    [{"role": "system", "content": "너는 분석가.\n"}, {"role": "user", "content": "삼성전자는? "}],
    [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": '{"won": 70000}\n"삼성"'},
    ],
    [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
        {"role": "tool", "content": "70000"},
        {"role": "tool", "content": "71000"},
        {"role": "assistant", "content": "71,000 won"},
        {"role": "user", "content": "V"},
    ],
)


@pytest.mark.parametrize("name", ["chatml-tools", "llama-3.1-tools"])
def test_tools_are_written_as_the_tokenizers_template_writes_them(ollama_server, new_model, name):
    model = new_model(name)
    ollama_server.create(model.tag, model.gguf, model.modelfile, silent)
    template = ChatTemplate(model.tokenizer_dir)
    for messages in TOOL_TALKS:
        for tools in (PROBE_TOOLS, ()):
            body = {"model": model.tag, "messages": messages, "tools": list(tools)}
            debug = {"stream": False, "_debug_render_only": True}
            url = f"{ollama_server.url}/api/chat"
            answer = httpx.post(url, json={**body, **debug}, trust_env=False, timeout=60).json()
            rendered = answer["_debug_info"]["rendered_template"]
            expected = template.render(messages, add_generation_prompt=True, tools=tools)
            assert rendered == expected.removeprefix(template.bos_token)


def test_a_bos_is_there_exactly_once(ollama_server, new_model, tmp_path):
    model = new_model("llama-3")
    gguf = tmp_path / "model.gguf"
    shutil.copyfile(model.gguf, gguf)
    twice = replace(model.modelfile, template="<|begin_of_text|>" + model.modelfile.template)
    with pytest.raises(WorkError, match=r"puts <\|begin_of_text\|> twice before the prompts"):
        register(ollama_server, replace(model, modelfile=twice), silent)
    let_servers_add_bos(gguf, adds=False)
    with pytest.raises(WorkError, match=r"not at all .* set add_bos_token to true in a folder"):
        register(ollama_server, replace(model, gguf=gguf), silent)


def test_a_context_beyond_the_models_own_is_refused(ollama_server, new_model):
    model = new_model("chatml")
    model.modelfile.parameters["num_ctx"] = 16_384
    with pytest.raises(
        WorkError, match=r"a context of 8,192 tokens .* is 16,384.* Type release\.num_ctx=8192"
    ):
        register(ollama_server, replace(model, tag="m:long"), silent)
    assert "m:long" not in ollama_server.tags()


@pytest.mark.parametrize("name", ["llama-3", "gemma"])
def test_llama_cpp_itself_needs_no_go_template(new_model, tmp_path, name):
    model = new_model(name)
    bare = replace(model, modelfile=replace(model.modelfile, template=""))
    with open_server(tmp_path / "home", "embedded") as server:
        registered = register(server, bare, silent)
    assert registered["server"] == "embedded"
