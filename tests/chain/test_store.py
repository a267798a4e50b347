"""The store: whole or not at all, damage is seen and named, locks free themselves, expended content
comes back.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from flows.commands.artifacts import gc
from tasks.core.chain.housekeeping import (
    find_artifact,
    garbage,
    unneeded_tags,
)
from tasks.core.chain.manifest import Draft, Recipe, digest_content
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError, WorkError

RESUMABLE = {"stage1", "stage2", "stage3", "evaluate", "rejects"}


def recipe(step="quantize", **settings):
    return Recipe(step, 1, {}, settings, {})


def publish(store, made, files, content=("*.bin",), expendable=False, profile="demo", lineage=None):
    with store.staging(made, resumes=False) as folder:
        for name, text in files.items():
            (folder / name).write_text(text)
        made_how = {"profile": profile, "finished": str(time.time()), "seconds": 1}
        return store.publish(folder, Draft(made, content, lineage or {}, expendable, {}, made_how))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "artifacts")


def test_published_is_found_and_intact(store):
    manifest = publish(store, recipe(a=1), {"model.bin": "weights", "report.txt": "beside"})
    assert store.manifest("quantize", recipe(a=1).key) == manifest
    assert store.problem("quantize", manifest.key, deep=True) is None
    assert manifest.content == ["model.bin"]


@pytest.mark.parametrize("left", ["..checked.json.41", ".manifest.json.41"])
def test_a_publishing_that_was_cut_off_is_done_again(store, monkeypatch, left):
    made = recipe("stage1")
    draft = Draft(made, ("*.bin",), {}, False, {}, {"profile": "demo", "finished": "2026-11-30"})
    rename = os.replace

    def refuse(source, target):
        if source.parent.name == ".staging":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target)

    with monkeypatch.context() as full, pytest.raises(OSError, match="No space left"):
        full.setattr(os, "replace", refuse)
        with store.staging(made, resumes=True) as folder:
            (folder / "model.bin").write_text("weights")
            store.publish(folder, draft)
    (folder / left).write_text("{")
    with store.staging(made, resumes=True) as folder:
        manifest = store.publish(folder, draft)
    assert list(manifest.files) == ["model.bin"]
    assert store.problem("stage1", manifest.key) is None
    assert not (store.path("stage1", manifest.key) / left).exists()


def test_files_are_for_every_user_that_the_umask_lets_read(store):
    made = recipe("stage1")
    with store.staging(made, resumes=False) as folder:
        (folder / "model.bin").touch(mode=0o600)
        (folder / "card.md").touch()
        usual = (folder / "card.md").stat().st_mode
        made_how = {"profile": "demo", "finished": "2026-11-30"}
        manifest = store.publish(folder, Draft(made, ("*.bin",), {}, False, {}, made_how))
    assert (store.path("stage1", manifest.key) / "model.bin").stat().st_mode == usual


def test_content_decides_the_digest_and_files_beside_it_do_not(store):
    one = publish(store, recipe(a=1), {"model.bin": "weights", "curve.txt": "1"})
    two = publish(store, recipe(a=2), {"model.bin": "weights", "curve.txt": "2"})
    assert one.key != two.key
    assert one.digest == two.digest


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "model.bin").unlink(), "model.bin is missing"),
        (lambda folder: (folder / "model.bin").write_text("cut"), "model.bin has 3 bytes, not 7"),
        (
            lambda folder: (folder / "manifest.json").write_text("{"),
            "its manifest.json is missing or damaged",
        ),
    ],
)
def test_damage_is_named(store, damage, told):
    manifest = publish(store, recipe(), {"model.bin": "weights"})
    damage(store.path("quantize", manifest.key))
    assert store.problem("quantize", manifest.key) == told


def test_a_changed_byte_is_seen(store):
    manifest = publish(store, recipe(), {"model.bin": "weights"})
    (store.path("quantize", manifest.key) / "model.bin").write_text("weightS")
    assert store.problem("quantize", manifest.key) == "the content of model.bin changed"
    assert store.problem("quantize", manifest.key, deep=True) == "the content of model.bin changed"


def test_an_error_discards_staging_except_for_steps_that_resume(store):
    for resumes in (False, True):
        with pytest.raises(ValueError, match="broke"), store.staging(recipe(), resumes) as folder:
            (folder / "checkpoint").write_text("1")
            raise ValueError("broke")
        assert (folder / "checkpoint").exists() is resumes


def test_expended_content_is_still_a_hit_and_must_come_back_equal(store):
    manifest = publish(store, recipe("merge"), {"model.bin": "weights"}, expendable=True)
    assert store.expend(manifest.ref) == 7
    assert store.problem("merge", manifest.key) is None
    assert store.expended(manifest)
    assert store.glance(manifest).size == 0
    with pytest.raises(WorkError, match="came out different when rebuilt"):
        store.restore(manifest, lambda out: (out / "model.bin").write_text("other"))
    store.restore(manifest, lambda out: (out / "model.bin").write_text("weights"))
    assert not store.expended(manifest)
    assert store.problem("merge", manifest.key, deep=True) is None


def test_a_digest_over_no_file_is_refused():
    with pytest.raises(WorkError, match="No file matches"):
        digest_content({"a.txt": (1, "x")}, ("*.bin",))


def test_the_lock_of_a_killed_owner_is_free(store, tmp_path):
    code = (
        "import sys, time, pathlib; from tasks.core.chain.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).locked('stage2-k'):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout.readline() == "held\n"
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    with store.locked("stage2-k"):
        pass


def test_keys_are_found_by_their_beginning(store):
    manifest = publish(store, recipe(), {"model.bin": "weights"})
    assert find_artifact(store, manifest.key[:6]) == manifest
    with pytest.raises(RequestError, match="No artifact's key begins with 'zz'"):
        find_artifact(store, "zz")


def test_garbage_spares_each_profiles_newest_and_what_they_are_made_from(store):
    old = publish(store, recipe("stage1", a=1), {"model.bin": "1"})
    base = publish(store, recipe("stage1", a=2), {"model.bin": "2"})
    publish(store, recipe("stage1", a=3), {"model.bin": "3"})
    publish(store, recipe("stage1", a=4), {"model.bin": "4"}, profile="kospi-7b")
    publish(store, recipe("merge"), {"model.bin": "m"}, lineage={"stage1": base.key})
    broken = store.path("merge", "broken")
    broken.mkdir()
    assert store.unreadable() == [broken]
    assert {entry.path for entry in garbage(store, RESUMABLE).unneeded} == {
        store.path("stage1", old.key),
        broken,
    }
    with store.running():
        assert garbage(store, RESUMABLE).unneeded == []
        assert garbage(store, RESUMABLE).working


def interrupted(store, name):
    """What a killed attempt leaves."""
    folder = store.root / ".staging" / name
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_text("30 hours")
    return folder


def test_garbage_spares_attempts_that_are_worked_at_and_keeps_resumable_ones_apart(store):
    stage, gguf = interrupted(store, "stage2-aa"), interrupted(store, "gguf-bb")
    spec = stage.with_suffix(".json")
    spec.write_text("{}")
    with store.locked("stage2-aa"), store.locked("gguf-bb"):
        found = garbage(store, RESUMABLE)
        assert (found.unneeded, found.attempts) == ([], [])
    found = garbage(store, RESUMABLE)
    assert [entry.path for entry in found.unneeded] == [gguf]
    assert [entry.path for entry in found.attempts] == [stage, spec]


def test_gc_removes_interrupted_training_only_when_told_to(store, monkeypatch):
    monkeypatch.setattr("flows.commands.artifacts._store", lambda: store)
    stage, gguf = interrupted(store, "stage2-aa"), interrupted(store, "gguf-bb")
    gc(yes=True)
    assert stage.exists()
    assert not gguf.exists()
    stage.with_suffix(".json").write_text("{}")
    gc(yes=True, attempts=True)
    assert not list(store.root.glob(".staging/*"))
    assert not list(store.root.glob(".trash/*"))


def register(store, key8):
    made = recipe("register", **{"release.name": "kospi", "n": key8})
    with store.staging(made, resumes=False) as folder:
        (folder / "registration.json").write_text(key8)
        how = {"profile": "demo", "finished": str(time.time()), "seconds": 1}
        metrics = {"tag": f"kospi-s3:{key8}"}
        store.publish(folder, Draft(made, ("*",), {}, False, metrics, how))


def test_models_that_no_name_and_no_kept_artifact_needs_may_go(store):
    for key8 in ("old", "new"):
        register(store, key8)
    left = {"kospi-parity:killed03", "kospi-s3:killed04"}
    noted = [*left, "kospi-s3:new"]  # the last one's artifact came, so that it is needed
    assert unneeded_tags(store, garbage(store, RESUMABLE), noted) == {*left, "kospi-s3:old"}


def test_what_was_before_is_asked_of_the_same_profile(store):
    first = publish(store, recipe("stage1", a=1), {"model.bin": "1"}, profile="kospi-7b")
    publish(store, recipe("stage1", a=2), {"model.bin": "2"}, profile="demo")
    now = publish(store, recipe("stage1", a=3), {"model.bin": "3"}, profile="kospi-7b")
    assert store.before(now.recipe, "kospi-7b", now.made["finished"]) == first
    assert store.before(first.recipe, "kospi-7b", first.made["finished"]) is None


def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_content_that_is_being_read_is_not_expended(store):
    manifest = publish(store, recipe("merge"), {"model.bin": "weights"}, expendable=True)
    with store.locked(f"merge-{manifest.key}"):
        expending = in_a_thread(lambda: store.expend(manifest.ref))
        expending.join(0.3)
        assert expending.is_alive()
        assert not store.expended(manifest)
    expending.join()
    assert store.expended(manifest)
