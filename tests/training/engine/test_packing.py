"""Rows dealt out to packs, in which those that begin alike share the beginning."""

from random import Random

import torch
from torch import Tensor

from tasks.core.training.engine.attention import attend
from tasks.core.training.engine.pack import Pack
from tasks.core.training.engine.packing import make_packs, pack_of
from tasks.core.training.rows.dealing import micro_batches
from tasks.core.training.rows.records import IGNORED, Conversation
from tasks.core.training.rows.sequences import count_tokens, sequences_of, sequences_of_lengths
from tests.training.encoded import conversation, pair, pair_rows, sft_rows

CPU = torch.device("cpu")


def row(*ids: int, trained: int = 1) -> Conversation:
    """Its last tokens are trained."""
    return conversation(list(ids), [IGNORED] * (len(ids) - trained) + list(ids[-trained:]))


def rows_of_three_beginnings(count: int) -> list[Conversation]:
    """Of three beginnings, one of which begins with another."""
    random = Random(4)
    beginnings = [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7, 8], [9, 8]]
    return [
        row(
            *random.choice(beginnings),
            *(random.randrange(10, 30) for _ in range(random.randrange(1, 20))),
        )
        for _ in range(count)
    ]


def seen_by(pack: Pack, query: int) -> list[int]:
    """The tokens whose values reach this token of the pack, in order, which its segment's attention
    lets it see.
    """
    count = len(pack.ids)
    values = torch.eye(count)[:, None]  # each token tells who it is
    nothing = torch.zeros(count, 1, count)
    weights: Tensor = attend(nothing, nothing, values, pack)[query, 0]
    return pack.ids[weights.nonzero()[:, 0]].tolist()


def test_every_token_sees_what_stands_before_it_in_its_own_row_and_nothing_else():
    rows = [
        row(1, 2, 3, 4, trained=2),
        row(1, 2, 5, 6, trained=2),
        row(1, 2, 3),
        row(7, 8),
        row(1, 2, 3, 4),
    ]
    pack = pack_of(rows, CPU)
    assert pack.ids.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert pack.positions.tolist() == [0, 1, 2, 3, 2, 3, 0, 1]
    assert [seen_by(pack, query) for query in range(8)] == [
        [1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 5], [1, 2, 5, 6], [7], [7, 8],
    ]  # fmt: skip
    # each row's own targets, predicted by the token before, in the rows' order
    assert pack.targets.tolist() == [3, 4, 5, 6, 3, 8, 4]
    assert pack.ids[pack.predicting].tolist() == [2, 3, 2, 5, 2, 7, 3]
    assert pack.owners.tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert pack.answers == 5


def test_a_pairs_answers_share_its_prompt_and_pairs_share_what_they_can():
    pack = pack_of([pair([1, 2, 3], [4, 5], [4, 6]), pair([1, 2, 7], [8], [9])], CPU)
    assert pack.ids.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [seen_by(pack, query) for query in (5, 8)] == [[1, 2, 3, 4, 6], [1, 2, 7, 9]]
    assert pack.targets.tolist() == [4, 5, 4, 6, 8, 9]
    assert pack.ids[pack.predicting].tolist() == [3, 4, 3, 4, 7, 7]
    assert pack.owners.tolist() == [0, 0, 1, 1, 2, 3]


def test_rows_that_share_nothing_take_their_keys_as_they_are():
    rows = [row(1, 2, 3), row(2, 2, 3), row(3)]
    assert pack_of(rows, CPU).key_indices is None
    assert pack_of([*rows, row(1, 5)], CPU).key_indices is not None


def test_a_rows_first_token_is_never_a_target():
    rows = [row(4, 5, 6, trained=3)]
    assert pack_of(rows, CPU).targets.tolist() == [5, 6]


def test_packs_hold_every_row_once_and_no_more_than_fits():
    for rows in (
        sft_rows((30, 7, 12, 40, 3, 22, 9, 51)),
        rows_of_three_beginnings(40),
        pair_rows(),
    ):
        seen = []
        for packed in make_packs(rows, 50, CPU):
            tokens = len(packed.pack.ids)
            assert tokens <= 50 or len(packed.rows) == 1
            assert tokens == count_tokens([rows[index] for index in packed.rows])
            seen += packed.rows
        assert sorted(seen) == list(range(len(rows)))
    assert (
        len(micro_batches(sequences_of_lengths([30, 7, 12, 40, 3, 22, 9, 51]), 50)) == 4
    )  # 174 tokens, one row too long for any pack


def test_what_packs_hold_is_counted_without_making_them():
    random, rows = (
        Random(1),
        [*rows_of_three_beginnings(30), *pair_rows(), pair([1, 2, 3, 4], [5], [5, 6])],
    )
    sequences = sequences_of(rows)
    for _ in range(50):
        some = random.sample(range(len(rows)), random.randrange(1, len(rows)))
        pack, counted = pack_of([rows[place] for place in some], CPU), sequences.packed(some)
        assert (counted.tokens, counted.keys, counted.targets) == (
            len(pack.ids),
            sum(pack.key_lengths),
            len(pack.targets),
        )
    assert sequences.alone == [len(pack_of([row], CPU).ids) for row in rows]
    assert sequences.packed(range(len(rows))).tokens < 0.7 * sum(sequences.alone)


def test_bins_of_many_rows_are_of_nearly_the_same_size():
    sequences = sequences_of(rows_of_three_beginnings(200))
    sizes = [sequences.packed(places).tokens for places in micro_batches(sequences, 300)]
    assert max(sizes) <= 300
    assert min(sizes) > 0.9 * max(sizes)


def test_no_rows_are_no_packs():
    """A card's share of a small step may be none."""
    assert list(make_packs([], 50, CPU)) == []
