"""Synthetic rows: exact shares, the same bytes from the same seed, every row in its budget."""

import json
from collections import Counter

import pytest

from tasks.core.errors import WorkError
from tasks.core.kinds import KINDS
from tasks.core.market.invented import write_invented
from tasks.core.records.market_days import read_snapshots
from tasks.core.scripts import HANGUL, HANJA
from tasks.core.settings.tree import Pairs, Synthesis
from tasks.core.strategy.rules import NUMBERS
from tasks.core.strategy.universe import etfs
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.kind_rows import Source, shares
from tasks.core.synthesis.pairs import build_pairs
from tests.market.folders import contents
from tests.synthetic import read_lines, synthetic_rows, whitespace_tokenizer


def test_rows_have_their_exact_shares(train, tmp_path):
    source = Source(train, whitespace_tokenizer(tmp_path), Synthesis(rows=200))
    metrics = synthesize(source, tmp_path)
    rows = read_lines(tmp_path / "rows.jsonl")
    assert metrics["kind"] == {known.name: round(200 * known.share) for known in KINDS}
    assert metrics["language"] == {"ko": 100, "en": 100}
    assert metrics["rows"] == len({row["messages"][1]["content"] for row in rows}) == 200
    assert all(row["metadata"]["market_generated"] for row in rows)
    assert abs(metrics["real"] - 140) <= len(KINDS) / 2  # rounded within each kind
    hurried = Counter(
        row["metadata"]["kind"] for row in rows if "missing_inputs" in row["messages"][2]["content"]
    )
    for kind in KINDS:
        assert hurried[kind.name] == round(kind.needs.partial_share * metrics["kind"][kind.name])


def test_shares_sum_to_the_total_and_equal_remainders_go_where_they_always_went():
    for total in (1, 24, 97, 5_000):
        quotas = shares(KINDS, total, korean_share=0.3)
        assert [quota.kind for quota in quotas] == list(KINDS)
        assert sum(quota.korean + quota.english for quota in quotas) == total
    rows = [quota.korean + quota.english for quota in shares(KINDS, 75, korean_share=0.5)]
    assert rows == [16, 7, 7, 6, 5, 5, 5, 5, 5, 5, 5, 4]  # other numbers would be other rows


def test_one_language_alone_can_be_asked_for(train, tmp_path):
    rows = synthetic_rows(train, tmp_path / "out", rows=24, korean_share=1.0, real_share=0.0)
    assert {row["metadata"]["language"] for row in rows} == {"ko"}
    assert {row["metadata"]["date"] for row in rows} == {None}


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(train, tmp_path):
    for name, seed in (("a", 42), ("b", 42), ("c", 7)):
        synthetic_rows(train, tmp_path / name, rows=100, seed=seed)
        build_pairs(
            tmp_path / name / "rows.jsonl",
            tmp_path / name / "tokenizer.json",
            Pairs(rows=30, seed=seed),
            tmp_path / name,
        )
    for file in ("rows.jsonl", "pairs.jsonl"):
        same, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert same == again != other


def test_simulated_rows_are_about_days_of_invented_markets(train, tmp_path):
    parts = write_invented(tmp_path, 2, seed=7, progress=lambda share, text: None)
    synthesis = Synthesis(rows=60, real_share=0.5, invented_markets=2)
    source = Source(train, whitespace_tokenizer(tmp_path), synthesis, tuple(parts))
    report = synthesize(source, tmp_path)
    days = {numbers_of(day) for part in parts for day in read_snapshots(part)}
    simulated = [row for row in read_lines(tmp_path / "rows.jsonl") if not row["metadata"]["day"]]
    assert len(simulated) == 60 - report["real"] > 20
    for row in simulated:
        told = row["metadata"]
        stated = told["scene"]["facts"]["numbers"]
        assert told["date"] is None
        if set(NUMBERS) <= set(stated):
            assert tuple(stated[name] for name in NUMBERS) in days
    again = write_invented(tmp_path / "again", 2, seed=7, progress=lambda share, text: None)
    assert [contents(part) for part in again] == [contents(part) for part in parts]


def numbers_of(day):
    return tuple(getattr(day, name) for name in NUMBERS)


def test_a_budget_that_no_row_fits_is_refused(train, tmp_path):
    tokenizer, out = whitespace_tokenizer(tmp_path), tmp_path / "out"
    out.mkdir()
    with pytest.raises(WorkError, match="synthesis.token_budget=20"):
        synthesize(Source(train, tokenizer, Synthesis(rows=5, token_budget=20)), out)
    assert not list(out.iterdir())


def test_a_budget_that_some_kind_cannot_meet_is_told_before_any_row_is_made(train, tmp_path, rows):
    shortest = min(metadata["tokens"] for metadata in full_analyses(rows))
    out = tmp_path / "out"
    out.mkdir()
    tokenizer = whitespace_tokenizer(tmp_path)
    with pytest.raises(WorkError, match="shortest of 100 .* rows in .. has .* tokens.*Set synth"):
        synthesis = Synthesis(rows=200, token_budget=shortest // 2)
        synthesize(Source(train, tokenizer, synthesis), out)
    assert not list(out.iterdir())


def full_analyses(rows):
    """The metadata of the rows of this kind, which offers the most stocks."""
    return [row["metadata"] for row in rows if row["metadata"]["kind"] == "full_analysis"]


def stocks_offered(analyses):
    return sum(len(metadata["scene"]["facts"]["stocks"]) for metadata in analyses)


def test_a_tight_budget_means_fewer_stocks_of_every_regime(rows, train, tmp_path):
    wide = full_analyses(rows)
    budget = round(0.9 * max(metadata["tokens"] for metadata in wide))
    tight_rows = synthetic_rows(train, tmp_path / "tight", rows=200, token_budget=budget)
    tight = full_analyses(tight_rows)
    assert max(metadata["tokens"] for metadata in tight) <= budget
    assert stocks_offered(tight) < stocks_offered(wide)
    assert {metadata["regime"] for metadata in tight} == {metadata["regime"] for metadata in wide}


def test_no_text_has_hanja_in_it_and_every_language_keeps_to_itself(rows):
    for row in rows:
        question, reply = (message["content"] for message in row["messages"][1:])
        assert not HANJA.search(question + reply)
        for fund in sorted(etfs(), key=lambda fund: -len(fund.name_ko)):  # brand names
            question = question.replace(fund.name_ko, "")
        assert bool(HANGUL.search(question)) == (row["metadata"]["language"] == "ko")


def test_an_event_moves_at_least_one_of_the_offered_stocks(rows):
    for row in rows:
        if row["metadata"]["kind"] == "sector_analysis":
            assert json.loads(row["messages"][2]["content"])["affected_stocks"]
