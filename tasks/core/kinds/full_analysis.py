"""full_analysis: the regime, the exposure, and a book of longs and shorts from the stocks at hand."""

from random import Random
from typing import Any

from tasks.core.kinds.base import Flaw, Grade, Language, Scene
from tasks.core.kinds.grading import argued, break_form, generic, graded, grounded, invented, pairs_exist, read, to_text
from tasks.core.kinds.wording import argue, day_of, known_numbers, market_block, name_of, ratios_of
from tasks.core.records import StockDay
from tasks.core.strategy import (
    EXPOSURES,
    MAX_LONG_WEIGHT_PCT,
    REGIMES,
    book_for,
    confidence_pct,
    long_weights,
    regime_of,
)
from tasks.core.universe import etfs, sectors, stock

name = "full_analysis"
share = 0.22
stocks = (6, 8)  # six carry the 100 % that STRONG_BULL asks for at no more than 18 % each, eight its 130 %
partial_share = 0.0

_PARTS = ("json", "schema", "regime", "exposure", "tickers", "grounded", "argued", "book")
_HEDGES = tuple(etf.ticker for etf in etfs() if etf.group == "short_kospi")
_DEFENSIVE = ("WEAKENING", "SHORT_TERM_STRESS", "BEAR")

_POSITION = {
    "type": "object",
    "properties": {
        "ticker": {"type": "string", "minLength": 6, "maxLength": 6},
        "name": {"type": "string", "minLength": 1, "maxLength": 60},
        "weight_pct": {"type": "integer", "minimum": 1, "maximum": 130},
        "per": {"type": "number"},
        "pbr": {"type": "number"},
        "reason": {"type": "string", "minLength": 4, "maxLength": 120},
    },
    "required": ["ticker", "name", "weight_pct", "reason"],
    "additionalProperties": False,
}
_BOOK = {"type": "array", "items": _POSITION, "maxItems": 10}
schema: dict[str, Any] = {
    "type": "object",
    "properties": {
        "regime": {"type": "string", "enum": list(REGIMES)},
        "confidence_pct": {"type": "integer", "minimum": 0, "maximum": 100},
        "reasoning": {"type": "string", "minLength": 10, "maxLength": 400},
        "net_exposure_pct": {"type": "integer", "minimum": -80, "maximum": 130},
        "positions": {
            "type": "object",
            "properties": {"long": _BOOK, "short": _BOOK},
            "required": ["long", "short"],
            "additionalProperties": False,
        },
    },
    "required": ["regime", "confidence_pct", "reasoning", "net_exposure_pct", "positions"],
    "additionalProperties": False,
}

# The last two of each language are kept for evaluation.
_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장:\n{market}\n후보 종목:\n{stocks}\n국면을 정하고 포트폴리오를 짜라.",
        "아래 지표와 후보로 롱숏 포트폴리오를 구성해 줘. 기준일 {day}.\n{market}\n{stocks}",
        "{day} 기준 전략 회의 자료다.\n{market}\n매수 후보\n{stocks}\n비중까지 제시하라.",
        "운용역 질문: {day} 지표가 이렇다.\n{market}\n살 수 있는 종목은 다음과 같다.\n{stocks}\n어떻게 담을까?",
        "{market}\n{stocks}\n{day}의 위 자료로 국면, 순노출, 종목 비중을 정해 달라.",
        "신규 펀드를 설정한다({day}).\n{market}\n후보군:\n{stocks}\n국면에 맞는 포트폴리오를 짜 줘.",
        "{day} 마감 후 점검이다. 시장은\n{market}\n종목은\n{stocks}\n전체 분석을 부탁한다.",
        "분석 요청, 기준일 {day}.\n{market}\n대상 종목:\n{stocks}\n국면과 포지션을 규칙대로 답하라.",
    ),
    "en": (
        "Market, {day}:\n{market}\nCandidates:\n{stocks}\nCall the regime and build the portfolio.",
        "Build a long/short book from these figures and names. As of {day}.\n{market}\n{stocks}",
        "Strategy meeting notes for {day}.\n{market}\nBuy list\n{stocks}\nGive weights as well.",
        "A manager asks: the indicators of {day} are\n{market}\nWe can buy\n{stocks}\nHow should we hold them?",
        "{market}\n{stocks}\nWith the above for {day}, set regime, net exposure and weights.",
        "We are funding a new mandate ({day}).\n{market}\nUniverse:\n{stocks}\nMake a book that fits the regime.",
        "After the close of {day}. The market:\n{market}\nThe stocks:\n{stocks}\nA full analysis, please.",
        "Analysis request, {day}.\n{market}\nNames at hand:\n{stocks}\nAnswer by the rules: regime and positions.",
    ),
}


_ROLES = {
    "ko": {"steady": "후보 중 베타가 낮아 방어 축", "lively": "후보 중 베타가 높아 상승 탄력", "balance": "업종 분산"},
    "en": {
        "steady": "one of the lower betas here",
        "lively": "one of the higher betas here",
        "balance": "spreads the risk",
    },
}
_VALUATIONS = {  # below the sector's usual range, above it
    "ko": ("업종 대비 싼 {ratio} {value}", "업종 대비 비싼 {ratio} {value}"),
    "en": ("cheap for the sector at {ratio} {value}", "dear for the sector at {ratio} {value}"),
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    lines = "\n".join(_stock_line(day, scene.language) for day in scene.stocks)
    template = _TEMPLATES[scene.language][scene.template]
    return template.format(day=day_of(scene), market=market_block(scene), stocks=lines)


def _stock_line(day: StockDay, language: Language) -> str:
    ratios = " ".join(f"{label.upper()} {value}" for label, value in ratios_of(day).items())
    return f"{name_of(day.ticker, language)}({day.ticker}) {ratios}".rstrip()


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _answer_for(scene, regime_of(**known_numbers(scene)), argue(scene))


def _answer_for(scene: Scene, regime: str, reasoning: str) -> dict[str, Any]:
    numbers = known_numbers(scene)
    long_gross, index_short, net = book_for(regime, numbers["breadth_pct"], len(scene.stocks))
    return {
        "regime": regime,
        "confidence_pct": confidence_pct(**numbers),
        "reasoning": reasoning,
        "net_exposure_pct": net,
        "positions": {"long": _longs(scene, regime, long_gross), "short": _hedge(scene.language, index_short)},
    }


def _longs(scene: Scene, regime: str, gross: int) -> list[dict[str, Any]]:
    """As few names as the weight limit allows, in even weights: steady ones in weak regimes, lively ones in strong."""
    weights, sign = long_weights(gross), 1 if regime in _DEFENSIVE else -1
    chosen = sorted(scene.stocks, key=lambda day: (sign * stock(day.ticker).beta, day.ticker))
    return [
        {
            "ticker": day.ticker,
            "name": name_of(day.ticker, scene.language),
            "weight_pct": weight,
            **ratios_of(day),
            "reason": _reason(day, 2 * place < len(weights), regime, scene.language),
        }
        for place, (day, weight) in enumerate(zip(chosen, weights, strict=False))
    ]


def _reason(day: StockDay, lead: bool, regime: str, language: Language) -> str:
    """What the name is there for: the leading half carry the regime's stance, the others spread the risk."""
    sector = next(sector for sector in sectors() if sector.name == stock(day.ticker).sector)
    role = ("steady" if regime in _DEFENSIVE else "lively") if lead else "balance"
    said = [sector.name_ko if language == "ko" else sector.name, _ROLES[language][role]]
    for label, (low, high) in (("per", sector.per), ("pbr", sector.pbr)):
        value = ratios_of(day).get(label)
        if value is not None and not low <= value <= high:
            said.append(_VALUATIONS[language][value > high].format(ratio=label.upper(), value=value))
            break
    return ", ".join(said)


def _within(weight: int, band: tuple[int, int]) -> bool:
    return band[0] - 1 <= weight <= band[1] + 1


def _hedge(language: Language, weight: int) -> list[dict[str, Any]]:
    if not weight:
        return []
    etf = next(etf for etf in etfs() if etf.ticker in _HEDGES)
    reason = {"ko": "지수 하락 헤지", "en": "hedges the index"}[language]
    return [{"ticker": etf.ticker, "name": etf.name_ko, "weight_pct": weight, "reason": reason}]


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    longs = right["positions"]["long"]
    if how == "strategy_violation":
        other = rng.choice([regime for regime in REGIMES if _excludes(regime, right)])
        reasoning = rng.choice((right["reasoning"], argue(scene, claimed=other)))
        return to_text(_answer_for(scene, other, reasoning))
    if how == "quality_degradation":
        if longs and rng.random() < 0.5:
            return to_text({**right, "positions": {**right["positions"], "long": longs[: len(longs) // 2]}})
        return to_text({**right, "reasoning": generic(scene.language, rng)})
    if how == "hallucination":
        if not longs:
            return to_text({**right, "reasoning": f"{right['reasoning']} {invented(scene.language, rng)}"[-400:]})
        spoiled = dict(rng.choice(longs))
        place = next(index for index, position in enumerate(longs) if position["ticker"] == spoiled["ticker"])
        spoiled |= rng.choice(({"ticker": f"99{rng.randint(1000, 9999)}"}, {"per": float(rng.randint(1500, 2500))}))
        books = {**right["positions"], "long": [*longs[:place], spoiled, *longs[place + 1 :]]}
        return to_text({**right, "positions": books})
    return break_form(right, schema["required"], rng)


def _excludes(regime: str, right: dict[str, Any]) -> bool:
    low, high = EXPOSURES[regime].net
    return regime != right["regime"] and not low <= right["net_exposure_pct"] <= high


def grade(scene: Scene, reply: str) -> Grade:
    told, parts = read(reply, schema)
    if told is None:
        return graded(parts, _PARTS)
    longs, shorts = told["positions"]["long"], told["positions"]["short"]
    positions, regime = [*longs, *shorts], regime_of(**known_numbers(scene))
    gross, short = (sum(position["weight_pct"] for position in book) for book in (longs, shorts))
    band, net = EXPOSURES[regime], told["net_exposure_pct"]
    tickers, offered = [position["ticker"] for position in positions], {day.ticker for day in scene.stocks}
    parts["regime"] = told["regime"] == regime
    even = len(set(tickers)) == len(tickers) and all(p["weight_pct"] <= MAX_LONG_WEIGHT_PCT for p in longs)
    parts["book"] = abs(gross - short - net) <= 1 and even
    # A book that does not add up to its own net is a flaw of quality; its gross says nothing about the exposure meant.
    meant = _within(gross, band.long_gross) and bool(longs) <= bool(band.long_gross[1]) or not parts["book"]
    hedged = _within(short, band.index_short) and all(position["ticker"] in _HEDGES for position in shorts)
    parts["exposure"] = band.net[0] <= net <= band.net[1] and meant and hedged
    named = pairs_exist((position["ticker"], position["name"]) for position in positions)
    parts["tickers"] = named and all(position["ticker"] in offered for position in longs)
    ratios = {day.ticker: ratios_of(day) for day in scene.stocks}
    weights = [position["weight_pct"] for position in positions]
    quoted = all(
        position[label] == ratios.get(position["ticker"], {}).get(label)
        for position in longs
        for label in ("per", "pbr")
        if label in position
    )
    texts = [told["reasoning"], *(position["reason"] for position in positions)]
    parts["grounded"] = quoted and grounded(texts, scene, [net, *weights])
    parts["argued"] = argued(told["reasoning"], scene)
    return graded(parts, _PARTS)
