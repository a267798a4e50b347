"""A stage's file of rows: read in order, counted, picked from; what cannot be used is named."""

import pyarrow
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import WorkError
from tasks.core.training.rows import files
from tasks.core.training.rows.files import RowFile
from tests.tiny import chat_rows, write_jsonl


def write_parquet(file, rows):
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file


@pytest.mark.parametrize(
    ("write", "name"), [(write_jsonl, "rows.jsonl"), (write_parquet, "rows.parquet")]
)
def test_rows_are_read_in_order_however_few_at_once(tmp_path, monkeypatch, write, name):
    monkeypatch.setattr(files, "_ROWS_AT_ONCE", 2)
    rows = chat_rows(7)
    file = RowFile(write(tmp_path / name, rows), "sft")
    assert list(file.read()) == rows
    assert file.count() == 7
    assert file.pick([5, 0]) == {0: rows[0], 5: rows[5]}


def test_a_line_that_is_not_json_is_named(tmp_path):
    file = write_jsonl(tmp_path / "rows.jsonl", chat_rows(2))
    file.write_text(file.read_text() + '{"messages": [\n')
    with pytest.raises(WorkError, match=r"rows.jsonl, line 3 is not JSON"):
        list(RowFile(file, "sft").read())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no rows"),
        ('{"text": "a"}\n', "row 1 has no messages"),
        ("3\n", "row 1 has no messages"),
    ],
)
def test_a_file_without_usable_rows_is_refused(tmp_path, text, problem):
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(WorkError, match=problem):
        list(RowFile(file, "sft").read())


def test_a_damaged_parquet_is_named(tmp_path):
    file = tmp_path / "rows.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(WorkError, match=r"rows.parquet cannot be read"):
        list(RowFile(file, "sft").read())
