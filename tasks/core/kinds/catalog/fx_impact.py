"""fx_impact: whom a move of the won helps and whom it hurts.

Question: the market's numbers, the USD/KRW rate and its move, and three to six stocks.
Right answer: a move of at least 0.5 % makes the won weak or strong. A weak won helps those that
earn dollars or earn abroad, and hurts those that buy materials for dollars, owe dollars or sell at
home; a strong one the other way round. The portfolio tilts to whom it helps, except in BEAR, which
carries no single-stock longs; a smaller move is neutral and changes nothing.
Mistake: the limit misread, one business read the wrong way round, or a tilt that the rules do not
make.
Grade: every offered stock belongs in one of the two lists, or in neither if the won is neutral.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import WITHOUT_LONGS, working_card
from tasks.core.kinds.korean import forms
from tasks.core.kinds.lexicon import printed
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
from tasks.core.strategy.rules import WON_MOVE_PCT, carries_longs, won_direction
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import BUSINESSES, Stock, find_stock, get_stock, stocks
from tasks.core.strategy.working import market_working

name = "fx_impact"
share = 0.06
needs = Needs(
    stocks=(3, 6),
    stock_numbers=("per",),
    numbers=("usdkrw", "usdkrw_change_pct"),
    asides=("foreign_net_buy_100m_krw", "us_return_pct"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks whom of the scene's stocks the won's move helps or hurts."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.

_TILTS = {"WON_WEAK": "TILT_TO_EXPORTERS", "WON_STRONG": "TILT_TO_DOMESTIC", "NEUTRAL": "KEEP"}
_DIRECTIONS = tuple(_TILTS)


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides whom a move of the won helps and hurts: nobody whose business is unknown."""
    direction = won_direction(facts.numbers["usdkrw_change_pct"])
    return _decided(facts, direction, regime)


def _decided(facts: Facts, direction: str, regime: str | None = None) -> Decision:
    """Decides for a won of this direction, which a mistaken reader takes for another."""
    working = [market_working(facts, regime)]
    working.append(_direction_step(facts.numbers["usdkrw_change_pct"], direction))
    moved: dict[str, list[Decision]] = {"gains": [], "loses": [], "none": []}
    if direction != "NEUTRAL":
        for offered in facts.stocks:
            stock = find_stock(offered.ticker)
            business = stock.business if stock else "unknown"
            effect = _effect(business, direction)
            working.append(f"{offered.ticker} {business}: {effect}")
            moved[effect].append({"ticker": offered.ticker})
    regime = regime or stated_regime(facts)
    action = _tilt(direction, regime)
    working.append(f"{direction}, {regime}: {action}")
    return {
        "working": working,
        "fx_analysis": {"direction": direction},
        "beneficiaries": moved["gains"],
        "negatively_affected": moved["loses"],
        "portfolio_action": action,
    }


def _effect(business: str, direction: str) -> str:
    """Returns whether a business gains or loses by a won of this direction."""
    if business == "unknown":
        return "none"
    gains_by_a_weak_won = business in ("exporter", "overseas")
    return "gains" if gains_by_a_weak_won == (direction == "WON_WEAK") else "loses"


def _tilt(direction: str, regime: str) -> str:
    """Returns the tilt. Where no single-stock longs are carried, there is nothing to tilt."""
    return _TILTS[direction] if carries_longs(regime) else "KEEP"


def _direction_step(change_pct: float, direction: str) -> str:
    places = {
        "WON_WEAK": f">={WON_MOVE_PCT:g}",
        "WON_STRONG": f"<=-{WON_MOVE_PCT:g}",
        "NEUTRAL": f"within {WON_MOVE_PCT:g}",
    }
    return f"USD/KRW {change_pct:+.2f} {places[direction]}: {direction}"


def _card() -> str:
    """Returns the rule card, with the tickers of every business but the exporters'."""
    lines = [
        f"USD/KRW move >={WON_MOVE_PCT:g}%: WON_WEAK, <=-{WON_MOVE_PCT:g}%: WON_STRONG, "
        "else NEUTRAL (both lists empty, KEEP)",
        "WON_WEAK: exporter and overseas (earns abroad) gain; importer (buys materials or fuel for",
        "dollars), dollar_debt and domestic lose. WON_STRONG: the other way round",
        "portfolio_action: WON_WEAK TILT_TO_EXPORTERS, WON_STRONG TILT_TO_DOMESTIC;",
        f"in {WITHOUT_LONGS} always KEEP (no single-stock longs)",
    ]
    for business in BUSINESSES[1:]:
        tickers = [stock.ticker for stock in stocks() if stock.business == business]
        lines.append(f"{business}: {' '.join(tickers)}")
    lines += ["exporter: all others; of a code that nobody has: none"]
    return "\n".join([*lines, working_card(decide)])


card = _card()

# How it is argued.

_STOCKS = listed(stock_entry(reason=text(200)), 10)
schema: Schema = closed(
    working=WORKING,
    fx_analysis=closed(reasoning=text(), direction=one_of(*_DIRECTIONS)),
    beneficiaries=_STOCKS,
    negatively_affected=_STOCKS,
    portfolio_action=one_of(*_TILTS.values()),
)


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the won's direction, its winners and losers, and the tilt, with a reason for each."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    language, texts = scene.language, _WORDS.texts
    decision = wording.named(settled(decision), language)
    direction = decision["fx_analysis"]["direction"]
    sentences = [_filled(rng.choice(texts[direction][language]), scene)]
    sentences.append(wording.argue(scene, rng))
    if rng.random() < 0.4:
        sentences.reverse()
    tilt = decision["portfolio_action"] if carries_longs(scene.regime) else "BEAR"
    sentences.append(rng.choice(texts[tilt][language]))
    decision["fx_analysis"]["reasoning"] = " ".join(sentences)
    used: set[str] = set()
    for entry in decision["beneficiaries"] + decision["negatively_affected"]:
        stock = get_stock(entry["ticker"])
        gains = entry in decision["beneficiaries"]
        frame = unused(texts[_case(stock, direction, gains)][language], used, rng)
        entry["reason"] = _filled(frame, scene, _acted_on(stock, direction, language))
    return arranged(decision, schema)


def _case(stock: Stock, direction: str, gains: bool) -> str:
    """Returns which texts argue for a stock; one that is taken for a winner or loser by mistake is
    argued for as if the won had moved the other way.
    """
    if gains != (_effect(stock.business, direction) == "gains"):
        direction = {"WON_WEAK": "WON_STRONG", "WON_STRONG": "WON_WEAK"}[direction]
    return f"{stock.business}_{direction}"


def _acted_on(stock: Stock, direction: str, language: Language) -> str:
    """Returns the line of business through which the won reaches a stock's profit."""
    where = f"{stock.business}/{stock.sector}"
    if stock.business == "domestic":
        where = f"{where}/{direction}"
    return _WORDS.texts[where][language][0]


def _filled(sentence: str, scene: Scene, what: str = "") -> str:
    """Returns the sentence with the won's numbers, and with what the won acts on."""
    language, numbers = scene.language, scene.facts.numbers
    rate = printed("usdkrw", numbers["usdkrw"], language)
    return sentence.format(
        **forms("rate", rate),
        change=printed("usdkrw_change_pct", numbers["usdkrw_change_pct"], language),
        limit=f"{WON_MOVE_PCT:g}%",
        **forms("what", what),
        What=what[:1].upper() + what[1:],
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist misreads the limit of the won's
    move, exchanges a winner with a loser, or tilts where the rules do not.
    """

    def mistake() -> dict[str, Any]:
        direction = right["fx_analysis"]["direction"]
        chance = rng.random()
        # Rarer where it adds a text on every stock, which would give it away by its length.
        misread_share = 0.25 if direction == "NEUTRAL" else 0.45
        if chance < misread_share:
            others = [other for other in _DIRECTIONS if other != direction]
            return _with_reasons(scene, _decided(scene.facts, rng.choice(others)), rng)
        decision = decide(scene.facts)
        helped, hurt = decision["beneficiaries"], decision["negatively_affected"]
        if helped and hurt and chance < 0.7:
            one, other = rng.randrange(len(helped)), rng.randrange(len(hurt))
            helped[one], hurt[other] = hurt[other], helped[one]
        else:
            tilts = {*_TILTS.values()} - {decision["portfolio_action"]}
            decision["portfolio_action"] = rng.choice(sorted(tilts))
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the direction, both lists of stocks and the tilt against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
