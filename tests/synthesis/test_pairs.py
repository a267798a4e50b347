"""Preference pairs: exact shares of the flaws, no rejected answer twice, its length no hint."""

from collections import Counter

import pytest

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_lines
from tasks.core.kinds.base import FLAWS
from tasks.core.settings.tree import Pairs
from tasks.core.synthesis.checks import check_row, check_rows
from tasks.core.synthesis.pairs import build_pairs
from tasks.core.synthesis.proven import are_proven
from tasks.core.synthesis.rejects import Reject
from tasks.core.synthesis.shortcuts import LENGTH_AUC, WORDS_AUC
from tests.synthetic import read_lines, synthetic_rows


def test_pairs_have_their_shares_and_length_tells_little(train, tmp_path):
    synthetic_rows(train, tmp_path / "rows", rows=200)
    report = build_pairs(
        tmp_path / "rows" / "rows.jsonl",
        tmp_path / "rows" / "tokenizer.json",
        Pairs(rows=500),
        tmp_path / "rows",
    )
    assert report["flaw"] == {
        "strategy_violation": 150,
        "quality_degradation": 150,
        "schema_violation": 100,
        "hallucination": 100,
    }
    for flaw, found in report["shortcuts"].items():
        # 100 pairs say less than 2,000: the bench prints those.
        assert found["length_auc"] <= LENGTH_AUC + 0.1 or flaw == "quality_degradation"
        assert found["words_auc"] <= WORDS_AUC + 0.1
        assert found["edit_words"] >= 1
    pairs = read_lines(tmp_path / "rows" / "pairs.jsonl")
    assert check_rows(pairs) == []
    texts = Counter(pair["prompt"][1]["content"] + pair["rejected"][0]["content"] for pair in pairs)
    assert max(texts.values()) == 1


def test_every_kind_gets_several_flaws_also_where_pairs_are_as_many_as_rows(train, tmp_path):
    """One seed for both gave all pairs of a kind the same flaw."""
    synthetic_rows(train, tmp_path / "rows", rows=120)
    build_pairs(
        tmp_path / "rows" / "rows.jsonl",
        tmp_path / "rows" / "tokenizer.json",
        Pairs(rows=120),
        tmp_path / "rows",
    )
    flaws: dict[str, set[str]] = {}
    for pair in read_lines(tmp_path / "rows" / "pairs.jsonl"):
        flaws.setdefault(pair["metadata"]["kind"], set()).add(pair["metadata"]["flaw"])
    assert flaws["full_analysis"] == set(FLAWS)
    assert all(len(several) > 1 for several in flaws.values())


def test_a_pair_that_is_no_pair_is_seen(train, tmp_path):
    synthetic_rows(train, tmp_path / "rows", rows=24)
    build_pairs(
        tmp_path / "rows" / "rows.jsonl",
        tmp_path / "rows" / "tokenizer.json",
        Pairs(rows=20),
        tmp_path / "rows",
    )
    pair = read_lines(tmp_path / "rows" / "pairs.jsonl")[0]
    right = {**pair, "rejected": pair["chosen"]}
    assert {problem.rule for problem in check_row(right)} == {"rejected"}
    renamed = {**pair, "metadata": {**pair["metadata"], "flaw": "none"}}
    assert {problem.rule for problem in check_row(renamed)} == {"flaw"}


def test_chosen_answers_are_proven_unless_their_rows_were(train, tmp_path):
    rows = synthetic_rows(train, tmp_path / "made", rows=24)
    file, tokenizer = tmp_path / "made" / "rows.jsonl", tmp_path / "made" / "tokenizer.json"
    assert are_proven(file)
    rows[0]["metadata"]["language"] = "fr"
    write_lines(file, rows)
    assert not are_proven(file)
    with pytest.raises(WorkError, match="pairs are not true; .* language"):
        build_pairs(file, tokenizer, Pairs(rows=24), tmp_path)
    for unreadable in ("[]", '{"proven', "\0"):
        file.with_name("report.json").write_text(unreadable)
        assert not are_proven(file)
    file.with_name("report.json").unlink()
    assert not are_proven(file)


def test_a_rejected_answer_is_proven_also_where_the_rows_were(train, tmp_path):
    rows = synthetic_rows(train, tmp_path / "made", rows=24)
    file, tokenizer = tmp_path / "made" / "rows.jsonl", tmp_path / "made" / "tokenizer.json"
    right = Reject(0, rows[0]["messages"][2]["content"], "hallucination", ("hallucination",))
    with pytest.raises(WorkError, match="its rejected answer is right"):
        build_pairs(file, tokenizer, Pairs(rows=24), tmp_path, [right])
