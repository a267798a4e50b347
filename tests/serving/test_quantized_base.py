"""A base that comes in NF4, with an adapter that was trained on it, to an answer of a server."""

import pytest
from transformers import AutoModelForCausalLM

from tasks.core.evaluation.answer import Endpoint, Options, ask
from tasks.core.release.model import Model, build_gguf
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.registration import NewModel, register
from tests.release.tiny_merge import train
from tests.serving.conftest import silent
from tests.tiny import quantize_base


@pytest.mark.slow
def test_a_base_in_nf4_is_released_and_answers(tiny_base, llama, modelfile, tmp_path):
    base = quantize_base(tiny_base, tmp_path / "base")
    policy = train(AutoModelForCausalLM.from_pretrained(base, device_map="cpu"))
    policy.save_pretrained(tmp_path / "adapter")
    build_gguf(Model(base, tmp_path / "adapter"), "Q4_K_M", llama, tmp_path, silent)
    server = EmbeddedServer(tmp_path / "home")
    try:
        register(server, NewModel("m:one", tmp_path / "model.gguf", modelfile, base), silent)
        user = [{"role": "user", "content": "return -3.1 %. Regime?"}]
        schema = {"type": "object", "properties": {"regime": {"enum": ["BEAR"]}}}
        reply = ask(Endpoint.of(server, "m:one"), user, schema, Options(max_tokens=16))
        assert reply.text.lstrip().startswith("{")
    finally:
        server.close()
