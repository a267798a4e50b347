"""A flipped bit in any file that a step reads is noticed before it is read, named, and mended."""

import hashlib
import json
import shutil

import pytest

from tasks.core.chain.manifest import matches
from tasks.core.chain.produce import find, produce
from tasks.core.chain.run import Run
from tasks.core.chain.served import verify_served
from tasks.core.chain.step import Step
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError, WorkError
from tasks.core.files import digests
from tasks.core.files.sealed import problem_of
from tasks.core.serving import embedded_registry
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.servers import HeldModels
from tasks.core.serving.weights import OllamaFiles
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tests.chain.stores import flip_bit, publish, recipe

DEMO = load("demo")
STEPS = chain(DEMO.settings)
READS = [(step.name, other) for step in STEPS.values() for other in step.reads]
NAMES = {
    "base/*": "base/model.safetensors",
    "sources/*": "sources/rows.csv",
    "*.safetensors": "model-00001-of-00002.safetensors",
    "*.json": "config.json",
}


def run_of(home, *steps):
    home.mkdir(exist_ok=True)
    named = {step.name: step for step in steps}
    return Run(DEMO, home, named, {}, (), lambda: lambda tag, digest: None)


def silent(share, text):
    """Nobody looks."""


def content_of(step):
    """A file for each pattern of a step's content."""
    files = {}
    for pattern in step.content:
        name = NAMES.get(pattern, pattern.replace("*", "part"))
        assert matches(name, [pattern])
        files[name] = f"what {step.name} wrote into {name}"
    return files


@pytest.mark.parametrize(("reader", "upstream"), READS)
def test_no_step_reads_a_flipped_bit(tmp_path, reader, upstream):
    store = Store(tmp_path / "artifacts")
    files = content_of(STEPS[upstream])
    made = publish(store, recipe(upstream), files, tuple(files))
    read = []

    def build(job):
        read.append(job.folder(upstream))
        return {}

    step = Step(reader, build, ("*",), reads={upstream: tuple(files)})
    for name in files:
        file = store.path(upstream, made.key) / name
        flip_bit(file, with_old_times=name.endswith(("n", "s")))
        with pytest.raises(WorkError) as told:
            run = run_of(tmp_path, Step(upstream, write, ("*",)), step)
            produce(run, reader, {upstream: made.ref}, silent)
        assert f"{upstream} {made.key} is damaged: the content of {name} changed" in str(told.value)
        assert "Run `kospilot run PROFILE` again, which makes it anew." in str(told.value)
        file.write_text(files[name])
    assert not read


def write(job):
    (job.out / "a.bin").write_text("weights")
    return {}


FIRST = Step("first", write, ("a.bin",))
SECOND = Step("second", write, ("a.bin",), reads={"first": ("a.bin",)})


def test_what_is_damaged_is_made_again_and_what_was_made_of_it_before_stays(tmp_path):
    run = run_of(tmp_path, FIRST, SECOND)
    first = produce(run, "first", {}, silent)
    produce(run, "second", {"first": first}, silent)
    flip_bit(run.store.path("first", first.key) / "a.bin", with_old_times=True)
    assert [(line.action, line.reason) for line in run.plan(["second"])] == [
        ("run", "its artifact is damaged: the content of a.bin changed"),
        ("depends", "runs if the content of first changes"),
    ]
    with pytest.raises(RequestError, match="first is not there .* the content of a.bin changed"):
        find(run, "first")
    assert produce(run, "first", {}, silent) == first
    assert [line.action for line in run.plan(["second"])] == ["skip", "skip"]


def test_rot_that_changes_no_time_is_found_by_verify_and_made_again(tmp_path, monkeypatch):
    run = run_of(tmp_path, FIRST)
    first = produce(run, "first", {}, silent)
    file = run.store.path("first", first.key) / "a.bin"
    state = [*file.stat()]
    flip_bit(file)
    monkeypatch.setattr("tasks.core.chain.intact.state_of", lambda path: state)
    (file.parent / ".checked.json").write_text(f'{{"a.bin": {state}}}')
    assert run.plan(["first"])[0].action == "skip"  # nothing tells that anything happened
    assert run.store.verify("first", first.key) == "the content of a.bin changed"
    assert run.plan(["first"])[0].reason == "its artifact is damaged: the content of a.bin changed"
    file.write_text("weights")  # from a backup
    assert run.store.verify("first", first.key) is None
    assert run.plan(["first"])[0].action == "skip"


def test_files_are_read_once_and_again_after_a_copy_of_the_store(tmp_path, monkeypatch):
    run = run_of(tmp_path, FIRST)
    first = produce(run, "first", {}, silent)
    read = []
    monkeypatch.setattr("tasks.core.chain.intact.digest_file", lambda file: read.append(file))
    assert run.store.problem("first", first.key) is None
    assert not read
    (tmp_path / "artifacts").rename(tmp_path / "moved")
    assert Store(tmp_path / "moved").problem("first", first.key) is None
    assert not read
    monkeypatch.undo()
    monkeypatch.setattr("tasks.core.chain.intact.digest_file", counted(read))

    shutil.copytree(tmp_path / "moved", tmp_path / "copied")
    for _ in range(2):
        assert Store(tmp_path / "copied").problem("first", first.key) is None
    assert len(read) == 1


def counted(read):
    def digest(file):
        read.append(file)
        return digests.digest_file(file)

    return digest


@pytest.mark.parametrize("text", ["", "null", "[1]", '{"a.bin": "x"}', "{", "\0", "[" * 5000])
def test_an_odd_memory_costs_one_reading(tmp_path, text):
    run = run_of(tmp_path, FIRST)
    first = produce(run, "first", {}, silent)
    folder = run.store.path("first", first.key)
    (folder / ".checked.json").write_text(text)
    assert run.store.problem("first", first.key) is None
    flip_bit(folder / "a.bin")
    (folder / ".checked.json").write_text(text)
    assert run.store.problem("first", first.key) == "the content of a.bin changed"


def serve(home, tag="m:one"):
    home.mkdir(exist_ok=True)
    gguf = home / "model.gguf"
    gguf.write_bytes(b"GGUF" + bytes(100))
    return embedded_registry.put(home / "serving", tag, gguf, Modelfile("T", "S", {}))


@pytest.mark.parametrize("with_old_times", [False, True])
def test_a_flipped_bit_in_served_weights_is_no_model_until_it_is_put_again(
    tmp_path, with_old_times
):
    entry = serve(tmp_path)
    blob = embedded_registry.blob_of(tmp_path / "serving", entry)
    assert embedded_registry.get(tmp_path / "serving", "m:one") == entry
    flip_bit(blob, with_old_times)
    assert embedded_registry.get(tmp_path / "serving", "m:one") is None
    (held,) = verify_served(Store(tmp_path / "artifacts"), tmp_path, lambda tag, digest: None)
    assert held.problem == f"the content of its weights changed: {blob}"
    (tmp_path / "model.gguf").unlink()  # it was the same file
    assert serve(tmp_path) == entry
    assert embedded_registry.get(tmp_path / "serving", "m:one") == entry


def test_a_damaged_blob_of_the_private_ollama_is_removed_and_registered_again(tmp_path):
    store = Store(tmp_path / "artifacts")
    gguf = publish(store, recipe("quantize"), {"model.gguf": "weights"}, ("model.gguf",))
    metrics = {"tag": "m:1", "digest": "d", "server": "ollama private"}
    lineage = {"quantize": gguf.key}
    made = publish(
        store, recipe("register"), {"r.json": "{}"}, ("*",), lineage=lineage, metrics=metrics
    )
    blob = tmp_path / "ollama/models/blobs" / f"sha256-{gguf.files['model.gguf'][1]}"
    blob.parent.mkdir(parents=True)
    blob.write_text("weights")
    assert verify_served(store, tmp_path, lambda tag, digest: None)[0].problem is None
    flip_bit(blob, with_old_times=True)
    (model,) = verify_served(store, tmp_path, lambda tag, digest: None)
    assert model.problem == f"the content of its weights changed: {blob} (removed)"
    assert not blob.exists()
    assert store.problem("register", made.key) == model.problem


def put_on_ollama(folder, name="m/1"):
    """Writes what an Ollama keeps of a model: its weights and a manifest that names them."""
    blob = folder / "blobs" / f"sha256-{hashlib.sha256(b'weights').hexdigest()}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_text("weights")
    manifest = folder / "manifests/registry.ollama.ai/library" / name
    manifest.parent.mkdir(parents=True)
    layer = {"digest": blob.name.replace("-", ":"), "size": 7}
    manifest.write_text(json.dumps({"config": None, "layers": [layer]}))
    return blob


def test_a_damaged_file_of_an_ollama_is_found_before_its_model_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "own"))
    ours = put_on_ollama(tmp_path / "ollama" / "models")
    theirs = put_on_ollama(tmp_path / "own")
    private, machine = OllamaFiles.private(tmp_path), OllamaFiles.of_machine(tmp_path)
    assert [files.find_damaged("m:1") for files in (private, machine)] == [None, None]
    assert private.find_damaged("m:2") is None
    assert private.find_damaged("../../../m:1") is None
    for blob in (ours, theirs):
        flip_bit(blob, with_old_times=True)
    assert [files.find_damaged("m:1") for files in (private, machine)] == [ours, theirs]
    sha256 = ours.name.removeprefix("sha256-")
    private.make_room(sha256)  # Ollama would take the file for the upload
    assert not ours.exists()
    assert private.find_damaged("m:1") == ours
    with pytest.raises(WorkError, match="Remove this file, and run the same command again"):
        machine.make_room(sha256)
    assert theirs.exists()


def test_the_plan_names_the_damaged_file_of_a_served_model(tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # a machine without Ollama
    entry = serve(tmp_path)
    held = HeldModels(tmp_path)
    assert held.problem("m:one", entry.digest) is None
    blob = embedded_registry.blob_of(tmp_path / "serving", entry)
    flip_bit(blob, with_old_times=True)
    assert held.problem("m:one", entry.digest) == f"the content of its weights changed: {blob}"
    assert f"m:one counts as not registered: the content of its weights changed: {blob}" in (
        caplog.text
    )


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{}", "{", "\0", "[" * 5000])
def test_an_odd_seal_is_a_damaged_checkpoint(tmp_path, text):
    (tmp_path / "kospilot.json").write_text(text)
    assert problem_of(tmp_path) is not None
