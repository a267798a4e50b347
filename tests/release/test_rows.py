"""Rows are read with their sorts, and taken in turn from each."""

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.apportionment import in_turn
from tasks.core.errors import WorkError
from tasks.core.release.rows import Row, read_rows
from tests.tiny import write_jsonl

CHAT = [{"role": "user", "content": "국면은?"}, {"role": "assistant", "content": "BEAR"}]


def test_strategy_rows_are_sorted_by_kind_and_language(tmp_path):
    metadata = [{"kind": "what_if", "language": language} for language in ("ko", "en")]
    file = write_jsonl(
        tmp_path / "rows.jsonl", [{"messages": CHAT, "metadata": each} for each in metadata]
    )
    assert read_rows(file) == [Row("what_if ko", CHAT), Row("what_if en", CHAT)]


def test_general_rows_are_sorted_by_source(tmp_path):
    file = tmp_path / "rows.parquet"
    table = pa.Table.from_pylist([{"messages": CHAT, "source": "krx_won"}] * 5_001)
    parquet.write_table(table, file)
    rows = read_rows(file)
    assert rows[0] == Row("krx_won", CHAT)
    assert len(rows) == 5_000


def test_a_file_without_rows_is_named(tmp_path):
    file = write_jsonl(tmp_path / "rows.jsonl", [])
    with pytest.raises(WorkError, match=f"{file} has no rows"):
        read_rows(file)


def test_each_sort_has_its_turn():
    rows = [Row(sort, [{"content": str(number)}]) for number, sort in enumerate("aaabac")]
    order = [(row.sort, row.messages[0]["content"]) for row in in_turn(rows, lambda row: row.sort)]
    assert order == [("a", "0"), ("b", "3"), ("c", "5"), ("a", "1"), ("a", "2"), ("a", "4")]
    assert list(in_turn([], str)) == []
