"""Each kind's schema becomes a grammar of llama.cpp's, and what a model writes under it is valid."""

from pathlib import Path

import pytest

from tasks.core.kinds import KINDS
from tasks.core.serving.servers import open_server
from tests.serving.conftest import silent
from tests.serving.sampling import demo_days, sample, sampling_modelfile

NAMES = [kind.name for kind in KINDS]
SAMPLES = 3


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


def finished(server, kind, days, samples):
    """The validity of the replies that came to their end; one that the limit cut proves nothing either way."""
    replies = [sample(server.openai_url, "m:one", kind, days, seed) for seed in range(samples)]
    for reply, valid in replies:
        assert valid or reply.finish_reason == "length", reply.text
    return [valid for reply, valid in replies if reply.finish_reason == "stop"]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_what_the_embedded_server_writes_is_valid(embedded, kind, days):
    assert finished(embedded, kind, days, SAMPLES)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_what_ollama_writes_is_valid(private, kind, days):
    assert finished(private, kind, days, 1)
