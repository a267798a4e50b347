"""Which rows the proof of a stage of one's own is made with."""

from flows.commands.proof import _rows_of_stage
from tasks.core.chain.store import Store
from tests.chain.stores import flip_bit, publish, recipe


def test_a_stages_own_rows_are_taken_if_they_are_whole_and_passed_over_if_not(tmp_path):
    store = Store(tmp_path / "artifacts")
    rows = publish(store, recipe("synthesize"), {"rows.jsonl": "{}"}, ("*.jsonl",))
    lineage = {"synthesize": rows.key}
    stage = publish(store, recipe("stage2"), {"a.bin": "x"}, lineage=lineage)
    file = store.path("synthesize", rows.key) / "rows.jsonl"
    assert _rows_of_stage(stage, tmp_path).strategy == file
    flip_bit(file)
    assert _rows_of_stage(stage, tmp_path).strategy is None
