"""strategy_violation: a profit or loss read as if it lay on the other side of a limit."""

from dataclasses import dataclass, replace
from random import Random

from tasks.core.records.facts import Facts
from tasks.core.strategy.rules import REDUCE_PCT, STOP_LOSS_PCT, TAKE_PROFIT_PCT, stop_action

_LIMITS = (STOP_LOSS_PCT, REDUCE_PCT, TAKE_PROFIT_PCT)
_CHOSEN_FROM = 2  # positions, those nearest to a limit: near misses


@dataclass(frozen=True)
class Misread:
    """A position's profit or loss in %, and as what it was read."""

    ticker: str
    pnl: float
    read: float

    def as_read(self, facts: Facts) -> Facts:
        """Returns the facts as they were read."""
        stocks = []
        for stock in facts.stocks:
            if stock.ticker == self.ticker:
                stock = replace(stock, numbers={**stock.numbers, "pnl_pct": self.read})
            stocks.append(stock)
        return replace(facts, stocks=tuple(stocks))

    def as_printed(self, working: list[str]) -> list[str]:
        """Returns the working of what was read, with the number that the question prints."""
        read, printed = f"{self.ticker} {self.read:+.1f}", f"{self.ticker} {self.pnl:+.1f}"
        return [step.replace(read, printed) for step in working]


def misread(facts: Facts, regime: str, rng: Random) -> Misread:
    """Returns a profit or loss that lies near a limit as if it lay across it, where the stop review
    has another action in this regime.
    """
    possible = []
    for stock in facts.stocks:
        pnl = stock.numbers["pnl_pct"]
        possible.append(Misread(stock.ticker, pnl, _across_a_limit(pnl, regime)))
    possible.sort(key=lambda one: abs(one.pnl - one.read))
    return rng.choice(possible[:_CHOSEN_FROM])


def _across_a_limit(pnl_pct: float, regime: str) -> float:
    for limit in sorted(_LIMITS, key=lambda limit: abs(pnl_pct - limit)):
        for beside in (limit - 0.1, limit + 0.1):
            if stop_action(beside, regime) != stop_action(pnl_pct, regime):
                return beside
    raise AssertionError(f"all profits and losses have one action in {regime}")
