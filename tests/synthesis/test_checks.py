"""The proof of rows and pairs: each lie is seen, by its rule and with its values."""

import json
import re

import pytest

from tasks.core.kinds import kind_named, lexicon
from tasks.core.strategy.rules import NUMBERS
from tasks.core.synthesis.checks import check_row, check_rows
from tasks.core.synthesis.problems import Failure
from tasks.core.synthesis.reading import read_question


def first_of(rows, kind, **wanted):
    """A copy of the first row of a kind whose metadata has the wanted values."""
    for row in rows:
        metadata = row["metadata"]
        if metadata["kind"] == kind and wanted.items() <= metadata.items():
            return json.loads(json.dumps(row))
    raise AssertionError(f"no {kind} row has {wanted}")


def rules_broken(row):
    return {problem.rule for problem in check_row(row)}


SYSTEM, QUESTION, ANSWER = 0, 1, 2


def changed(row, place, change):
    row["messages"][place]["content"] = change(row["messages"][place]["content"])


def stocks_of(row):
    return row["metadata"]["scene"]["facts"]["stocks"]


def simulate_the_market(row):
    row["metadata"]["simulated"] = [*NUMBERS, *row["metadata"]["simulated"]]


def unlabel_the_return(row):
    facts = row["metadata"]["scene"]["facts"]["numbers"]
    seed = row["metadata"]["scene"]["seed"]
    called = lexicon.called("return_pct", facts["return_pct"], "en", seed).name
    changed(row, QUESTION, lambda text: re.sub(called, "so much", text, flags=re.I))


def offer_a_stock_that_does_not_exist(row):
    changed(row, QUESTION, lambda text: text + "\n- Samsung Electronics(999999)")


@pytest.mark.parametrize(
    ("rule", "harm"),
    [
        ("system", lambda row: changed(row, SYSTEM, lambda text: "You are Qwen.")),
        ("regime", lambda row: row["metadata"].update(regime="SIDEWAYS")),
        ("date", lambda row: row["metadata"].update(date="2019-01-02")),
        ("language", lambda row: row["metadata"].update(language="ko")),
        ("metadata", simulate_the_market),
        ("date", lambda row: row["metadata"].update(date=None)),
        ("prompt", lambda row: changed(row, QUESTION, lambda text: text + " About 999 of them.")),
        ("prompt", unlabel_the_return),
        ("names", offer_a_stock_that_does_not_exist),
        ("hanja", lambda row: changed(row, QUESTION, lambda text: "市場 " + text)),
        ("hanja", lambda row: changed(row, QUESTION, lambda text: "\U00020000 " + text)),
        ("schema", lambda row: changed(row, ANSWER, lambda text: text[:-2])),
        ("schema", lambda row: changed(row, ANSWER, lambda text: "[]")),
        ("held_out", lambda row: row["metadata"].update(template=10_000)),
        ("form", lambda row: row.pop("messages")),
        ("form", lambda row: row["messages"].pop()),
    ],
)
def test_an_untrue_row_is_seen(rows, rule, harm):
    of_real_days = [row for row in rows if row["metadata"]["date"] and stocks_of(row)]
    row = first_of(of_real_days, "full_analysis", language="en")
    assert not list(check_row(row))
    harm(row)
    assert rule in rules_broken(row)


def test_failures_name_the_row_the_rule_and_the_values(rows):
    row = first_of(rows, "regime_classification", language="en")
    answer = json.loads(row["messages"][2]["content"])
    right = answer["recommended_net_exposure_pct"]
    answer["recommended_net_exposure_pct"] = right + 1
    row["messages"][2]["content"] = json.dumps(answer)
    failures = check_rows([rows[0], row, rows[1]])
    detail = f"recommended_net_exposure_pct is {right + 1}, the strategy says {right}"
    assert Failure(2, "decision", detail) in failures
    assert {failure.row for failure in failures} == {2}


def test_a_rows_kind_is_known_from_its_answer_alone(rows):
    """Any JSONL of messages can be proven, with or without metadata."""
    assert check_rows([{"messages": row["messages"]} for row in rows]) == []


def test_a_reason_may_not_quote_another_stocks_number(rows):
    row = first_of(rows, "full_analysis", regime="WEAKENING", language="en")
    answer = json.loads(row["messages"][2]["content"])
    entry = answer["positions"]["long"][0]
    offered = read_question(row["messages"][1]["content"]).facts.stocks
    betas = {stock.ticker: stock.numbers["beta"] for stock in offered}
    own = betas[entry["ticker"]]
    other = next(beta for beta in betas.values() if beta != own)
    assert f"{own:.2f}" in entry["reason"]
    entry["reason"] = entry["reason"].replace(f"{own:.2f}", f"{other:.2f}")
    row["messages"][2]["content"] = json.dumps(answer)
    assert rules_broken(row) == {"grounded", "grade"}


def test_a_pair_whose_question_allows_no_decision_is_named(rows):
    """Its rejected answer cannot be graded either, and that is no reason to stop."""
    most = kind_named("multi_step").needs.stocks[1]
    full = [
        row for row in rows if len(stocks_of(row)) == most and row["metadata"]["regime"] != "BEAR"
    ]
    row = first_of(full, "multi_step")
    offer_a_stock_that_does_not_exist(row)  # one too many, and without a beta
    system, question, answer = row["messages"]
    pair = {"prompt": [system, question], "chosen": [answer], "rejected": [answer]}
    details = {problem.rule: problem.detail for problem in check_row(pair)}
    assert details["prompt"] == "the question allows no decision (KeyError: 'beta')"
    assert "rejected" not in details
