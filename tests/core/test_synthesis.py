"""Synthetic rows and pairs: exact shares, same seed same bytes, nothing untrue is published."""

import json
import re
from collections import Counter

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tasks.core.errors import WorkError
from tasks.core.market.demo import ensure_demo_market
from tasks.core.market.snapshots import build_market
from tasks.core.settings import Market, Pairs, Synthesis
from tasks.core.synthesis.checks import check_row
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.pairs import build_pairs


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    ensure_demo_market(folder / "daily")
    out = folder / "days"
    out.mkdir()
    build_market(folder / "daily", Market(), out)
    return out / "train"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A token for every run of letters: enough to count with."""
    words = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    words.save(str(file))
    return file


def made(train, tokenizer, out, **settings):
    out.mkdir()
    metrics = synthesize(train, tokenizer, Synthesis(**{"rows": 100, **settings}), out)
    return metrics, [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]


def test_rows_have_their_exact_shares(train, tokenizer, tmp_path):
    metrics, rows = made(train, tokenizer, tmp_path / "rows")
    assert metrics["kind"] == {"full_analysis": 58, "regime_classification": 26, "stop_loss_management": 16}
    assert metrics["language"] == {"ko": 50, "en": 50}
    assert len({row["messages"][1]["content"] for row in rows}) == 100
    assert all(row["metadata"]["market_generated"] for row in rows)
    assert abs(metrics["real"] - 70) <= 1


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(train, tokenizer, tmp_path):
    for name, seed in (("a", 42), ("b", 42), ("c", 7)):
        made(train, tokenizer, tmp_path / name, seed=seed)
        build_pairs(tmp_path / name / "rows.jsonl", Pairs(rows=30, seed=seed), tmp_path / name)
    for file in ("rows.jsonl", "pairs.jsonl"):
        same, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert same == again != other


def test_a_budget_that_no_row_fits_is_refused(train, tokenizer, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(WorkError, match="synthesis.token_budget=20"):
        synthesize(train, tokenizer, Synthesis(rows=5, token_budget=20), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_tight_budget_means_fewer_stocks_of_every_regime(train, tokenizer, tmp_path):
    _, rows = made(train, tokenizer, tmp_path / "wide")
    wide = [row["metadata"] for row in rows if row["metadata"]["kind"] == "full_analysis"]
    budget = round(0.85 * max(metadata["tokens"] for metadata in wide))
    _, rows = made(train, tokenizer, tmp_path / "tight", token_budget=budget)
    tight = [row["metadata"] for row in rows if row["metadata"]["kind"] == "full_analysis"]
    assert max(metadata["tokens"] for metadata in tight) <= budget
    offered = [sum(len(metadata["scene"]["stocks"]) for metadata in books) for books in (wide, tight)]
    assert offered[1] < offered[0]
    assert {metadata["regime"] for metadata in tight} == {metadata["regime"] for metadata in wide}


def test_no_text_has_hanja_in_it_and_every_language_keeps_to_itself(train, tokenizer, tmp_path):
    _, rows = made(train, tokenizer, tmp_path / "rows")
    for row in rows:
        question, reply = (message["content"] for message in row["messages"][1:])
        assert not re.search("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]", question + reply)
        assert bool(re.search("[\uac00-\ud7a3]", question)) == (row["metadata"]["language"] == "ko")


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda row: row["messages"][0].update(content="You are Qwen."), "not the strategy prompt"),
        (lambda row: row["metadata"].update(regime="SIDEWAYS"), "the numbers in its prompt say"),
        (lambda row: row["messages"][1].update(content=row["messages"][1]["content"] + " (999999)"), "999999"),
        (lambda row: row["messages"][2].update(content=row["messages"][2]["content"][:-2]), "answer grades"),
        (lambda row: row["messages"][1].update(content="市場 " + row["messages"][1]["content"]), "Hanja"),
        (lambda row: row["metadata"].update(template=7), "kept for evaluation"),
    ],
)
def test_an_untrue_row_is_seen(train, tokenizer, tmp_path, harm, told):
    _, rows = made(train, tokenizer, tmp_path / "rows", rows=12)
    assert not [problem for row in rows for problem in check_row(row)]
    harm(rows[0])
    assert any(told in problem for problem in check_row(rows[0]))


def test_pairs_have_their_shares_and_length_tells_little(train, tokenizer, tmp_path):
    made(train, tokenizer, tmp_path / "rows", rows=200)
    report = build_pairs(tmp_path / "rows" / "rows.jsonl", Pairs(rows=500), tmp_path / "rows")
    assert report["flaw"] == {
        "strategy_violation": 150, "quality_degradation": 150, "schema_violation": 100, "hallucination": 100
    }  # fmt: skip
    assert all(auc <= 0.75 for flaw, auc in report["length_auc"].items() if flaw != "quality_degradation")
    pairs = [json.loads(line) for line in (tmp_path / "rows" / "pairs.jsonl").read_text().splitlines()]
    texts = Counter(pair["prompt"][1]["content"] + pair["rejected"][0]["content"] for pair in pairs)
    assert max(texts.values()) == 1
