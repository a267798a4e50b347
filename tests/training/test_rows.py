"""Which rows fit, and what is said about rows that cannot be used."""

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.selection import select
from tests.tiny import chat_rows, write_jsonl
from tests.training.encoded import conversation


def encoded(*lengths):
    return [conversation([number] * length) for number, length in enumerate(lengths)]


def test_long_rows_are_left_out_whole():
    rows = select(encoded(10, 11, 12), max_length=11, budget=0, seed=1)
    assert sorted(row.positions for row in rows.train) == [10, 11]
    assert rows.left_out == {"longer than max_length": 1, "beyond the token budget": 0}


def test_rows_are_taken_in_seeded_order_while_the_budget_lasts():
    rows = encoded(*[10] * 19)
    first, again = (select(rows, 100, budget=55, seed=1) for _ in range(2))
    assert first == again
    assert first.positions == 50
    assert first.left_out["beyond the token budget"] == 14
    assert select(rows, 100, budget=55, seed=2).train != first.train


@pytest.mark.parametrize(("count", "kept"), [(19, 0), (20, 1), (350, 3), (60_000, 500)])
def test_a_hundredth_of_the_rows_is_kept_for_the_eval_loss(count, kept):
    rows = select(encoded(*[1] * count), 10, 0, 1)
    assert (len(rows.evaluation), len(rows.train)) == (kept, count - kept)


def test_no_row_that_fits_is_a_request_that_cannot_be_met():
    with pytest.raises(
        RequestError, match=r"No row fits training.max_length=9: the shortest of 2 has 10 tokens"
    ):
        select(encoded(10, 12), 9, 0, 1)
    with pytest.raises(RequestError, match="No row fits the stage's token_budget of 9 positions"):
        select(encoded(10, 12), 100, 9, 1)


def test_a_line_that_is_not_json_is_named(tmp_path):
    file = write_jsonl(tmp_path / "rows.jsonl", chat_rows(2))
    file.write_text(file.read_text() + '{"messages": [\n')
    with pytest.raises(WorkError, match=r"rows.jsonl, line 3 is not JSON"):
        list(RowFile(file, "sft").read())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no rows"),
        ('{"text": "a"}\n', "row 1 has no messages"),
        ("3\n", "row 1 has no messages"),
    ],
)
def test_a_file_without_usable_rows_is_refused(tmp_path, text, told):
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(WorkError, match=told):
        list(RowFile(file, "sft").read())


def test_a_damaged_parquet_is_named(tmp_path):
    file = tmp_path / "rows.parquet"
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(WorkError, match=r"rows.parquet cannot be read"):
        list(RowFile(file, "sft").read())
