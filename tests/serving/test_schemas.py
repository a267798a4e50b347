"""Each kind's schema becomes a grammar of llama.cpp's: what a model writes under it is valid."""

import re
from pathlib import Path

import pytest

from tasks.core.evaluation.answer import Endpoint
from tasks.core.kinds import KINDS
from tasks.core.kinds import kind_named as subject
from tasks.core.serving.servers import open_server
from tests.serving.conftest import silent
from tests.serving.sampling import demo_days, sample, sampling_modelfile

pytestmark = pytest.mark.slow

NAMES = [kind.name for kind in KINDS]


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    return demo_days(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def embedded(demo_gguf, demo_base, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OLLAMA_HOST", raising=False)
        patch.setenv("PATH", "/nowhere")
        with open_server(tmp_path_factory.mktemp("embedded")) as server:
            assert server.name == "embedded"
            server.create("m:one", demo_gguf, sampling_modelfile(demo_base), silent)
            yield server


@pytest.fixture(scope="module")
def private(ollama, demo_gguf, demo_base, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("OLLAMA_HOST", raising=False)
        patch.setenv("PATH", f"{Path(ollama.binary).parent}:/usr/bin:/bin")
        with open_server(tmp_path_factory.mktemp("private")) as server:
            assert server.name == "ollama private"
            server.create("m:one", demo_gguf, sampling_modelfile(demo_base), silent)
            yield server


def begins_as_the_schema_wants(server, kind, days):
    """In a short reply: the server takes the schema as a grammar, so its first key is first."""
    reply, _ = sample(Endpoint.of(server, "m:one"), kind, days, seed=1, max_tokens=24)
    first_key = re.match(r'\{\s*"(\w+)"\s*:', reply.text)
    assert first_key and first_key[1] == next(iter(kind.schema["properties"])), reply.text


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_the_embedded_server_holds_to_the_schema(embedded, kind, days):
    begins_as_the_schema_wants(embedded, kind, days)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_ollama_holds_to_the_schema(private, kind, days):
    begins_as_the_schema_wants(private, kind, days)


@pytest.mark.parametrize("name", ["regime_classification", "what_if"])
def test_a_whole_answer_of_the_untrained_model_is_valid(embedded, name, days):
    """Two short kinds here; tests/bench/schemas.py samples all twelve. A reply that the limit cuts
    proves nothing.
    """
    endpoint = Endpoint.of(embedded, "m:one")
    for seed in range(4):
        reply, valid = sample(endpoint, subject(name), days, seed=seed)
        if reply.finish_reason == "stop":
            assert valid, reply.text
            return
    pytest.fail("no reply of four came to its end")
