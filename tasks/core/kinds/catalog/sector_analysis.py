"""sector_analysis: which Korean stocks an event in the US or the world moves, which way, and what
to do about it.

Question: an event, the market's numbers, and three to six stocks with their beta.
Right answer: the event's primary sector and direction, each offered stock whose sector the event
moves, and a trade: reduce on bad news; on good news add, or hold if the regime is weak.
Mistake: the event read the wrong way round.
Grade: every stock that the event moves is to be named, with its impact, and no other.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.schemas import (
    WORKING,
    Schema,
    arranged,
    closed,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.events import event_named, events
from tasks.core.strategy.rules import WEAK_REGIMES
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import find_stock, get_stock, sectors
from tasks.core.strategy.working import market_working

name = "sector_analysis"
share = 0.08
needs = Needs(
    stocks=(3, 6), stock_numbers=("beta",), words=("event",), asides=("us_return_pct", "usdkrw")
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks which of the scene's stocks the event moves, and what to do."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides which of the offered stocks an event moves, and what to do about it."""
    event = event_named(facts.words["event"])
    affected = []
    for offered in facts.stocks:
        stock = find_stock(offered.ticker)
        impact = event.impact_on(stock.sector) if stock else None
        if impact:
            affected.append({"ticker": offered.ticker, "impact": impact})
    return {
        "working": [market_working(facts, regime)],
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


card = ""

# How it is argued. A blank such as {beta_da} is the word with the
# Korean particle that its sound takes.

_IMPACT = one_of("POSITIVE", "NEGATIVE")
schema: Schema = closed(
    working=WORKING,
    event=one_of(*(event.name for event in events())),
    primary_sector=one_of(*(sector.name for sector in sectors())),
    direction=_IMPACT,
    affected_stocks=listed(stock_entry(impact=_IMPACT, reason=text(160)), 10),
    reasoning=text(),
    action=one_of("ADD", "REDUCE", "HOLD"),
)

_STOCK_REASONS = {
    "ko": {
        "POSITIVE": (
            "{sector} 업종이라 수혜를 받는다. 베타는 {beta_da}.",
            "{sector} 실적에 도움이 된다. 베타는 {beta_da}.",
            "베타 {beta}의 {sector} 종목으로 수혜가 기대된다.",
            "수혜 업종인 {sector} 종목이다. 베타는 {beta_da}.",
            "{sector} 이익이 늘 수 있다. 베타는 {beta_da}.",
            "호재가 닿는 {sector} 업종이며 베타는 {beta_da}.",
            "{sector}에 호재다. 베타 {beta}의 종목이다.",
        ),
        "NEGATIVE": (
            "{sector} 업종이라 타격을 받는다. 베타는 {beta_da}.",
            "{sector} 실적에 부담이 된다. 베타는 {beta_da}.",
            "베타 {beta}의 {sector} 종목으로 피해가 우려된다.",
            "피해 업종인 {sector} 종목이다. 베타는 {beta_da}.",
            "{sector} 이익이 줄 수 있다. 베타는 {beta_da}.",
            "악재가 닿는 {sector} 업종이며 베타는 {beta_da}.",
            "{sector}에 악재다. 베타 {beta}의 종목이다.",
        ),
    },
    "en": {
        "POSITIVE": (
            "In {sector}, which gains; beta {beta}.",
            "Helps {sector} earnings; its beta is {beta}.",
            "A {sector} name with a beta of {beta} that benefits.",
            "Good for {sector}; beta {beta}.",
            "Winner in {sector}, beta {beta}.",
            "Beta {beta} in {sector}, which the event lifts.",
            "As {sector} it stands to gain; beta {beta}.",
        ),
        "NEGATIVE": (
            "In {sector}, which suffers; beta {beta}.",
            "Weighs on {sector} earnings; its beta is {beta}.",
            "A {sector} name with a beta of {beta} that loses.",
            "Bad for {sector}; beta {beta}.",
            "Loser in {sector}, beta {beta}.",
            "Beta {beta} in {sector}, which the event hurts.",
            "As {sector} it stands to lose; beta {beta}.",
        ),
    },
}
_SECTOR_REASONS = {
    "ko": {
        "POSITIVE": (
            "{sector_eun} 가장 먼저 수혜를 본다.",
            "가장 큰 수혜 업종은 {sector_da}.",
            "{sector_eun} 이익 전망이 올라간다.",
            "중심 업종은 {sector_da}. 실적에 보탬이 된다.",
        ),
        "NEGATIVE": (
            "{sector_eun} 가장 먼저 부담을 진다.",
            "가장 큰 피해 업종은 {sector_da}.",
            "{sector_eun} 이익 전망이 깎인다.",
            "중심 업종은 {sector_da}. 실적에 부담이 된다.",
        ),
    },
    "en": {
        "POSITIVE": (
            "{sector} gains first.",
            "The sector with most to win is {sector}.",
            "Earnings estimates rise in {sector}.",
            "The good news lands in {sector}.",
        ),
        "NEGATIVE": (
            "{sector} is hit first.",
            "The sector with most to lose is {sector}.",
            "Earnings estimates fall in {sector}.",
            "The bad news lands in {sector}.",
        ),
    },
}
_TRADE_REASONS = {
    "ko": {
        "ADD": "국면이 받쳐 주므로 수혜주를 더 담는다.",
        "HOLD": "호재라도 국면이 약해 새로 사지 않고 지켜본다.",
        "REDUCE": "악재이므로 피해 종목의 비중을 줄인다.",
    },
    "en": {
        "ADD": "The regime supports it, so the winners are bought.",
        "HOLD": "Good news, but in a weak regime nothing new is bought.",
        "REDUCE": "Bad news: the losers' weights come down.",
    },
}


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the event's effects on the offered stocks and the trade, with a reason for each."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    language = scene.language
    decision = wording.named(settled(decision), language)
    betas = {stock.ticker: stock.numbers["beta"] for stock in scene.facts.stocks}
    for entry in decision["affected_stocks"]:
        beta = f"{betas[entry['ticker']]:.2f}"
        entry["reason"] = rng.choice(_STOCK_REASONS[language][entry["impact"]]).format(
            sector=_sector_label(get_stock(entry["ticker"]).sector, language),
            beta=beta,
            beta_da=with_particle(beta, "이다/다"),
        )
    sector_label = _sector_label(decision["primary_sector"], language)
    sector_reason = rng.choice(_SECTOR_REASONS[language][decision["direction"]]).format(
        sector=sector_label,
        sector_da=with_particle(sector_label, "이다/다"),
        sector_eun=with_particle(sector_label, "은/는"),
    )
    reasons = [sector_reason, wording.argue(scene, rng)]
    if rng.random() < 0.6:
        reasons.reverse()
    reasons.append(_TRADE_REASONS[language][decision["action"]])
    decision["reasoning"] = " ".join(reasons)
    return arranged(decision, schema)


def _sector_label(sector_name: str, language: Language) -> str:
    """What texts of this language call the sector."""
    if language == "en":
        return sector_name
    return next(sector.name_ko for sector in sectors() if sector.name == sector_name)


_OPPOSITE = {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE"}
_TRADE_ON = {"POSITIVE": "ADD", "NEGATIVE": "REDUCE"}


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist reads the event the wrong way
    round, in the sector, its stocks and the trade.
    """

    def mistake() -> dict[str, Any]:
        decision = decide(scene.facts)
        decision["direction"] = _OPPOSITE[decision["direction"]]
        for entry in decision["affected_stocks"]:
            entry["impact"] = _OPPOSITE[entry["impact"]]
        decision["action"] = _TRADE_ON[decision["direction"]]
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the sector, the direction, every affected stock and the trade against the decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
