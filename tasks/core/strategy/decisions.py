"""The right answer of each kind, without its prose: a pure function of what the question says.

A leaf of a decision is a value, or a Choice if the strategy leaves room: training teaches the
Choice's value, a grader accepts its range. Every decision takes a regime too, and is then what it
would be if that regime held: what a mistaken reader would decide. The module reads no file but the
tables of the universe and of the events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy import rules
from tasks.core.strategy.borders import confidence_pct
from tasks.core.strategy.events import event_named
from tasks.core.strategy.holdings import even_longs, hedges, offered_etfs, preferred
from tasks.core.strategy.rules import EXPOSURES, WEAK_REGIMES
from tasks.core.strategy.stated import known_numbers, missing_numbers, stated_regime
from tasks.core.strategy.universe import find_stock, get_stock

Decision = dict[str, Any]

PARTIAL_CONFIDENCE_PCT = 50
"""The most that a judgement on incomplete numbers may claim, in %."""


# Where the strategy leaves room.


@dataclass(frozen=True)
class Choice:
    """What training teaches, and what a right answer may say instead.

    Right are the value itself, the integers low..high, and each of `others`.
    """

    value: Any
    low: int = 0
    high: int = -1
    others: tuple[Any, ...] = ()

    def allows(self, reply: Any) -> bool:
        """Whether a reply that says this is right."""
        if reply == self.value or reply in self.others:
            return True
        return isinstance(reply, int) and self.low <= reply <= self.high


def settled(decision: Any) -> Any:
    """Returns the decision with every Choice made: what training teaches."""
    if isinstance(decision, dict):
        return {key: settled(value) for key, value in decision.items()}
    if isinstance(decision, list):
        return [settled(value) for value in decision]
    if isinstance(decision, Choice):
        return decision.value
    return decision


# What several kinds decide.


def _confidence(facts: Facts) -> Choice:
    confidence = confidence_pct(**known_numbers(facts))
    if missing_numbers(facts):
        taught = min(PARTIAL_CONFIDENCE_PCT, confidence // 2)
        return Choice(taught, 0, PARTIAL_CONFIDENCE_PCT)
    return Choice(confidence, 0, 100)


@dataclass(frozen=True)
class _Exposures:
    long_gross: Choice
    index_short: Choice
    net: Choice


def _exposures(regime: str, facts: Facts) -> _Exposures:
    """Returns the exposures in % of NAV: all that lies in the regime's bands is right."""
    bands = EXPOSURES[regime]
    taught = rules.allocation_for(regime, known_numbers(facts)["breadth_pct"])
    return _Exposures(
        long_gross=Choice(taught.long_gross, *bands.long_gross),
        index_short=Choice(taught.index_short, *bands.index_short),
        net=Choice(taught.net, *bands.net),
    )


# The decision of each kind.


def full_analysis(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the regime and a book: the regime's longs in even weights, and one index hedge."""
    regime = regime or stated_regime(facts)
    exposures = _exposures(regime, facts)
    index_short = exposures.index_short.value
    most = rules.MAX_LONG_WEIGHT_PCT * len(facts.stocks)  # that so few stocks can carry
    long_gross = min(exposures.long_gross.value, most)
    shorts = []
    if index_short:
        shorts.append({"ticker": hedges()[0], "weight_pct": index_short})
    return {
        "regime": regime,
        "confidence_pct": _confidence(facts),
        "net_exposure_pct": Choice(long_gross - index_short, *EXPOSURES[regime].net),
        "positions": {"long": even_longs(preferred(facts, regime), long_gross), "short": shorts},
    }


def regime_classification(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the regime and its net exposure, and names the numbers that are missing, if any."""
    regime = regime or stated_regime(facts)
    decision: Decision = {
        "regime": regime,
        "confidence_pct": _confidence(facts),
        "recommended_net_exposure_pct": _exposures(regime, facts).net,
    }
    missing = missing_numbers(facts)
    if missing:
        decision["missing_inputs"] = missing
    return decision


def overnight_gap(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the overnight overlay.

    Training teaches the first ETF of the right group that the question offers; any other of that
    group is as right.
    """
    bearish = (regime or stated_regime(facts)) in WEAK_REGIMES
    group = "short_kospi" if bearish else "leveraged_kospi"
    first, *others = offered_etfs(facts, group)
    taught = rules.overnight_pct(facts.numbers["us_return_pct"], facts.numbers["vix"])
    size = Choice(taught, *rules.OVERNIGHT_PCT)
    return {
        "overnight_strategy": {
            "direction": "INVERSE" if bearish else "LONG",
            "ticker": Choice(first, others=tuple(others)),
            "weight_pct": size,
        },
        "unwind_plan": {"when": "NEXT_OPEN", "share_pct": 100},
        "max_overnight_nav_pct": size,
    }


def sector_analysis(facts: Facts, regime: str | None = None) -> Decision:
    """Decides which of the offered stocks an event moves, and what to do about it."""
    event = event_named(facts.words["event"])
    affected = []
    for offered in facts.stocks:
        stock = find_stock(offered.ticker)
        impact = event.impact_on(stock.sector) if stock else None
        if impact:
            affected.append({"ticker": offered.ticker, "impact": impact})
    return {
        "event": event.name,
        "primary_sector": event.primary_sector,
        "direction": event.direction,
        "affected_stocks": affected,
        "action": _event_action(event.direction, regime or stated_regime(facts)),
    }


def _event_action(direction: str, regime: str) -> str:
    """Returns what to do: gains are bought only in a strong regime."""
    if direction == "NEGATIVE":
        return "REDUCE"
    if regime in WEAK_REGIMES:
        return "HOLD"
    return "ADD"


def risk_management(facts: Facts, regime: str | None = None) -> Decision:
    """Decides how much leverage a drawdown allows, and what to do about it."""
    regime = regime or stated_regime(facts)
    drawdown = facts.numbers["drawdown_pct"]
    leverage = round(100 * facts.numbers["leverage_x"])
    most = rules.max_leverage_x100(drawdown)
    if leverage > most:
        action = "DELEVERAGE"
    elif regime in WEAK_REGIMES:
        action = "HEDGE"
    else:
        action = "MAINTAIN"
    return {
        "risk_assessment": {
            "level": rules.risk_level(drawdown),
            "leverage_x100": leverage,
            "max_leverage_x100": most,
        },
        "action": action,
        "regime": regime,
    }


def regime_transition(facts: Facts, regime: str | None = None) -> Decision:
    """Decides how fast the net exposure moves from the previous regime's to the present one's.

    Training teaches the rule's share for day 1; to go further, up to the target, is as right.
    """
    previous = facts.words["previous_regime"]
    regime = regime or stated_regime(facts)
    target = _exposures(regime, facts).net
    net_now = int(facts.numbers["net_now_pct"])
    first = rules.first_day_net(net_now, target.value, regime)
    day_1 = Choice(first, min(first, target.value), max(first, target.value))
    return {
        "transition": {"from": previous, "to": regime},
        "urgency": _urgency(previous, regime),
        "execution_plan": {
            "day_1": {"net_exposure_pct": day_1},
            "day_2": {"net_exposure_pct": target},
        },
        "target_net_exposure_pct": target,
    }


def _urgency(previous: str, regime: str) -> str:
    if regime == previous:
        return "NONE"
    if regime in rules.URGENT_REGIMES:
        return "IMMEDIATE"
    return "GRADUAL"


def opening_momentum(facts: Facts, regime: str | None = None) -> Decision:
    """Decides on each opening gap by its score; the regime plays no part."""
    return {"opening_analysis": [_opening(stock) for stock in facts.stocks]}


def _opening(stock: StockFacts) -> Decision:
    gap = stock.numbers["gap_pct"]
    score = rules.opening_score(
        gap_pct=gap,
        volume_ratio=stock.numbers["volume_x"],
        f_score=stock.numbers["f_score"],
        us_correlation=stock.words["us_correlation"],
        tier=stock.words["tier"],
    )
    decision: Decision = {
        "ticker": stock.ticker,
        "score_points": score,
        "signal": rules.opening_signal(score),
    }
    if score < rules.MODERATE_SCORE:
        return {**decision, "action": "SKIP", "weight_pct": 0, "stop_bp": 0}
    weight = Choice(rules.OPENING_WEIGHTS[score], 3, 8)
    stop_bp = round(abs(gap) * 50)  # half the gap
    return {**decision, "action": "ADD", "weight_pct": weight, "stop_bp": stop_bp}


def fx_impact(facts: Facts, regime: str | None = None) -> Decision:
    """Decides whom a move of the won helps and hurts: exporters or those that earn at home.

    The regime plays no part. Raises KeyError for a stock outside the universe.
    """
    exporters, domestic = [], []
    for stock in facts.stocks:
        entry = {"ticker": stock.ticker}
        if get_stock(stock.ticker).exporter:
            exporters.append(entry)
        else:
            domestic.append(entry)
    direction = rules.won_direction(facts.numbers["usdkrw_change_pct"])
    if direction == "WON_WEAK":
        helped, hurt, action = exporters, domestic, "TILT_TO_EXPORTERS"
    elif direction == "WON_STRONG":
        helped, hurt, action = domestic, exporters, "TILT_TO_DOMESTIC"
    else:
        helped, hurt, action = [], [], "KEEP"
    return {
        "fx_analysis": {"direction": direction},
        "beneficiaries": helped,
        "negatively_affected": hurt,
        "portfolio_action": action,
    }


def stop_loss_management(facts: Facts, regime: str | None = None) -> Decision:
    """Decides what happens to each position by its profit or loss."""
    regime = regime or stated_regime(facts)
    review = []
    for position in facts.stocks:
        action = rules.stop_action(position.numbers["pnl_pct"], regime)
        review.append({"ticker": position.ticker, "action": action})
    return {"position_review": review, "regime": regime}


def intraday_rebalancing(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the target weight of each position, and whether the book as a whole is in its band.

    A limit per stock that the question states stands in place of the strategy's own.
    """
    regime = regime or stated_regime(facts)
    weights = [int(position.numbers["weight_pct"]) for position in facts.stocks]
    pnls = [position.numbers["pnl_pct"] for position in facts.stocks]
    limit = int(facts.numbers.get("max_weight_pct", rules.MAX_LONG_WEIGHT_PCT))
    targets = rules.rebalanced(weights, pnls, regime, limit)
    entries = []
    for position, weight, target in zip(facts.stocks, weights, targets, strict=True):
        action = _rebalancing_action(weight, target)
        entry = {"ticker": position.ticker, "action": action, "target_weight_pct": target}
        entries.append(entry)
    return {
        "rebalancing_decision": entries,
        "overall_assessment": _gross_assessment(sum(weights), regime),
        "regime": regime,
    }


def _rebalancing_action(weight: int, target: int) -> str:
    if target == 0:
        return "EXIT"
    if target < weight:
        return "TRIM"
    return "HOLD"


def _gross_assessment(gross: int, regime: str) -> str:
    low, high = EXPOSURES[regime].long_gross
    if gross > high:
        return "OVER_EXPOSED"
    if gross < low:
        return "UNDER_EXPOSED"
    return "IN_BAND"


def what_if(facts: Facts, regime: str | None = None) -> Decision:
    """Decides what a shock would make of the regime; a `regime` is taken for the one after it."""
    shock, size = facts.words["shock"], facts.numbers["shock_pct"]
    before = stated_regime(facts)
    after = regime or rules.regime_of(**rules.shocked(known_numbers(facts), shock, size))
    exposures = _exposures(after, facts)
    return {
        "scenario_analysis": {"shock": shock, "regime_now": before, "regime_after": after},
        "recommended_action": {
            "action": _shock_action(before, after),
            "net_exposure_pct": exposures.net,
        },
        "positions": {
            "long_gross_pct": exposures.long_gross,
            "index_short_pct": exposures.index_short,
        },
    }


def _shock_action(before: str, after: str) -> str:
    """Returns whether the most that the regimes allow to be held net falls or rises."""
    if after == before:
        return "KEEP"
    if EXPOSURES[after].net[1] < EXPOSURES[before].net[1]:
        return "CUT"
    return "ADD"


def multi_step(facts: Facts, regime: str | None = None) -> Decision:
    """Decides regime, portfolio and risk limits, one after the other."""
    regime = regime or stated_regime(facts)
    exposures = _exposures(regime, facts)
    core = preferred(facts, regime)[:3] if exposures.long_gross.value else []
    return {
        "step_1_regime": {"regime": regime, "confidence_pct": _confidence(facts)},
        "step_2_portfolio": {
            "long_gross_pct": exposures.long_gross,
            "index_short_pct": exposures.index_short,
            "net_exposure_pct": exposures.net,
            "core_longs": [{"ticker": stock.ticker} for stock in core],
        },
        "step_3_risk": {
            "max_leverage_x100": rules.max_leverage_x100(facts.numbers["drawdown_pct"]),
            "stop_loss_pct": int(rules.STOP_LOSS_PCT),
            "take_profit_pct": int(rules.TAKE_PROFIT_PCT),
        },
    }


_DECISIONS = (
    full_analysis,
    regime_classification,
    overnight_gap,
    sector_analysis,
    risk_management,
    regime_transition,
    opening_momentum,
    fx_impact,
    stop_loss_management,
    intraday_rebalancing,
    what_if,
    multi_step,
)
DECISIONS: Mapping[str, Callable[..., Decision]] = {
    decide.__name__: decide for decide in _DECISIONS
}
"""By the name of the kind."""
