"""The real servers: Ollama where it is installed, the embedded one always."""

import os
from pathlib import Path

import pytest

from tasks.core.serving.modelfile import build_modelfile
from tasks.core.serving.servers import open_server
from tasks.core.settings.release import Release
from tasks.core.tools import find_ollama
from tests.release.conftest import (  # noqa: F401
    HOMES,
    demo_base,
    demo_gguf,
    llama,
    silent,
    tiny_base,
    tiny_f16,
)

SYSTEM = '당신은 코스피 전략가입니다.\nAnswer in JSON, e.g. {"regime": "BEAR"}.'


@pytest.fixture(scope="session")
def ollama():
    """The Ollama of this machine, found before the tests move KOSPILOT_HOME."""
    found = next(filter(None, (find_ollama(home) for home in HOMES)), None)
    return found or pytest.skip("needs Ollama: kospilot tools install ollama")


@pytest.fixture
def no_ollama(monkeypatch, tmp_path):
    """A machine on which no Ollama is to be found."""
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def private_ollama(monkeypatch, ollama):
    """A machine with Ollama on PATH."""
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setenv("PATH", f"{Path(ollama.binary).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture(
    params=[
        pytest.param("ollama private", marks=pytest.mark.slow),
        pytest.param("embedded", marks=pytest.mark.slow),
    ]
)
def server(request, tmp_path):
    request.getfixturevalue("private_ollama" if request.param == "ollama private" else "no_ollama")
    with open_server(tmp_path / "home") as opened:
        assert opened.name == request.param
        yield opened


@pytest.fixture(scope="session")
def modelfile(demo_base):  # noqa: F811
    return build_modelfile(demo_base, Release(num_ctx=1024, num_predict=64), SYSTEM)
