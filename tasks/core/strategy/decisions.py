"""The right answer of each kind, less its prose: a pure function of what the question says.

A leaf is a value, or a Choice where the strategy leaves room: training teaches its value, a grader
accepts its range. With a regime given, the same answer as if that regime held: what a mistaken
reader would decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy import rules as strategy
from tasks.core.strategy.events import event_named
from tasks.core.strategy.rules import EXPOSURES, NEUTRAL, NUMBERS, WEAK_REGIMES
from tasks.core.strategy.universe import etfs, find_etf, find_stock, get_stock

Decision = dict[str, Any]

PARTIAL_CONFIDENCE_PCT = 50
"""The most that a judgement on incomplete numbers may claim, in %."""


@dataclass(frozen=True)
class Choice:
    """What training teaches, and what a right answer may say instead: the integers low..high, or
    one of `others`.
    """

    value: Any
    low: int = 0
    high: int = -1
    others: tuple[Any, ...] = ()

    def allows(self, told: Any) -> bool:
        return (
            told == self.value
            or told in self.others
            or (isinstance(told, int) and self.low <= told <= self.high)
        )


def settled(right: Any) -> Any:
    """The decision with every Choice made: what training teaches."""
    if isinstance(right, dict):
        return {key: settled(value) for key, value in right.items()}
    if isinstance(right, list):
        return [settled(value) for value in right]
    return right.value if isinstance(right, Choice) else right


def known_numbers(facts: Facts) -> dict[str, float]:
    """The four market numbers as the rule sees them: missing ones neutral."""
    return {name: facts.numbers.get(name, NEUTRAL[name]) for name in NUMBERS}


def regime_of(facts: Facts) -> str:
    return strategy.regime_of(**known_numbers(facts))


def _exposures(regime: str, facts: Facts) -> tuple[Choice, Choice, Choice]:
    """Long gross, index short and net, anywhere in the regime's bands."""
    band = EXPOSURES[regime]
    values = strategy.exposure_for(regime, known_numbers(facts)["breadth_pct"])
    spans = (band.long_gross, band.index_short, band.net)
    return tuple(Choice(value, *span) for value, span in zip(values, spans, strict=True))  # type: ignore[return-value]


def _confidence(facts: Facts) -> Choice:
    value = strategy.confidence_pct(**known_numbers(facts))
    if _missing(facts):
        return Choice(min(PARTIAL_CONFIDENCE_PCT, value // 2), 0, PARTIAL_CONFIDENCE_PCT)
    return Choice(value, 0, 100)


def _missing(facts: Facts) -> list[str]:
    return [name for name in NUMBERS if name not in facts.numbers]


def regime_classification(facts: Facts, regime: str | None = None) -> Decision:
    regime = regime or regime_of(facts)
    told = {
        "regime": regime,
        "confidence_pct": _confidence(facts),
        "recommended_net_exposure_pct": _exposures(regime, facts)[2],
    }
    missing = _missing(facts)
    return {**told, "missing_inputs": missing} if missing else told


def full_analysis(facts: Facts, regime: str | None = None) -> Decision:
    regime = regime or regime_of(facts)
    long_gross, index_short, _ = (choice.value for choice in _exposures(regime, facts))
    long_gross = min(
        long_gross, strategy.MAX_LONG_WEIGHT_PCT * len(facts.stocks)
    )  # what so few stocks can carry
    return {
        "regime": regime,
        "confidence_pct": _confidence(facts),
        "net_exposure_pct": Choice(long_gross - index_short, *EXPOSURES[regime].net),
        "positions": {
            # As few names as the weight limit allows, in even weights.
            "long": [
                {"ticker": line.ticker, "weight_pct": weight, **ratios(line)}
                for line, weight in zip(
                    _preferred(facts, regime), strategy.long_weights(long_gross), strict=False
                )
            ],
            "short": [{"ticker": hedges()[0], "weight_pct": index_short}] if index_short else [],
        },
    }


@cache
def hedges() -> tuple[str, ...]:
    """The ETFs that short the index; the first is the one that training teaches."""
    return tuple(found.ticker for found in etfs() if found.group == "short_kospi")


def _preferred(facts: Facts, regime: str) -> list[StockFacts]:
    """The stocks as the regime's stance likes them: low betas first in weak regimes, high ones
    first otherwise.
    """
    sign = 1 if regime in WEAK_REGIMES else -1
    return sorted(facts.stocks, key=lambda line: (sign * line.numbers["beta"], line.ticker))


def ratios(line: StockFacts) -> dict[str, int]:
    """PER in tenths and PBR in hundredths, as integers: a grammar can bound these."""
    scales = {"per": ("per_x10", 10), "pbr": ("pbr_x100", 100)}
    return {
        key: round(line.numbers[name] * scale)
        for name, (key, scale) in scales.items()
        if name in line.numbers
    }


def overnight_gap(facts: Facts, regime: str | None = None) -> Decision:
    """The first instrument of the right group that the question offers; any other of that group is
    as right.
    """
    bearish = (regime or regime_of(facts)) in WEAK_REGIMES
    wanted = "short_kospi" if bearish else "leveraged_kospi"
    offered = [
        line.ticker
        for line in facts.stocks
        if (found := find_etf(line.ticker)) and found.group == wanted
    ]
    size = Choice(
        strategy.overnight_pct(facts.numbers["us_return_pct"], facts.numbers["vix"]),
        *strategy.OVERNIGHT_PCT,
    )
    return {
        "overnight_strategy": {
            "direction": "INVERSE" if bearish else "LONG",
            "ticker": Choice(offered[0], others=tuple(offered[1:])),
            "weight_pct": size,
        },
        "unwind_plan": {"when": "NEXT_OPEN", "share_pct": 100},
        "max_overnight_nav_pct": size,
    }


def sector_analysis(facts: Facts, regime: str | None = None) -> Decision:
    """Which of the offered stocks an event moves, and what to do: gains are bought only in a strong
    regime.
    """
    regime, found = regime or regime_of(facts), event_named(facts.words["event"])
    moved = [
        (line.ticker, found.impact_on(get_stock(line.ticker).sector))
        for line in facts.stocks
        if find_stock(line.ticker)
    ]
    act = {"NEGATIVE": "REDUCE", "POSITIVE": "HOLD" if regime in WEAK_REGIMES else "ADD"}
    return {
        "event": found.name,
        "primary_sector": found.primary_sector,
        "direction": found.direction,
        "affected_stocks": [
            {"ticker": ticker, "impact": impact} for ticker, impact in moved if impact
        ],
        "action": act[found.direction],
    }


def risk_management(facts: Facts, regime: str | None = None) -> Decision:
    regime = regime or regime_of(facts)
    drawdown, leverage = facts.numbers["drawdown_pct"], round(100 * facts.numbers["leverage_x"])
    most = strategy.max_leverage_x100(drawdown)
    return {
        "risk_assessment": {
            "level": strategy.risk_level(drawdown),
            "leverage_x100": leverage,
            "max_leverage_x100": most,
        },
        "action": "DELEVERAGE"
        if leverage > most
        else "HEDGE"
        if regime in WEAK_REGIMES
        else "MAINTAIN",
        "regime": regime,
    }


def regime_transition(facts: Facts, regime: str | None = None) -> Decision:
    to, before = regime or regime_of(facts), facts.words["previous_regime"]
    target = _exposures(to, facts)[2]
    now = int(facts.numbers["net_now_pct"])
    first = strategy.first_day_net(now, target.value, to)
    urgent = to in ("SHORT_TERM_STRESS", "BEAR")
    return {
        "transition": {"from": before, "to": to},
        "urgency": "NONE" if to == before else "IMMEDIATE" if urgent else "GRADUAL",
        "execution_plan": {
            "day_1": {"net_exposure_pct": Choice(first, *sorted((first, target.value)))},
            "day_2": {"net_exposure_pct": target},
        },
        "target_net_exposure_pct": target,
    }


def opening_momentum(facts: Facts, regime: str | None = None) -> Decision:
    return {"opening_analysis": [_opening(line) for line in facts.stocks]}


def _opening(line: StockFacts) -> dict[str, Any]:
    gap = line.numbers["gap_pct"]
    score = strategy.opening_score(
        gap,
        line.numbers["volume_x"],
        line.numbers["f_score"],
        line.words["us_correlation"],
        line.words["tier"],
    )
    weight, add = strategy.OPENING_WEIGHTS[score], score >= 2
    return {
        "ticker": line.ticker,
        "score_points": score,
        "signal": strategy.opening_signal(score),
        "action": "ADD" if add else "SKIP",
        "weight_pct": Choice(weight, 3, 8) if add else 0,
        "stop_bp": round(abs(gap) * 50) if add else 0,
    }


def fx_impact(facts: Facts, regime: str | None = None) -> Decision:
    direction = strategy.won_direction(facts.numbers["usdkrw_change_pct"])
    abroad = [line.ticker for line in facts.stocks if get_stock(line.ticker).exporter]
    at_home = [line.ticker for line in facts.stocks if not get_stock(line.ticker).exporter]
    gains, loses, action = {
        "WON_WEAK": (abroad, at_home, "TILT_TO_EXPORTERS"),
        "WON_STRONG": (at_home, abroad, "TILT_TO_DOMESTIC"),
        "NEUTRAL": ([], [], "KEEP"),
    }[direction]
    return {
        "fx_analysis": {"direction": direction},
        "beneficiaries": [{"ticker": ticker} for ticker in gains],
        "negatively_affected": [{"ticker": ticker} for ticker in loses],
        "portfolio_action": action,
    }


def stop_loss_management(facts: Facts, regime: str | None = None) -> Decision:
    regime = regime or regime_of(facts)
    return {
        "position_review": [
            {"ticker": line.ticker, "action": strategy.stop_action(line.numbers["pnl_pct"], regime)}
            for line in facts.stocks
        ],
        "regime": regime,
    }


def intraday_rebalancing(facts: Facts, regime: str | None = None) -> Decision:
    regime = regime or regime_of(facts)
    weights = [int(line.numbers["weight_pct"]) for line in facts.stocks]
    limit = int(facts.numbers.get("max_weight_pct", strategy.MAX_LONG_WEIGHT_PCT))
    targets = strategy.rebalanced(
        weights, [line.numbers["pnl_pct"] for line in facts.stocks], regime, limit
    )
    low, high = EXPOSURES[regime].long_gross
    gross = sum(weights)
    return {
        "rebalancing_decision": [
            {
                "ticker": line.ticker,
                "action": "EXIT" if not target else "TRIM" if target < weight else "HOLD",
                "target_weight_pct": target,
            }
            for line, weight, target in zip(facts.stocks, weights, targets, strict=True)
        ],
        "overall_assessment": "OVER_EXPOSED"
        if gross > high
        else "UNDER_EXPOSED"
        if gross < low
        else "IN_BAND",
        "regime": regime,
    }


def what_if(facts: Facts, regime: str | None = None) -> Decision:
    shock, size = facts.words["shock"], facts.numbers["shock_pct"]
    before = regime_of(facts)
    after = regime or strategy.regime_of(**strategy.shocked(known_numbers(facts), shock, size))
    long_gross, index_short, net = _exposures(after, facts)
    order = (EXPOSURES[after].net[1], EXPOSURES[before].net[1])
    return {
        "scenario_analysis": {"shock": shock, "regime_now": before, "regime_after": after},
        "recommended_action": {
            "action": "KEEP" if after == before else "CUT" if order[0] < order[1] else "ADD",
            "net_exposure_pct": net,
        },
        "positions": {"long_gross_pct": long_gross, "index_short_pct": index_short},
    }


def multi_step(facts: Facts, regime: str | None = None) -> Decision:
    regime = regime or regime_of(facts)
    long_gross, index_short, net = _exposures(regime, facts)
    return {
        "step_1_regime": {"regime": regime, "confidence_pct": _confidence(facts)},
        "step_2_portfolio": {
            "long_gross_pct": long_gross,
            "index_short_pct": index_short,
            "net_exposure_pct": net,
            "core_longs": [
                {"ticker": line.ticker}
                for line in _preferred(facts, regime)[: 3 * bool(long_gross.value)]
            ],
        },
        "step_3_risk": {
            "max_leverage_x100": strategy.max_leverage_x100(facts.numbers["drawdown_pct"]),
            "stop_loss_pct": int(strategy.STOP_LOSS_PCT),
            "take_profit_pct": int(strategy.TAKE_PROFIT_PCT),
        },
    }


DECISIONS: Mapping[str, Callable[..., Decision]] = {
    decide.__name__: decide
    for decide in (
        full_analysis, regime_classification, overnight_gap, sector_analysis, risk_management, regime_transition,
        opening_momentum, fx_impact, stop_loss_management, intraday_rebalancing, what_if, multi_step,
    )
}  # fmt: skip
"""By the name of the kind."""
