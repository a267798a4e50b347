"""Counterfactual twins of questions: one thing is changed, and it is known what the answer must do.

In a limit twin one of the market's numbers is moved over its nearest limit, and the verdict must
flip. In a names twin two stocks exchange their names, and nothing else may change. Reads and writes
no file.
"""

import re
from dataclasses import replace
from typing import Any, Literal

from tasks.core.kinds.base import Kind, Scene
from tasks.core.records.facts import Facts
from tasks.core.strategy.borders import nearest_turn
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import DECIMALS, NUMBERS, regime_of

Change = Literal["limit", "names"]

_BEYOND = {"return_pct": 0.1, "breadth_pct": 1.0, "momentum_pct": 0.2, "volatility_pct": 0.5}
"""How far beyond its limit a number is moved, in points."""


def limit_twin(scene: Scene) -> Scene | None:
    """Returns the scene with one number moved over the nearest limit of its regime, or None if no
    limit is near or numbers are missing. Its numbers are of no real day.
    """
    numbers = dict(scene.facts.numbers)
    market = {name: numbers[name] for name in NUMBERS if name in numbers}
    if scene.partial:
        return None
    turn = nearest_turn(market)
    if turn is None:
        return None
    step = -_BEYOND[turn.name] if turn.falls else _BEYOND[turn.name]
    numbers[turn.name] = round(turn.limit + step, DECIMALS[turn.name])
    moved = {name: numbers[name] for name in NUMBERS}
    if not 0 <= moved["breadth_pct"] <= 100 or regime_of(**moved) == scene.regime:
        return None
    simulated = (*NUMBERS, *(name for name in scene.simulated if name not in NUMBERS))
    facts = replace(scene.facts, numbers=numbers)
    return replace(scene, facts=facts, date=None, day=None, simulated=simulated)


def names_twin(scene: Scene, kind: Kind) -> Scene | None:
    """Returns the scene with the first two stocks' names exchanged, or None if the right answer
    depends on who they are.
    """
    stocks = scene.facts.stocks
    if len(stocks) < 2:
        return None
    exchanged = {stocks[0].ticker: stocks[1].ticker, stocks[1].ticker: stocks[0].ticker}
    facts = _renamed_facts(scene.facts, exchanged)
    right = settled(kind.decide(scene.facts))
    if _renamed(right, exchanged) != settled(kind.decide(facts)):
        return None
    return replace(scene, facts=facts)


def _renamed_facts(facts: Facts, names: dict[str, str]) -> Facts:
    stocks = [
        replace(stock, ticker=names.get(stock.ticker, stock.ticker)) for stock in facts.stocks
    ]
    return replace(facts, stocks=tuple(stocks))


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Returns a decision in which stocks have exchanged their tickers."""
    if isinstance(value, dict):
        return {key: _renamed(entry, names) for key, entry in value.items()}
    if isinstance(value, list):
        return [_renamed(entry, names) for entry in value]
    if isinstance(value, str):
        return _text_renamed(value, names)
    return value


def _text_renamed(text: str, names: dict[str, str]) -> str:
    """Exchanges tickers in a line of the working, all at once."""
    pattern = "|".join(map(re.escape, names))
    return re.sub(pattern, lambda found: names[found[0]], text)
