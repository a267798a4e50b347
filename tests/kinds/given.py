"""What the tests of the kinds are given: days of every regime, offered stocks, and answers with one
change made to them.
"""

import json
from random import Random

import pytest

from tasks.core.kinds.texts import to_text
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.rules import NUMBERS, REGIMES
from tasks.core.strategy.universe import etfs, stocks

DAYS = {
    "BEAR": (-3.2, 18.0, -7.5, 31.0),
    "SHORT_TERM_STRESS": (-1.8, 33.0, -2.0, 27.0),
    "WEAKENING": (-0.6, 42.0, -1.0, 16.0),
    "MILD_BULL": (0.4, 55.0, 1.0, 14.0),
    "STRONG_BULL": (1.9, 74.0, 5.2, 18.0),
}
each_regime = pytest.mark.parametrize("regime", REGIMES)


def facts_of(regime, offered=(), words=None, **numbers):
    return Facts(
        {**dict(zip(NUMBERS, DAYS[regime], strict=True)), **numbers}, tuple(offered), words or {}
    )


def stocks_of(number, **numbers):
    return [
        StockFacts(stock.ticker, {"beta": stock.beta, **numbers}) for stock in stocks()[:number]
    ]


def etfs_of(*groups):
    return [StockFacts(etf.ticker) for group in groups for etf in etfs() if etf.group == group]


def answered(of_kind, scene):
    return json.loads(to_text(of_kind.answer(scene, Random(1))))


def parts_after(of_kind, scene, change):
    """The failed parts of the right answer with one change made to it."""
    answer = answered(of_kind, scene)
    change(answer)
    return {
        part for part, passed in of_kind.grade(scene, to_text(answer)).parts.items() if not passed
    }


def outsider(scene):
    """A stock that exists and that the prompt does not offer."""
    offered = {stock.ticker for stock in scene.facts.stocks}
    return next(stock for stock in stocks() if stock.ticker not in offered)
