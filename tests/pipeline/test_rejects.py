"""The Stage 2 model's own wrong replies, on a machine without Ollama."""

import os

import pytest

from tests.conftest import USERS_HOME

pytestmark = pytest.mark.slow


@pytest.fixture
def no_ollama(finished, tmp_path, monkeypatch):
    """A copy of the finished home whose tools are those of the user, but for Ollama."""
    home = finished.copy(tmp_path / "home")
    tools = home.folder / "tools"
    tools.unlink()
    tools.mkdir()
    for tool in (USERS_HOME / "tools").glob("llama.cpp-*"):
        (tools / tool.name).symlink_to(tool)
    folders = os.environ["PATH"].split(os.pathsep)
    without = [folder for folder in folders if not os.path.exists(f"{folder}/ollama")]
    monkeypatch.setenv("PATH", os.pathsep.join(without))
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    return home


def test_the_model_is_asked_and_the_pairs_are_made(no_ollama):
    """Its two random layers never end a reply, so that nothing of theirs becomes a reject."""
    home = no_ollama
    done = home.run("pairs.model_reject_share=0.34", "--until", "pairs")
    assert "the embedded server answers instead" in " ".join(done.stderr.split())
    assert home.newest("rejects").metrics["asked"] > 0
    assert (home.path("rejects") / "rejects.jsonl").is_file()
    assert home.newest("pairs").lineage.keys() == {"download", "synthesize", "rejects"}
    assert not (home.path("rejects") / "model.gguf").exists()
