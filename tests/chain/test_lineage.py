"""What an artifact was made from is found to the end, in order, also where a part of it is gone."""

import shutil
from dataclasses import asdict

import pytest

from tasks.core.chain.lineage import trace
from tasks.core.chain.store import Store
from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json
from tests.chain.stores import publish, recipe


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def made(store, step, minute, *upstream, **settings):
    lineage = {other.recipe.step: other.key for other in upstream}
    finished = f"2026-11-30T05:{minute:02d}:00.000+00:00"
    files = {"model.bin": step}
    return publish(store, recipe(step, **settings), files, lineage=lineage, finished=finished)


def test_all_that_was_read_comes_before_its_readers(store):
    download = made(store, "download", 1)
    market = made(store, "market", 9)
    rows = made(store, "synthesize", 5, download, market)  # found before, by a clock that went back
    stage = made(store, "stage2", 12, download, rows)
    made(store, "stage2", 13, download, epochs=2)  # another one, which is none of its ancestors
    found = trace(store, stage)
    steps = [ancestor.name[0] for ancestor in found]
    assert steps == ["download", "market", "synthesize", "stage2"]
    assert found[-1].reads == (("download", download.key), ("synthesize", rows.key))


def test_two_artifacts_of_one_step_are_both_there(store):
    old, new = (made(store, "market", minute, day=minute) for minute in (1, 2))
    rows = made(store, "synthesize", 3, old)
    evaluation = made(store, "evaluate", 4, new, rows)
    markets = [step for step, _ in (ancestor.name for ancestor in trace(store, evaluation))]
    assert markets.count("market") == 2


def test_what_is_gone_is_named_without_a_manifest(store):
    download = made(store, "download", 1)
    rows = made(store, "normalize", 2, download)
    stage = made(store, "stage1", 3, rows)
    shutil.rmtree(store.path("normalize", rows.key))
    gone, last = trace(store, stage)
    assert (gone.name, gone.manifest) == (("normalize", rows.key), None)
    assert last.manifest == stage


def test_manifests_that_name_each_other_are_refused(store):
    first = made(store, "merge", 1)
    second = made(store, "gguf", 2, first)
    changed = asdict(first) | {"lineage": {"gguf": second.key}}
    write_json(store.path("merge", first.key) / "manifest.json", changed)
    with pytest.raises(WorkError, match="These artifacts name each other.*merge.*--force STEP"):
        trace(store, second)
