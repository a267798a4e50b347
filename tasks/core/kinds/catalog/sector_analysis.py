"""sector_analysis: which Korean stocks an event in the US or the world moves, which way, and what
to do about it.

Question: an event, the market's numbers, and three to six stocks with their beta.
Right answer: the event's primary sector and direction, each offered stock that the event moves, and
a trade in those: add the winners that are listed, unless the regime is BEAR, which carries no
longs, and reduce the losers that are listed.
Mistake: the trade of the event's direction and not of the stocks at hand, one stock read the wrong
way round, or another regime.
Grade: every stock that the event moves is to be named, with its impact, and no other.
"""

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import WITHOUT_LONGS, working_card
from tasks.core.kinds.korean import forms, with_particle
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
from tasks.core.kinds.words import unused, words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.events import Event, event_named, events
from tasks.core.strategy.rules import carries_longs
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import Sector, find_stock, get_stock, sectors, stocks
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
    impacts = {offered.ticker: _impact(event, offered.ticker) for offered in facts.stocks}
    return _decided(facts, impacts, regime)


def _decided(facts: Facts, impacts: dict[str, str | None], regime: str | None = None) -> Decision:
    """Decides for these impacts by ticker, which a mistaken reader takes for others."""
    event = event_named(facts.words["event"])
    regime = regime or stated_regime(facts)
    affected = [
        {"ticker": ticker, "impact": impact} for ticker, impact in impacts.items() if impact
    ]
    moves = [entry["impact"] for entry in affected]
    return {
        "working": [
            market_working(facts, regime),
            f"{event.name}: {event.primary_sector} {event.direction}",
            *(_step(ticker, impact) for ticker, impact in impacts.items()),
            _trade_step(moves, regime),
        ],
        "event": event.name,
        "primary_sector": event.primary_sector,
        "direction": event.direction,
        "affected_stocks": affected,
        "action": _trade(moves, regime),
    }


def _impact(event: Event, ticker: str) -> str | None:
    """Returns what the event means for a stock; None if nothing, or if the stock is unknown."""
    stock = find_stock(ticker)
    return event.impact_on(stock) if stock else None


def _step(ticker: str, impact: str | None) -> str:
    stock = find_stock(ticker)
    sector = stock.sector if stock else "unknown"
    return f"{ticker} {sector}: {impact or 'none'}"


def _trade(impacts: list[str], regime: str) -> str:
    """Returns what to do with the listed winners and losers."""
    buys = "POSITIVE" in impacts and carries_longs(regime)
    sells = "NEGATIVE" in impacts
    if buys and sells:
        return "ADD_AND_REDUCE"
    if buys:
        return "ADD"
    return "REDUCE" if sells else "HOLD"


def _trade_step(impacts: list[str], regime: str) -> str:
    gains, losses = impacts.count("POSITIVE"), impacts.count("NEGATIVE")
    longs = "longs" if carries_longs(regime) else "no longs"
    return f"winners {gains}, losers {losses}; {regime} {longs}: {_trade(impacts, regime)}"


def _card() -> str:
    """Returns the rule card, with the table of events, which move whole sectors and single tickers,
    and with the tickers of each sector.
    """
    lines = [
        "event: primary_sector direction; + sectors and tickers that gain; - that lose; = spared",
        *(_event_line(event) for event in events()),
        "sector: its tickers",
        *(_sector_line(sector) for sector in sectors()),
        "affected_stocks: the listed stocks that gain (POSITIVE) or lose (NEGATIVE), no others",
        f"action: ADD if winners are listed, but not in {WITHOUT_LONGS} (no single-stock longs),",
        "REDUCE if losers are listed, ADD_AND_REDUCE if both hold, else HOLD",
        working_card(decide),
    ]
    return "\n".join(lines)


def _event_line(event: Event) -> str:
    line = f"{event.name}: {event.primary_sector} {event.direction}"
    for sign, names in (("+", event.gains), ("-", event.loses), ("=", event.spared)):
        if names:
            line = f"{line}; {sign} {', '.join(sorted(names))}"
    return line


def _sector_line(sector: Sector) -> str:
    tickers = [stock.ticker for stock in stocks() if stock.sector == sector.name]
    return f"{sector.name}: {' '.join(tickers)}"


card = _card()

# How it is argued.

_IMPACT = one_of("POSITIVE", "NEGATIVE")
_ACTIONS = ("ADD", "REDUCE", "ADD_AND_REDUCE", "HOLD")
schema: Schema = closed(
    working=WORKING,
    event=one_of(*(event.name for event in events())),
    primary_sector=one_of(*(sector.name for sector in sectors())),
    direction=_IMPACT,
    affected_stocks=listed(stock_entry(reason=text(200), impact=_IMPACT), 10),
    reasoning=text(500),
    action=one_of(*_ACTIONS),
)


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the event's effects on the offered stocks and the trade, with a reason for each."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(
    scene: Scene, decision: Decision, rng: Random, regime: str | None = None
) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language, and for another `regime` if one is
    given.
    """
    language = scene.language
    decision = wording.named(settled(decision), language)
    betas = {stock.ticker: f"{stock.numbers['beta']:.2f}" for stock in scene.facts.stocks}
    used: set[str] = set()
    for entry in decision["affected_stocks"]:
        channel = _channel(decision["event"], get_stock(entry["ticker"]).sector, language)
        sentences = _WORDS.texts[f"{entry['impact']}{channel.on}"][language]
        entry["reason"] = channel.said_by(unused(sentences, used, rng), betas[entry["ticker"]])
    channel = _channel(decision["event"], decision["primary_sector"], language)
    sentences = _WORDS.texts[f"primary_{decision['direction']}{channel.on}"][language]
    reasons = [channel.said_by(rng.choice(sentences)), wording.argue(scene, rng, claimed=regime)]
    if rng.random() < 0.6:
        reasons.reverse()
    reasons.append(_trade_reason(decision, language, rng))
    decision["reasoning"] = " ".join(reasons)
    return arranged(decision, schema)


def _trade_reason(decision: Decision, language: Language, rng: Random) -> str:
    """Returns what is bought and sold, or why nothing is."""
    case = str(decision["action"])
    if case == "HOLD":
        case = "HOLD_winners" if decision["affected_stocks"] else "HOLD_none"
    winners = _names(decision, "POSITIVE", language)
    losers = _names(decision, "NEGATIVE", language)
    return rng.choice(_WORDS.texts[case][language]).format(
        **forms("winners", winners),
        winners_reul=with_particle(winners, "을/를"),
        **forms("losers", losers),
        losers_reul=with_particle(losers, "을/를"),
    )


def _names(decision: Decision, impact: str, language: Language) -> str:
    """Returns the names of the stocks with this impact; a mistaken answer may have none."""
    affected = decision["affected_stocks"]
    named = [entry["name"] for entry in affected if entry["impact"] == impact]
    return wording.enumerated(named or [entry["name"] for entry in affected], language)


@dataclass(frozen=True)
class _Channel:
    """The way in which an event reaches a sector, in words."""

    why: str
    sector: str  # as texts of the language call it
    on: str  # "_price" if it moves what the market pays and not what companies earn, else ""

    def said_by(self, sentence: str, beta: str = "") -> str:
        """Returns the sentence about this channel, and about a stock of that beta."""
        return sentence.format(
            **forms("why", self.why),
            why_reul=with_particle(self.why, "을/를"),
            **forms("sector", self.sector),
            **forms("beta", beta),
        )


@cache
def _channel(event: str, sector: str, language: Language) -> _Channel:
    label = _sector_label(sector, language)
    on_price = _WORDS.texts.get(f"{event}/{sector}/price")
    if on_price:
        return _Channel(on_price[language][0], label, "_price")
    return _Channel(_WORDS.texts[f"{event}/{sector}"][language][0], label, "")


def _sector_label(sector_name: str, language: Language) -> str:
    """What texts of this language call the sector."""
    if language == "en":
        return sector_name
    return next(sector.name_ko for sector in sectors() if sector.name == sector_name)


# How it goes wrong.

_OPPOSITE = {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE"}


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist reads one stock the wrong way round
    or makes a trade that does not follow.
    """

    def mistake() -> dict[str, Any]:
        decision = decide(scene.facts)
        if decision["affected_stocks"] and rng.random() < 0.5:
            return _with_reasons(scene, _one_impact_reversed(scene.facts, rng), rng)
        wrong = [action for action in _ACTIONS if action != decision["action"]]
        decision["action"] = rng.choice(wrong)
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _one_impact_reversed(facts: Facts, rng: Random) -> Decision:
    """Returns the decision with one impact the wrong way round, in half of the cases in the working
    too.
    """
    right = decide(facts)
    impacts: dict[str, str | None] = {offered.ticker: None for offered in facts.stocks}
    for entry in right["affected_stocks"]:
        impacts[entry["ticker"]] = entry["impact"]
    entry = rng.choice(right["affected_stocks"])
    impacts[entry["ticker"]] = _OPPOSITE[entry["impact"]]
    decision = _decided(facts, impacts)
    if rng.random() < 0.5:
        decision["working"] = right["working"]
    return decision


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the sector, the direction, every affected stock and the trade against the decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
