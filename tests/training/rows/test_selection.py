"""Which rows are trained, and what is said if none can be."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.training.rows.selection import select_rows
from tests.training.encoded import conversation


def encoded(*lengths):
    return [conversation([number] * length) for number, length in enumerate(lengths)]


def test_long_rows_are_left_out_whole():
    rows = select_rows(encoded(10, 11, 12), max_length=11, budget=0, seed=1)
    assert sorted(row.positions for row in rows.train) == [10, 11]
    assert rows.left_out == {"longer than max_length": 1, "beyond the token budget": 0}


def test_rows_that_the_template_refused_are_left_out_and_counted():
    rows = select_rows(encoded(10, 0, 11, 0), max_length=11, budget=0, seed=1)
    assert sorted(row.positions for row in rows.train) == [10, 11]
    assert rows.left_out["refused by the chat template"] == 2
    with pytest.raises(RequestError, match="refuses every one of 2 rows"):
        select_rows(encoded(0, 0), max_length=11, budget=0, seed=1)


def test_rows_are_taken_in_seeded_order_while_the_budget_lasts():
    rows = encoded(*[10] * 19)
    first, again = (select_rows(rows, 100, budget=55, seed=1) for _ in range(2))
    assert first == again
    assert first.positions == 50
    assert first.left_out["beyond the token budget"] == 14
    assert select_rows(rows, 100, budget=55, seed=2).train != first.train


@pytest.mark.parametrize(("count", "kept"), [(19, 0), (20, 1), (350, 3), (60_000, 500)])
def test_a_hundredth_of_the_rows_is_kept_for_the_eval_loss(count, kept):
    rows = select_rows(encoded(*[1] * count), 10, 0, 1)
    assert (len(rows.evaluation), len(rows.train)) == (kept, count - kept)


@pytest.mark.parametrize(("count", "kept"), [(2, 1), (9, 1), (13, 1), (90, 10), (1, 0)])
def test_a_share_of_ones_own_is_kept_of_few_rows_too(count, kept):
    rows = select_rows(encoded(*[1] * count), 10, 0, 1, 0.111)
    assert (len(rows.evaluation), len(rows.train)) == (kept, count - kept)


def test_no_row_that_fits_is_a_request_that_cannot_be_met():
    with pytest.raises(
        RequestError, match=r"No row fits training.max_length=9: the shortest of 2 has 10 tokens"
    ):
        select_rows(encoded(10, 12), 9, 0, 1)
    with pytest.raises(RequestError, match="No row fits the stage's token_budget of 9 positions"):
        select_rows(encoded(10, 12), 100, 9, 1)
