"""Synthetic rows and pairs: exact shares, same seed same bytes, nothing untrue is published."""

import json
import re
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from tasks.core.errors import WorkError
from tasks.core.kinds import (
    KINDS,
    intraday_rebalancing,
    kind_named,
    opening_momentum,
    regime_classification,
    sector_analysis,
)
from tasks.core.kinds.base import Scene
from tasks.core.kinds.scenes import Draw, draw_scene
from tasks.core.settings.tree import Pairs, Synthesis
from tasks.core.strategy.rules import NUMBERS
from tasks.core.strategy.universe import etfs, get_stock
from tasks.core.synthesis.checks import Failure, check_row, check_rows
from tasks.core.synthesis.generate import synthesize
from tasks.core.synthesis.pairs import build_pairs
from tasks.core.synthesis.reading import read_question
from tests.synthetic import (
    demo_market,
    made_up_days,
    read_lines,
    synthetic_rows,
    whitespace_tokenizer,
)


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return demo_market(tmp_path_factory.mktemp("market")) / "train"


@pytest.fixture(scope="module")
def rows(train, tmp_path_factory):
    return synthetic_rows(train, tmp_path_factory.mktemp("rows") / "out", rows=200)


# rows


def test_rows_have_their_exact_shares(train, tmp_path):
    metrics = synthesize(train, whitespace_tokenizer(tmp_path), Synthesis(rows=200), tmp_path)
    rows = read_lines(tmp_path / "rows.jsonl")
    assert metrics["kind"] == {known.name: round(200 * known.share) for known in KINDS}
    assert metrics["language"] == {"ko": 100, "en": 100}
    assert metrics["rows"] == len({row["messages"][1]["content"] for row in rows}) == 200
    assert all(row["metadata"]["market_generated"] for row in rows)
    assert abs(metrics["real"] - 140) <= len(KINDS) / 2  # rounded within each kind
    hurried = [row for row in rows if "missing_inputs" in row["messages"][2]["content"]]
    assert len(hurried) == round(0.15 * metrics["kind"]["regime_classification"])


def test_one_language_alone_can_be_asked_for(train, tmp_path):
    rows = synthetic_rows(train, tmp_path / "out", rows=24, korean_share=1.0, real_share=0.0)
    assert {(row["metadata"]["language"], row["metadata"]["date"]) for row in rows} == {
        ("ko", None)
    }


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(train, tmp_path):
    for name, seed in (("a", 42), ("b", 42), ("c", 7)):
        synthetic_rows(train, tmp_path / name, rows=100, seed=seed)
        build_pairs(tmp_path / name / "rows.jsonl", Pairs(rows=30, seed=seed), tmp_path / name)
    for file in ("rows.jsonl", "pairs.jsonl"):
        same, again, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert same == again != other


def test_a_budget_that_no_row_fits_is_refused(train, tmp_path):
    tokenizer, out = whitespace_tokenizer(tmp_path), tmp_path / "out"
    out.mkdir()
    with pytest.raises(WorkError, match="synthesis.token_budget=20"):
        synthesize(train, tokenizer, Synthesis(rows=5, token_budget=20), out)
    assert not list(out.iterdir())


def test_a_tight_budget_means_fewer_stocks_of_every_regime(rows, train, tmp_path):
    def books(of):
        return [row["metadata"] for row in of if row["metadata"]["kind"] == "full_analysis"]

    wide = books(rows)
    budget = round(0.9 * max(metadata["tokens"] for metadata in wide))
    tight = books(synthetic_rows(train, tmp_path / "tight", rows=200, token_budget=budget))
    assert max(metadata["tokens"] for metadata in tight) <= budget
    offered = [
        sum(len(metadata["scene"]["facts"]["stocks"]) for metadata in of) for of in (wide, tight)
    ]
    assert offered[1] < offered[0]
    assert {metadata["regime"] for metadata in tight} == {metadata["regime"] for metadata in wide}


def test_no_text_has_hanja_in_it_and_every_language_keeps_to_itself(rows):
    for row in rows:
        question, reply = (message["content"] for message in row["messages"][1:])
        assert not re.search("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]", question + reply)
        for fund in etfs():  # brand names
            question = question.replace(fund.name_ko, "")
        assert bool(re.search("[\uac00-\ud7a3]", question)) == (row["metadata"]["language"] == "ko")


# scenes


def test_an_event_moves_at_least_one_of_the_offered_stocks(rows):
    told = [
        json.loads(row["messages"][2]["content"])
        for row in rows
        if row["metadata"]["kind"] == "sector_analysis"
    ]
    assert all(answer["affected_stocks"] for answer in told)


def test_what_the_data_does_not_give_is_recorded_as_simulated():
    days = made_up_days()
    for seed in range(60):
        for known in (
            opening_momentum,
            sector_analysis,
            regime_classification,
            intraday_rebalancing,
        ):
            for real in (True, False):
                scene = draw_scene(known, days, Draw("en", real=real), Random(seed))
                said = {
                    *scene.facts.numbers,
                    *(name for line in scene.facts.stocks for name in line.numbers),
                }
                given = (set(NUMBERS) if real else set()) | {"beta", "per", "pbr"}
                assert set(scene.simulated) == said - given


def test_what_a_macro_file_gives_is_not_simulated_on_that_day():
    days = made_up_days()
    macro = {day.date: {"vix": 21.37, "usdkrw": 1301.24} for day in days.snapshots}
    days = replace(days, macro=macro)
    seen = set()
    for seed in range(40):
        scene = draw_scene(kind_named("overnight_gap"), days, Draw("en"), Random(seed))
        assert scene.facts.numbers["vix"] == 21.4 and "vix" not in scene.simulated
        assert "us_return_pct" in scene.simulated
        seen.add(scene.facts.numbers.get("usdkrw"))
        assert (
            "vix"
            in draw_scene(
                kind_named("overnight_gap"), days, Draw("en", real=False), Random(seed)
            ).simulated
        )
    assert seen == {None, 1301.2}


def test_tier_beta_and_us_correlation_say_whether_they_were_measured():
    days = made_up_days()
    measured = {
        date: [replace(line, beta=0.777, market_cap=0.5e12, us_correlation=0.6) for line in lines]
        for date, lines in days.stocks.items()
    }
    table = {
        date: [replace(line, market_cap=None) for line in lines]
        for date, lines in days.stocks.items()
    }
    mixed = {date: [*measured[date][:3], *table[date][3:6]] for date in table}

    def scene(stocks, of_kind) -> Scene:
        return draw_scene(of_kind, replace(days, stocks=stocks), Draw("en"), Random(4))

    for of_kind, names in (
        (sector_analysis, ("beta",)),
        (opening_momentum, ("tier", "us_correlation")),
    ):
        assert scene(measured, of_kind).origins == dict.fromkeys(names, "measured")
        assert scene(table, of_kind).origins == dict.fromkeys(names, "table")
    assert scene(mixed, kind_named("full_analysis")).origins == {"beta": "measured and table"}
    assert {line.numbers["beta"] for line in scene(measured, sector_analysis).facts.stocks} == {
        0.78
    }
    assert {
        tuple(line.words.values()) for line in scene(measured, opening_momentum).facts.stocks
    } == {("high", "mid")}
    for line in scene(table, opening_momentum).facts.stocks:
        assert line.words == {
            "us_correlation": get_stock(line.ticker).us_correlation,
            "tier": get_stock(line.ticker).tier,
        }


def test_a_valuation_that_means_nothing_is_not_printed():
    days = made_up_days()
    odd = {
        date: [replace(line, per=0.5, pbr=50.0) for line in lines]
        for date, lines in days.stocks.items()
    }
    scene = draw_scene(kind_named("full_analysis"), replace(days, stocks=odd), Draw("en"), Random(1))
    assert all(set(line.numbers) == {"beta"} for line in scene.facts.stocks)


# the proof


def first_of(rows, kind_name, **wanted):
    return json.loads(json.dumps(next(
        row for row in rows if row["metadata"]["kind"] == kind_name
        and all(row["metadata"][name] == value for name, value in wanted.items())
    )))  # fmt: skip


def said(row, place, change):
    row["messages"][place]["content"] = change(row["messages"][place]["content"])


@pytest.mark.parametrize(
    ("rule", "harm"),
    [
        ("system", lambda row: said(row, 0, lambda text: "You are Qwen.")),
        ("regime", lambda row: row["metadata"].update(regime="SIDEWAYS")),
        ("date", lambda row: row["metadata"].update(date="2019-01-02")),
        ("language", lambda row: row["metadata"].update(language="ko")),
        (
            "metadata",
            lambda row: row["metadata"].update(simulated=[*NUMBERS, *row["metadata"]["simulated"]]),
        ),
        ("metadata", lambda row: row["metadata"].update(date=None)),
        ("prompt", lambda row: said(row, 1, lambda text: text + " About 999 of them.")),
        ("prompt", lambda row: said(row, 1, lambda text: re.sub("market return", "return", text))),
        ("names", lambda row: said(row, 1, lambda text: text + "\n- Samsung Electronics(999999)")),
        ("hanja", lambda row: said(row, 1, lambda text: "市場 " + text)),
        ("schema", lambda row: said(row, 2, lambda text: text[:-2])),
        ("schema", lambda row: said(row, 2, lambda text: "[]")),
        ("held_out", lambda row: row["metadata"].update(template=8)),
        ("form", lambda row: row.pop("messages")),
        ("form", lambda row: row["messages"].pop()),
    ],
)
def test_an_untrue_row_is_seen(rows, rule, harm):
    row = next(row for row in rows if row["metadata"]["kind"] == "full_analysis" and row["metadata"]["date"]
               and row["metadata"]["language"] == "en")  # fmt: skip
    row = json.loads(json.dumps(row))
    assert not list(check_row(row))
    harm(row)
    assert rule in {found for found, _ in check_row(row)}


def test_failures_name_the_row_the_rule_and_the_values(rows):
    row = first_of(rows, "regime_classification", language="en")
    told = json.loads(row["messages"][2]["content"])
    wrong = {**told, "recommended_net_exposure_pct": told["recommended_net_exposure_pct"] + 1}
    row["messages"][2]["content"] = json.dumps(wrong)
    failures = check_rows([rows[0], row, rows[1]])
    right = told["recommended_net_exposure_pct"]
    detail = f"recommended_net_exposure_pct is {right + 1}, the strategy says {right}"
    assert Failure(2, "decision", detail) in failures
    assert {failure.row for failure in failures} == {2}


def test_a_rows_kind_is_known_from_its_answer_alone(rows):
    """Any JSONL of messages can be proven, with or without metadata."""
    assert check_rows([{"messages": row["messages"]} for row in rows]) == []


def test_a_reason_may_not_quote_another_stocks_number(rows):
    row = first_of(rows, "sector_analysis", language="en")
    answer = json.loads(row["messages"][2]["content"])
    entry = answer["affected_stocks"][0]
    lines = {
        line.ticker: line.numbers["beta"]
        for line in read_question(row["messages"][1]["content"]).facts.stocks
    }
    other = next(beta for ticker, beta in lines.items() if beta != lines[entry["ticker"]])
    entry["reason"] = entry["reason"].replace(f"{lines[entry['ticker']]:.2f}", f"{other:.2f}")
    row["messages"][2]["content"] = json.dumps(answer)
    assert {rule for rule, _ in check_row(row)} == {"grounded"}


# pairs


def test_pairs_have_their_shares_and_length_tells_little(train, tmp_path):
    synthetic_rows(train, tmp_path / "rows", rows=200)
    report = build_pairs(tmp_path / "rows" / "rows.jsonl", Pairs(rows=500), tmp_path / "rows")
    assert report["flaw"] == {
        "strategy_violation": 150, "quality_degradation": 150, "schema_violation": 100, "hallucination": 100
    }  # fmt: skip
    assert all(
        auc <= 0.75 for flaw, auc in report["length_auc"].items() if flaw != "quality_degradation"
    )
    pairs = read_lines(tmp_path / "rows" / "pairs.jsonl")
    assert check_rows(pairs) == []
    texts = Counter(pair["prompt"][1]["content"] + pair["rejected"][0]["content"] for pair in pairs)
    assert max(texts.values()) == 1


def test_a_pair_that_is_no_pair_is_seen(train, tmp_path):
    synthetic_rows(train, tmp_path / "rows", rows=24)
    build_pairs(tmp_path / "rows" / "rows.jsonl", Pairs(rows=20), tmp_path / "rows")
    pair = read_lines(tmp_path / "rows" / "pairs.jsonl")[0]
    right = {**pair, "rejected": pair["chosen"]}
    assert {rule for rule, _ in check_row(right)} == {"rejected"}
    renamed = {**pair, "metadata": {**pair["metadata"], "flaw": "none"}}
    assert {rule for rule, _ in check_row(renamed)} == {"flaw"}
