"""Small files that are empty, cut or of another kind end no command."""

import json
import os

import pytest
from typer.testing import CliRunner

from flows.cli import app
from tasks.core.chain.housekeeping import find_artifact
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.files.memory import DigestMemory
from tasks.core.serving import embedded_registry
from tasks.core.serving.modelfile import Modelfile
from tests.chain.stores import publish, recipe

NO_MANIFEST = "its manifest.json is missing or damaged"


def changed(**fields):
    return lambda document: json.dumps(document | fields)


def without(name):
    return lambda document: json.dumps({key: document[key] for key in document if key != name})


ODD = {
    "empty": lambda document: "",
    "null": lambda document: "null",
    "a list": lambda document: "[]",
    "a number": lambda document: "7",
    "cut": lambda document: json.dumps(document)[:-40],
    "not UTF-8": lambda document: b"\xff\xfe\x00{",
    "zeros": lambda document: bytes(4096),
    "deep": lambda document: '{"metrics": ' + "[" * 100_000,
    "files is a list": changed(files=["model.bin"]),
    "files is null": changed(files=None),
    "content is a text": changed(content="model.bin"),
    "content is not there": changed(content=["other.bin"]),
    "digest is a number": changed(digest=7),
    "lineage is a list": changed(lineage=[["a", "b"]]),
    "expendable is a text": changed(expendable="perhaps"),
    "metrics is a list": changed(metrics=[]),
    "made is a text": changed(made="today"),
    "made is undated": changed(made={"profile": "demo"}),
    "recipe is null": changed(recipe=None),
    "a size below zero": changed(files={"model.bin": [-7, "x"]}),
    "a size that is a text": changed(files={"model.bin": ["seven", "x"]}),
    "a path that climbs": changed(files={"../../model.bin": [7, "x"]}, content=["../../model.bin"]),
    "an absolute path": changed(files={"/etc/hosts": [7, "x"]}, content=["/etc/hosts"]),
    "another artifact's": changed(key="0" * 24),
    "no key": without("key"),
    "no files": without("files"),
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOME", str(tmp_path))
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    return tmp_path


@pytest.fixture
def store(home):
    return Store(home / "artifacts")


def call(*arguments):
    result = CliRunner().invoke(app, ["artifacts", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


@pytest.fixture(autouse=True)
def no_ollama(monkeypatch):
    monkeypatch.setattr("tasks.core.serving.servers.find_ollama", lambda home: None)


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_manifest_is_a_line_of_every_command(store, kind):
    intact = publish(store, recipe(a=1), {"model.bin": "weights"})
    made = publish(store, recipe(a=2), {"model.bin": "weights"})
    file = store.path("quantize", made.key) / "manifest.json"
    odd = ODD[kind](json.loads(file.read_text()))
    file.write_bytes(odd.encode() if isinstance(odd, str) else odd)
    assert store.problem("quantize", made.key) == NO_MANIFEST
    assert [found.key for found in store.manifests()] == [intact.key]
    assert call("list").count(NO_MANIFEST) == 1
    assert NO_MANIFEST in call("verify")
    assert made.key in call("gc")
    again = publish(store, recipe(a=2), {"model.bin": "weights"})
    assert store.problem("quantize", again.key, deep=True) is None


@pytest.mark.parametrize("place", [os.mkdir, os.mkfifo, lambda file: os.symlink("/nowhere", file)])
def test_what_is_no_file_in_a_manifests_place_is_damage(store, place):
    made = publish(store, recipe(), {"model.bin": "weights"})
    file = store.path("quantize", made.key) / "manifest.json"
    file.unlink()
    place(file)
    assert store.problem("quantize", made.key) == NO_MANIFEST
    assert NO_MANIFEST in call("list")
    with pytest.raises(RequestError, match=r"has no manifest\.json that can be read"):
        find_artifact(store, made.key[:6])
    publish(store, recipe(), {"model.bin": "weights"})
    assert store.problem("quantize", made.key) is None


def test_a_newer_versions_manifest_is_read_over_and_kept(store):
    made = publish(store, recipe("stage3"), {"model.bin": "weights"})
    file = store.path("stage3", made.key) / "manifest.json"
    document = json.loads(file.read_text())
    document["signed_by"] = {"who": "a newer version"}
    document["recipe"]["hardware"] = "H200"
    file.write_text(json.dumps(document))
    assert store.manifest("stage3", made.key) == made
    assert store.problem("stage3", made.key) is None
    assert "Nothing to remove." in call("gc", "--yes")
    assert json.loads(file.read_text()) == document


def test_a_mark_of_utf8_before_a_manifest_is_no_fault(store):
    made = publish(store, recipe(), {"model.bin": "weights"})
    file = store.path("quantize", made.key) / "manifest.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert store.manifest("quantize", made.key) == made


def test_an_unknown_step_and_odd_metrics_are_listed_and_shown(store):
    publish(store, recipe("distill"), {"model.bin": "w"}, metrics={"checks": [1], "name": None})
    publish(store, recipe("register"), {"model.bin": "w"}, finished="yesterday")
    for command in ("list", "gc", "verify"):
        assert "Traceback" not in call(command)
    assert "distill" in call("show", store.manifests("distill")[0].key)
    assert "yesterday" in call("list")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", "{", "\0\0", "[" * 9999, '{"tag": 1}', "NaN",
     '{"tag": "m:one", "sha256": "../../../etc/passwd", "size": 1, "modelfile": {}}',
     '{"tag": "m:one", "sha256": null, "size": -1, "modelfile": null}'],
)  # fmt: skip
def test_an_odd_file_of_a_served_model_is_a_model_that_is_not_there(home, text):
    gguf = home / "model.gguf"
    gguf.write_bytes(b"GGUF")
    registry = home / "serving"
    embedded_registry.put(registry, "m:two", gguf, Modelfile("T", "S", {}))
    (registry / "models" / "m%3Aone.json").write_text(text)
    assert embedded_registry.get(registry, "m:one") is None
    assert [entry.tag for entry in embedded_registry.entries(registry)] == ["m:two"]
    assert "m%3Aone.json says nothing that can be read" in call("verify")
    embedded_registry.put(registry, "m:one", gguf, Modelfile("T", "S", {}))
    assert embedded_registry.get(registry, "m:one")
    (registry / "models" / "m%3Aone.json").write_text(text)
    embedded_registry.delete(registry, "m:one")
    assert embedded_registry.get(registry, "m:two")


@pytest.mark.parametrize("text", ["", "null", "[]", "7", "{", "\0", "[" * 9999, '{"FILE": 7}'])
def test_an_odd_memory_of_digests_costs_one_reading(tmp_path, text):
    file = tmp_path / "file"
    file.write_text("one")
    (tmp_path / "memory.json").write_text(text.replace("FILE", str(file)))
    memory = DigestMemory(tmp_path / "memory.json")
    digest = memory.digest_of(file)
    memory.save()
    assert DigestMemory(tmp_path / "memory.json").digest_of(file) == digest
