"""The embedded server's models outlive the artifacts they came from, and a damaged one is not a
model.
"""

import json

import pytest

from tasks.core.serving import embedded_registry as registry
from tasks.core.serving.embedded_endpoint import prepare
from tasks.core.serving.modelfile import Modelfile

MODELFILE = Modelfile(
    "T", "S", {"temperature": 0.3, "num_predict": 64, "num_ctx": 512, "stop": ["<e>"]}
)


@pytest.fixture
def gguf(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    return tmp_path / "model.gguf"


def test_a_model_outlives_its_artifact(tmp_path, gguf):
    entry = registry.put(tmp_path, "m/x:one", gguf, MODELFILE)
    gguf.unlink()
    assert registry.get(tmp_path, "m/x:one") == entry
    assert registry.blob_of(tmp_path, entry).read_bytes()[:4] == b"GGUF"


def test_weights_go_with_their_last_name(tmp_path, gguf):
    entry = registry.put(tmp_path, "m:one", gguf, MODELFILE)
    registry.copy(tmp_path, entry, "m")
    registry.delete(tmp_path, "m:one")
    assert [found.tag for found in registry.entries(tmp_path)] == ["m:latest"]
    assert registry.get(tmp_path, "m").digest == entry.digest
    registry.delete(tmp_path, "m:latest")
    assert not registry.blob_of(tmp_path, entry).exists()


def test_a_cut_blob_is_no_model_until_it_is_put_again(tmp_path, gguf):
    entry = registry.put(tmp_path / "r", "m:one", gguf, MODELFILE)
    blob = registry.blob_of(tmp_path / "r", entry)
    blob.unlink()
    blob.write_bytes(b"GGUF")
    assert registry.get(tmp_path / "r", "m:one") is None
    assert registry.entries(tmp_path / "r") == []
    registry.put(tmp_path / "r", "m:one", gguf, MODELFILE)
    assert registry.get(tmp_path / "r", "m:one") == entry


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\0" * 300,
        b"[]",
        b"{}",
        b'{"tag": "m:one"}',
        b"[" * 100_000,
        {"modelfile": 5},
        {"modelfile": {}},
        {"sha256": "../../../weights"},
        {"sha256": None},
        {"size": "large"},
        {"modelfile": {"template": "", "system": "", "parameters": {"num_ctx": "many"}}},
    ],
)
def test_a_damaged_entry_is_no_model_until_it_is_put_again(tmp_path, gguf, damaged):
    entry = registry.put(tmp_path, "m:one", gguf, MODELFILE)
    file = tmp_path / "models" / "m%3Aone.json"
    if isinstance(damaged, dict):
        damaged = json.dumps({**json.loads(file.read_text()), **damaged}).encode()
    file.write_bytes(damaged)
    assert registry.get(tmp_path, "m:one") is None
    assert registry.entries(tmp_path) == []
    registry.put(tmp_path, "m:one", gguf, MODELFILE)
    assert registry.get(tmp_path, "M:One") == entry, "names are compared without case"
    file.write_bytes(damaged)
    registry.delete(tmp_path, "m:one")
    assert not file.exists()


@pytest.mark.parametrize("tag", ["x" * 9_000, "\ud83d", "../../etc", "\0", ""])
def test_an_odd_tag_is_no_model(tmp_path, gguf, tag):
    registry.put(tmp_path, "m:one", gguf, MODELFILE)
    assert registry.get(tmp_path, tag) is None


def test_the_digest_is_of_weights_and_modelfile(tmp_path, gguf):
    one = registry.put(tmp_path, "m:one", gguf, MODELFILE)
    assert registry.put(tmp_path, "m:two", gguf, MODELFILE).digest == one.digest
    assert (
        registry.put(tmp_path, "m:two", gguf, Modelfile("T", "S2", MODELFILE.parameters)).digest
        != one.digest
    )


def test_a_request_wins_over_the_modelfile():
    user = {"role": "user", "content": "U"}
    request = prepare({"model": "m", "messages": [user], "temperature": 0, "seed": None}, MODELFILE)
    assert request == {
        "model": "m",
        "messages": [{"role": "system", "content": "S"}, user],
        "temperature": 0,
        "max_tokens": 64,
        "stop": ["<e>"],
        "cache_prompt": False,
    }
    own = [{"role": "system", "content": "mine"}, user]
    request = prepare({"messages": own, "max_completion_tokens": 5}, MODELFILE)
    assert request["messages"] == own
    assert "max_tokens" not in request
