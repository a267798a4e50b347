"""full_analysis: the regime, the exposure, and a book of longs and shorts from the offered stocks.

Question: the market's numbers, and six to eight stocks with their PER, PBR and beta.
Right answer: as few stocks as the limit per stock allows, in even weights that sum to the regime's
long gross; low betas first in a weak regime, high betas first in the others; an index ETF short
if the regime asks for a hedge.
Mistake: the book of another regime.
Grade: any book of the offered stocks that keeps the regime's bands and the limit per stock is
right, not only the one that training teaches.
"""

from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    NET,
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    optional,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Choice, Decision, confidence, exposures, settled
from tasks.core.strategy.holdings import even_longs, hedges, preferred, ratios
from tasks.core.strategy.rules import EXPOSURES, MAX_LONG_WEIGHT_PCT, WEAK_REGIMES, Exposure
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import Sector, get_stock, names, sectors
from tasks.core.strategy.working import confidence_working, exposure_working, market_working

name = "full_analysis"
share = 0.22
needs = Needs(
    # At no more than 18 % each, six stocks carry the 100 % that STRONG_BULL asks for, and eight
    # its 130 %.
    stocks=(6, 8),
    stock_numbers=("per", "pbr", "beta"),
    asides=("nav_100m_krw", "foreign_net_buy_100m_krw"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for the regime and a weighted book of the scene's stocks."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the regime and a book: the regime's longs in even weights, and one index hedge."""
    regime = regime or stated_regime(facts)
    allowed = exposures(regime, facts)
    index_short = allowed.index_short.value
    most = rules.MAX_LONG_WEIGHT_PCT * len(facts.stocks)  # that so few stocks can carry
    long_gross = min(allowed.long_gross.value, most)
    shorts = []
    if index_short:
        shorts.append({"ticker": hedges()[0], "weight_pct": index_short})
    return {
        "working": [
            market_working(facts, regime),
            confidence_working(facts),
            exposure_working(regime, facts),
        ],
        "regime": regime,
        "confidence_pct": confidence(facts),
        "net_exposure_pct": Choice(long_gross - index_short, *EXPOSURES[regime].net),
        "positions": {"long": even_longs(preferred(facts, regime), long_gross), "short": shorts},
    }


card = ""

# How it is argued. A blank such as {beta_ro} is the word with the
# Korean particle that its sound takes.

_LONG = optional(
    stock_entry(weight_pct=integer(1, MAX_LONG_WEIGHT_PCT), reason=text(120)),
    per_x10=integer(6, 1999),
    pbr_x100=integer(2, 4999),
)
_SHORT = stock_entry(weight_pct=integer(1, 80), reason=text(120))
schema: Schema = closed(
    working=WORKING,
    regime=REGIME,
    confidence_pct=CONFIDENCE,
    reasoning=text(),
    net_exposure_pct=NET,
    positions=closed(long=listed(_LONG, 10), short=listed(_SHORT, 3)),
)

_DEFENSIVE_ROLES = {
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
_RISING_ROLES = {
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
_BALANCING_ROLES = {
    "ko": ("{sector_ro} 업종 분산, 베타 {beta}", "업종이 겹치지 않게 {sector}, 베타 {beta}"),
    "en": (
        "{sector} spreads the risk, beta {beta}",
        "balances the book with {sector}, beta {beta}",
    ),
}
_VALUATIONS = {
    "ko": {
        "cheap": "업종 대비 싼 {ratio} {value}",
        "dear": "업종 대비 비싼 {ratio} {value}",
    },
    "en": {
        "cheap": "cheap for the sector at {ratio} {value}",
        "dear": "dear for the sector at {ratio} {value}",
    },
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


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the regime and the book that training teaches, with a reason for each position.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = settled(decide(scene.facts, regime))
    decision = wording.named(decision, scene.language)
    decision["reasoning"] = wording.argue(scene, rng, claimed=regime)
    longs = decision["positions"]["long"]
    offered = {stock.ticker: stock for stock in scene.facts.stocks}
    for rank, entry in enumerate(longs):
        leads = 2 * rank < len(longs)
        roles = _roles(decision["regime"], leads, scene.language)
        entry["reason"] = _long_reason(offered[entry["ticker"]], roles, scene.language, rng)
    for entry in decision["positions"]["short"]:
        phrases = _short_phrases(decision["regime"], scene.language)
        entry["reason"] = rng.choice(phrases).format(weight=entry["weight_pct"])
    return arranged(decision, schema)


def _roles(regime: str, leads: bool, language: Language) -> tuple[str, ...]:
    """What a long is there for: the leading half carry the regime's stance, the others spread the
    risk.
    """
    if not leads:
        return _BALANCING_ROLES[language]
    if regime in WEAK_REGIMES:
        return _DEFENSIVE_ROLES[language]
    return _RISING_ROLES[language]


def _long_reason(stock: StockFacts, roles: tuple[str, ...], language: Language, rng: Random) -> str:
    """The stock's role in the book, and its valuation if that is unusual for the sector."""
    sector = _sector_of(stock.ticker)
    sector_name = sector.name_ko if language == "ko" else sector.name
    beta = f"{stock.numbers['beta']:.2f}"
    role = rng.choice(roles).format(
        sector=sector_name,
        sector_ro=with_particle(sector_name, "으로/로"),
        beta=beta,
        beta_ro=with_particle(beta, "으로/로"),
    )
    valuation = _unusual_valuation(stock, sector, language)
    return f"{role}, {valuation}" if valuation else role


def _sector_of(ticker: str) -> Sector:
    sector_name = get_stock(ticker).sector
    return next(sector for sector in sectors() if sector.name == sector_name)


def _unusual_valuation(stock: StockFacts, sector: Sector, language: Language) -> str:
    """The first of PER and PBR outside the sector's usual range, in words; empty if neither is."""
    for ratio, (low, high), decimals in (("per", sector.per, 1), ("pbr", sector.pbr, 2)):
        value = stock.numbers.get(ratio)
        if value is None or low <= value <= high:
            continue
        valuation = "cheap" if value < low else "dear"
        return _VALUATIONS[language][valuation].format(
            ratio=ratio.upper(), value=f"{value:.{decimals}f}"
        )
    return ""


def _short_phrases(regime: str, language: Language) -> tuple[str, ...]:
    """A short hedges the longs, or stands alone in a regime that allows none."""
    if EXPOSURES[regime].long_gross[1]:
        return _HEDGES[language]
    return _SHORT_ONLY[language]


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime.
    """

    def mistake() -> dict[str, Any]:
        return answer(scene, rng, spoiling.other_regime(right["regime"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


# How it is graded.


@dataclass(frozen=True)
class _Book:
    """The positions of a reply: entries with a ticker, a name and a weight in % of NAV."""

    longs: list[dict[str, Any]]
    shorts: list[dict[str, Any]]
    stated_net: int  # the net exposure that the reply states, in % of NAV

    @property
    def long_gross(self) -> int:
        return sum(entry["weight_pct"] for entry in self.longs)

    @property
    def index_short(self) -> int:
        return sum(entry["weight_pct"] for entry in self.shorts)

    def adds_up(self) -> bool:
        """Whether the weights make the stated net, to a point, and no ticker is held twice."""
        tickers = [entry["ticker"] for entry in (*self.longs, *self.shorts)]
        if len(set(tickers)) < len(tickers):
            return False
        return abs(self.long_gross - self.index_short - self.stated_net) <= 1


def grade(scene: Scene, reply: str) -> Grade:
    """Grades as right any book of the offered stocks that keeps the regime's bands and the limit
    per stock.
    """
    decision = decide(scene.facts)
    del decision["positions"]  # the taught book is one of many right ones
    judged = grading.judge(scene, reply, schema, decision, ("tickers", "book", "exposure"))
    if judged.told is None:
        return judged
    positions = judged.told["positions"]
    book = _Book(positions["long"], positions["short"], judged.told["net_exposure_pct"])
    band = EXPOSURES[decision["regime"]]
    parts = dict(judged.parts)
    parts["tickers"] = _is_offered(book, scene)
    parts["book"] = book.adds_up()
    parts["exposure"] = parts["exposure"] and _keeps_longs(book, band) and _keeps_hedge(book, band)
    parts["grounded"] = parts["grounded"] and _quotes_its_ratios(book, scene)
    return grading.graded(parts, judged.parts, judged.told)


def _is_offered(book: _Book, scene: Scene) -> bool:
    """Whether the question offers every long, and every name is that of its ticker."""
    offered = {stock.ticker for stock in scene.facts.stocks}
    if not all(entry["ticker"] in offered for entry in book.longs):
        return False
    return grading.pairs_exist([*book.longs, *book.shorts])


def _keeps_longs(book: _Book, band: Exposure) -> bool:
    """Whether the longs lie in the regime's band, and are absent if it allows none."""
    if not book.adds_up():
        # That is a flaw of quality already, and such a gross says nothing about the exposure meant.
        return True
    if book.longs and not band.long_gross[1]:
        return False
    return _is_within(book.long_gross, band.long_gross)


def _keeps_hedge(book: _Book, band: Exposure) -> bool:
    """Whether the shorts are index ETFs, in the regime's band. A ticker that does not exist is made
    up, which is another flaw.
    """
    for entry in book.shorts:
        exists = bool(names(entry["ticker"]))
        if exists and entry["ticker"] not in hedges():
            return False
    return _is_within(book.index_short, band.index_short)


def _is_within(weight: int, band: tuple[int, int]) -> bool:
    """Whether a weight in % lies in the band, or misses it by no more than a point of rounding."""
    return band[0] - 1 <= weight <= band[1] + 1


def _quotes_its_ratios(book: _Book, scene: Scene) -> bool:
    """Whether every PER and PBR of an offered stock is the one that the question states."""
    offered = {stock.ticker: ratios(stock) for stock in scene.facts.stocks}
    for entry in book.longs:
        if entry["ticker"] not in offered:
            continue
        stated = offered[entry["ticker"]]
        for ratio in ("per_x10", "pbr_x100"):
            if ratio in entry and entry[ratio] != stated.get(ratio):
                return False
    return True
