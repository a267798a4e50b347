"""full_analysis: the regime, the exposure, and a book of longs and shorts from the stocks at hand."""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Language, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    NET,
    REGIME,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    optional,
    stock_entry,
    text,
)
from tasks.core.records.facts import StockFacts
from tasks.core.strategy import decisions
from tasks.core.strategy.rules import EXPOSURES, MAX_LONG_WEIGHT_PCT, WEAK_REGIMES
from tasks.core.strategy.universe import names, sectors, stock

name = "full_analysis"
share = 0.22
needs = Needs(
    stocks=(
        6,
        8,
    ),  # six carry the 100 % that STRONG_BULL asks for at no more than 18 % each, eight its 130 %
    stock_numbers=("per", "pbr", "beta"),
    asides=("nav_100m_krw", "foreign_net_buy_100m_krw"),
)

_LONG = optional(
    stock_entry(weight_pct=integer(1, MAX_LONG_WEIGHT_PCT), reason=text(120)),
    per_x10=integer(6, 1999),
    pbr_x100=integer(2, 4999),
)
_SHORT = stock_entry(weight_pct=integer(1, 80), reason=text(120))
schema: Schema = closed(
    regime=REGIME,
    confidence_pct=CONFIDENCE,
    reasoning=text(),
    net_exposure_pct=NET,
    positions=closed(long=listed(_LONG, 10), short=listed(_SHORT, 3)),
)

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
        "{day} 자금 집행 전 마지막 확인이다.\n{market}\n{stocks}\n롱과 헤지를 나눠 비중을 제시해 줘.",
        "위원회에 올릴 안을 만들어 달라. 기준일은 {day}.\n{market}\n검토 종목\n{stocks}\n국면 판단부터 편입 비중까지.",
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
        "Last check before we deploy cash on {day}.\n{market}\n{stocks}\nLongs and a hedge, with weights.",
        "Draft the committee's proposal as of {day}.\n{market}\nUnder review\n{stocks}\nFrom regime to weights.",
    ),
}
_STEADY = {
    "ko": (
        "{sector}, 베타 {beta_ro} 방어 축",
        "베타 {beta}의 낮은 변동, {sector} 방어주",
        "{sector} 가운데 지킬 몫, 베타 {beta}",
    ),
    "en": (
        "{sector}, a defensive beta of {beta}",
        "low beta of {beta} in {sector}",
        "steady {sector} name, beta {beta}",
    ),
}
_LIVELY = {
    "ko": (
        "{sector}, 베타 {beta_ro} 상승 탄력",
        "베타 {beta}의 탄력, {sector} 주도주 후보",
        "{sector} 상승 몫, 베타 {beta}",
    ),
    "en": (
        "{sector}, a lively beta of {beta}",
        "beta of {beta} to ride the rise in {sector}",
        "upside in {sector}, beta {beta}",
    ),
}
_BALANCE = {
    "ko": ("{sector_ro} 업종 분산, 베타 {beta}", "업종이 겹치지 않게 {sector}, 베타 {beta}"),
    "en": (
        "{sector} spreads the risk, beta {beta}",
        "balances the book with {sector}, beta {beta}",
    ),
}
_VALUATIONS = {  # below the sector's usual range, above it
    "ko": ("업종 대비 싼 {ratio} {value}", "업종 대비 비싼 {ratio} {value}"),
    "en": ("cheap for the sector at {ratio} {value}", "dear for the sector at {ratio} {value}"),
}
_HEDGES = {
    "ko": (
        "지수 하락에 대비한 {weight}% 헤지",
        "롱을 남긴 채 지수 위험만 {weight}% 덜어 낸다",
        "국면 밴드 안의 인덱스 숏 {weight}%",
    ),
    "en": (
        "a hedge of {weight}% against the index",
        "takes {weight}% of index risk off the book",
        "an index short of {weight}%, inside the band",
    ),
}
_SHORT_ONLY = {
    "ko": (
        "개별 롱 없이 인덱스 숏 {weight}%만 든다",
        "하락장에 남기는 것은 인덱스 숏 {weight}%뿐이다",
    ),
    "en": (
        "no single longs, only this index short of {weight}%",
        "all that is held is an index short of {weight}%",
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    return wording.ask(scene, _TEMPLATES[scene.language])


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _answer(scene, rng)


def _answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    told = decisions.settled(decisions.full_analysis(scene.facts, regime))
    told = wording.named(told, scene.language)
    told["reasoning"] = wording.argue(scene, rng, claimed=regime)
    longs, lines = told["positions"]["long"], {line.ticker: line for line in scene.facts.stocks}
    for place, entry in enumerate(longs):
        lead = 2 * place < len(longs)
        entry["reason"] = _reason(lines[entry["ticker"]], lead, told["regime"], scene.language, rng)
    for entry in told["positions"]["short"]:
        bank = _HEDGES if EXPOSURES[told["regime"]].long_gross[1] else _SHORT_ONLY
        entry["reason"] = rng.choice(bank[scene.language]).format(weight=entry["weight_pct"])
    return arranged(told, schema)


def _reason(line: StockFacts, lead: bool, regime: str, language: Language, rng: Random) -> str:
    """What the name is there for: the leading half carry the regime's stance, the others spread the
    risk.
    """
    sector = next(sector for sector in sectors() if sector.name == stock(line.ticker).sector)
    bank = _BALANCE if not lead else _STEADY if regime in WEAK_REGIMES else _LIVELY
    called = sector.name_ko if language == "ko" else sector.name
    beta = f"{line.numbers['beta']:.2f}"
    role = rng.choice(bank[language])
    said = [
        role.format(
            sector=called,
            sector_ro=with_particle(called, "으로/로"),
            beta=beta,
            beta_ro=with_particle(beta, "으로/로"),
        )
    ]
    for label, (low, high), decimals in (("per", sector.per, 1), ("pbr", sector.pbr, 2)):
        value = line.numbers.get(label)
        if value is not None and not low <= value <= high:
            text = _VALUATIONS[language][value > high]
            said.append(text.format(ratio=label.upper(), value=f"{value:.{decimals}f}"))
            break
    return ", ".join(said)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    def mistake() -> dict[str, Any]:
        return _answer(scene, rng, spoiling.other_regime(right["regime"], rng))

    return spoiling.spoil(scene, right, how, rng, mistake, schema)


def grade(scene: Scene, reply: str) -> Grade:
    """Any book of the offered stocks that keeps the regime's bands and the weight limit is right,
    not only ours.
    """
    regime = decisions.regime_of(scene.facts)
    right = decisions.full_analysis(scene.facts)
    free = {key: value for key, value in right.items() if key != "positions"}
    parts = ("tickers", "book", "exposure")
    found = grading.judge(scene, reply, schema, free, parts)
    if (told := found.told) is None:
        return found
    longs, shorts = told["positions"]["long"], told["positions"]["short"]
    gross, short = (sum(entry["weight_pct"] for entry in book) for book in (longs, shorts))
    band, tickers = EXPOSURES[regime], [entry["ticker"] for entry in (*longs, *shorts)]
    adds_up = abs(gross - short - told["net_exposure_pct"]) <= 1 and len(set(tickers)) == len(
        tickers
    )
    # A book that does not add up to its own net is a flaw of quality; its gross says nothing about
    # the exposure meant.
    meant = not adds_up or (
        _within(gross, band.long_gross) and bool(longs) <= bool(band.long_gross[1])
    )
    hedged = all(
        entry["ticker"] in decisions.hedges() or not names(entry["ticker"]) for entry in shorts
    ) and _within(short, band.index_short)
    offered = {line.ticker: decisions.ratios(line) for line in scene.facts.stocks}
    quoted = all(
        entry.get(key) == offered[entry["ticker"]].get(key)
        for entry in longs
        if entry["ticker"] in offered
        for key in ("per_x10", "pbr_x100")
        if key in entry
    )
    held = all(entry["ticker"] in offered for entry in longs) and grading.pairs_exist(
        [*longs, *shorts]
    )
    more = {
        "tickers": held,
        "book": adds_up,
        "exposure": found.parts["exposure"] and meant and hedged,
    }
    parts = {**found.parts, **more, "grounded": found.parts["grounded"] and quoted}
    return grading.graded(parts, found.parts, told)


def _within(weight: int, band: tuple[int, int]) -> bool:
    return band[0] - 1 <= weight <= band[1] + 1
