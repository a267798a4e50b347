"""gc removes nothing that a run came to need, whatever the clock says; it finds what kills left."""

import os
import subprocess
import sys
import threading
import time

import pytest

from tasks.core.chain.housekeeping import garbage, remove, remove_dead_locks
from tasks.core.chain.store import Store
from tasks.core.files.scratch import scratch_folder
from tests.chain.stores import publish, recipe

RESUMABLE = {"stage1"}
YEARS_LATER = "2031-01-01T00:00:00.000+00:00"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "artifacts")


def remove_all(store, found):
    return remove(store, found, found.unneeded, RESUMABLE)


def paths(found):
    return {entry.path for entry in found.unneeded}


def test_a_run_that_began_after_the_listing_keeps_what_it_reads(store):
    old = publish(store, recipe("stage1", a=1), {"a.bin": "1"})
    other = publish(store, recipe("stage1", a=2), {"a.bin": "2"})
    publish(store, recipe("stage1", a=3), {"a.bin": "3"})
    listed = garbage(store, RESUMABLE)
    assert paths(listed) == {store.path("stage1", old.key), store.path("stage1", other.key)}
    with store.running():
        removed = remove_all(store, listed)
    assert (removed.freed, len(removed.spared)) == (0, 2)
    with store.running():  # it came and went, and made something of an old one
        publish(store, recipe("merge"), {"a.bin": "m"}, lineage={"stage1": old.key})
    removed = remove_all(store, listed)
    assert [entry.path for entry in removed.spared] == [store.path("stage1", old.key)]
    assert store.problem("stage1", old.key) is None
    assert store.problem("stage1", other.key) == "not there"


def test_what_is_made_or_read_at_this_moment_stays(store):
    old = publish(store, recipe("stage1", a=1), {"a.bin": "1"})
    publish(store, recipe("stage1", a=2), {"a.bin": "2"})
    listed = garbage(store, RESUMABLE)
    with store.locked(f"stage1-{old.key}"):
        assert len(remove_all(store, listed).spared) == 1
    assert store.problem("stage1", old.key) is None


def test_an_attempt_that_a_run_took_up_stays(store):
    attempt = store.root / ".staging" / "stage1-0123"
    attempt.mkdir(parents=True)
    (attempt / "checkpoint.bin").write_text("an hour of training")
    (attempt.parent / "stage1-0123.json").write_text("{}")
    listed = garbage(store, RESUMABLE)
    assert [entry.path.name for entry in listed.attempts] == ["stage1-0123", "stage1-0123.json"]
    with store.locked("stage1-0123"):
        assert len(remove(store, listed, listed.attempts, RESUMABLE).spared) == 2
    assert (attempt / "checkpoint.bin").exists()
    assert remove(store, listed, listed.attempts, RESUMABLE).spared == []
    assert not attempt.exists()


def test_no_run_begins_in_the_middle_of_a_removal(store):
    begun = threading.Event()

    def run():
        with store.running():
            begun.set()

    with store.gate():
        thread = threading.Thread(target=run)
        thread.start()
        assert not begun.wait(0.2)
    thread.join()
    assert begun.is_set()


def test_the_newest_is_the_one_made_last_after_the_clock_went_back(store):
    old = publish(store, recipe("stage1", a=1), {"a.bin": "1"}, finished=YEARS_LATER)
    new = publish(store, recipe("stage1", a=2), {"a.bin": "2"}, finished="2026-11-30T00:00:00")
    assert paths(garbage(store, RESUMABLE)) == {store.path("stage1", old.key)}
    assert store.manifests("stage1")[-1] == new
    assert store.before(new.recipe, "demo").key == old.key


def test_content_that_a_kill_left_between_promotion_and_its_end_goes(store):
    merge = publish(store, recipe("merge"), {"a.bin": "merged"}, expendable=True)
    gguf = publish(store, recipe("gguf"), {"a.bin": "f16"}, expendable=True,
                   lineage={"merge": merge.key})  # fmt: skip
    publish(store, recipe("promote"), {"a.bin": "p"}, lineage={"gguf": gguf.key})
    store.keep(gguf.ref)
    (entry,) = garbage(store, RESUMABLE).unneeded
    assert (entry.expends, entry.size) == (merge.ref, 6)
    assert remove_all(store, garbage(store, RESUMABLE)).freed == 6
    assert store.expended(merge)
    assert garbage(store, RESUMABLE).unneeded == []


def test_content_that_a_kill_left_in_the_middle_of_expending_goes(store):
    merge = publish(store, recipe("merge"), {"a.bin": "one", "b.bin": "two"}, expendable=True)
    store.expend(merge.ref)
    (store.path("merge", merge.key) / "b.bin").write_text("two")
    (entry,) = garbage(store, RESUMABLE).unneeded
    assert remove_all(store, garbage(store, RESUMABLE)).freed == 3
    assert not (store.path("merge", merge.key) / "b.bin").exists()


def test_what_killed_downloads_and_releases_left_goes_after_an_hour(store, tmp_path):
    publish(store, recipe(), {"a.bin": "1"})
    left = [tmp_path / "downloads" / "tmpab12", tmp_path / ".kospilot-release-x"]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "model.whl").write_text("93 MB")
    assert garbage(store, RESUMABLE).unneeded == []  # it may be at work
    for path in (*left, *(folder / "model.whl" for folder in left)):
        os.utime(path, (time.time() - 4000,) * 2)
    assert paths(garbage(store, RESUMABLE)) == set(left)
    remove_all(store, garbage(store, RESUMABLE))
    assert not any(folder.exists() for folder in left)


def test_what_a_kill_left_half_written_goes_after_an_hour(store, tmp_path):
    publish(store, recipe(), {"a.bin": "1"})
    names = (".status.json.12", "artifacts/.digests.json.3", "serving/blobs/.0a.gguf.4194304")
    left = [tmp_path / name for name in names]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    market = tmp_path / "market" / ".demo.77"
    (market / "year=2024").mkdir(parents=True)
    whole = [tmp_path / name for name in ("status.json", "artifacts/.digests.json", ".hidden")]
    for file in whole:
        file.write_text("whole")
    assert garbage(store, RESUMABLE).unneeded == []  # it may be written just now
    long_ago = (time.time() - 4000,) * 2
    for path in (*left, *whole, market / "year=2024", market):
        os.utime(path, long_ago)
    assert paths(garbage(store, RESUMABLE)) == {*left, market}
    remove_all(store, garbage(store, RESUMABLE))
    assert not any(path.exists() for path in (*left, market))
    assert all(file.exists() for file in whole)


def test_scratch_of_a_dead_process_goes_after_an_hour(store, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import os; from tasks.core.files.scratch import scratch_folder\n"
        "with scratch_folder() as folder:\n"
        "    print(folder, flush=True); os.kill(os.getpid(), 9)"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True)
    dead = tmp_path / done.stdout.strip()
    assert dead.is_dir()
    assert dead.parent == tmp_path
    with scratch_folder() as alive:
        assert dead not in paths(garbage(store, RESUMABLE))  # another container's, perhaps
        for folder in (dead, alive):
            os.utime(folder, (time.time() - 4000,) * 2)
        assert dead in paths(garbage(store, RESUMABLE))
        remove_all(store, garbage(store, RESUMABLE))
        assert not dead.exists()
    assert not os.path.exists(alive)


def test_runs_with_equal_process_ids_do_not_wait_for_each_other(store):
    begun = threading.Event()

    def run():
        with Store(store.root).running():
            begun.set()

    with store.running():
        thread = threading.Thread(target=run)
        thread.start()
        assert begun.wait(10)
    thread.join()
    assert store.run_locks() == []


def test_the_lock_of_a_killed_run_goes_and_that_of_a_live_one_stays(store):
    code = (
        "import os, pathlib, sys, time; from tasks.core.chain.store import Store\n"
        "with Store(pathlib.Path(sys.argv[1])).running():\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "held\n"
        assert store.is_running()
        assert remove_dead_locks(store) == 0
        owner.kill()
    assert not store.is_running()
    assert remove_dead_locks(store) == 1
    assert store.run_locks() == []
    with store.running():
        assert store.is_running()
    assert store.run_locks() == []
