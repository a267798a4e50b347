"""fx_impact: whom a move of the won helps and whom it hurts.

Question: the market's numbers, the USD/KRW rate and its move, and three to six stocks.
Right answer: a move of at least 0.5 % makes the won weak or strong. A weak won helps exporters and
hurts domestic names, a strong one the other way round, and the portfolio tilts to whom it helps; a
smaller move is neutral and changes nothing.
Mistake: the won read the wrong way.
Grade: every offered stock belongs in one of the two lists, or in neither if the won is neutral.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.lexicon import printed
from tasks.core.kinds.phrases import crossed
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
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.rules import WON_MOVE_PCT
from tasks.core.strategy.universe import get_stock
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


def decide(facts: Facts, regime: str | None = None) -> Decision:
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
        "working": [market_working(facts, regime)],
        "fx_analysis": {"direction": direction},
        "beneficiaries": helped,
        "negatively_affected": hurt,
        "portfolio_action": action,
    }


card = ""

# How it is argued. The blank {rate_ro} is the rate with the Korean
# particle that its sound takes.

_STOCKS = listed(stock_entry(reason=text(140)), 10)
schema: Schema = closed(
    working=WORKING,
    fx_analysis=closed(direction=one_of("WON_WEAK", "WON_STRONG", "NEUTRAL"), reasoning=text()),
    beneficiaries=_STOCKS,
    negatively_affected=_STOCKS,
    portfolio_action=one_of("TILT_TO_EXPORTERS", "TILT_TO_DOMESTIC", "KEEP"),
)

_DIRECTIONS = {
    "ko": {
        "WON_WEAK": (
            "원/달러가 {change} 올라 {limit:g}% 기준을 채운 원화 약세다.",
            "환율 {rate}에 등락 {change}면 원화가 약하다.",
            "원화 가치가 밀렸다. 원/달러 등락 {change}는 {limit:g}% 이상의 약세다.",
            "{change} 오른 환율은 수출 기업의 원화 환산 매출을 키운다.",
            "달러 값이 {rate}까지 {change} 올라 원화 약세로 본다.",
            "원화 약세가 뚜렷하다. 원/달러는 {change} 오른 {rate}다.",
            "하루 만에 원/달러가 {change} 올라 수출주에 유리하다.",
            *crossed(
                ("원화가 약하다.", "환율이 뛰었다.", "달러가 강하다.", "원화 값이 내렸다."),
                (
                    "등락 {change}로 {limit:g}% 기준을 채웠다.",
                    "원/달러 {rate}, 등락 {change}다.",
                    "하루에 {change} 움직였다.",
                ),
            ),
        ),
        "WON_STRONG": (
            "원/달러가 {change} 움직여 {limit:g}% 기준을 채운 원화 강세다.",
            "등락 {change}, 환율 {rate}면 원화가 강하다.",
            "원화 가치가 올랐다. 원/달러 등락 {change}는 {limit:g}% 이상의 강세다.",
            "수입 원가가 낮아진다. 원/달러 등락이 {change}라 내수에 유리하다.",
            "달러 값이 {rate_ro} 낮아졌다. 등락 {change}의 원화 강세다.",
            "원화 강세가 뚜렷하다. 원/달러는 {rate}, 등락은 {change}다.",
            "하루 원/달러 등락이 {change}라 내수주에 유리하다.",
            *crossed(
                ("원화가 강하다.", "환율이 내렸다.", "달러가 약하다.", "원화 값이 올랐다."),
                (
                    "등락 {change}로 {limit:g}% 기준을 채웠다.",
                    "원/달러 {rate}, 등락 {change}다.",
                    "하루에 {change} 움직였다.",
                ),
            ),
        ),
        "NEUTRAL": (
            "원/달러 등락 {change}는 ±{limit:g}%에 못 미쳐 중립이다.",
            "환율 {rate}의 하루 변동이 {change}에 그쳐 영향이 없다.",
            "{change}면 {limit:g}% 기준 안이라 환율을 이유로 움직이지 않는다.",
            "환율은 {rate_ro} 잠잠하다. 등락 {change}는 중립이다.",
            "이 정도({change}) 움직임으로는 업종의 득실을 가를 수 없다.",
            *crossed(
                (
                    "환율 변수는 작다.",
                    "원화는 제자리다.",
                    "환율은 중립이다.",
                    "외환 시장이 조용하다.",
                    "환율 영향은 없다.",
                ),
                (
                    "등락이 {change}로 {limit:g}%에 못 미친다.",
                    "원/달러 {rate}, 등락 {change}다.",
                    "{change} 변동은 기준 {limit:g}% 안이다.",
                ),
            ),
        ),
    },
    "en": {
        "WON_WEAK": (
            "USD/KRW moved {change}, at least the {limit:g}% that counts: the won is weak.",
            "At {rate}, after {change} in a day, the won is weak.",
            "The won lost ground, with USD/KRW at {change} and {limit:g}% as the mark.",
            "At {change} on the day exporters' won revenue grows.",
            "The dollar climbed to {rate}, {change} in a day, and the won is weak.",
            "A weak won: {change} on the day takes the dollar to {rate}.",
            "Exporters get a tailwind from USD/KRW, {change} at {rate}.",
            "A move of {change}, with {limit:g}% as the mark, makes the won weak.",
            *crossed(
                ("Weak won:", "Won down:", "Dollar up:"),
                (
                    "{rate}, {change} on the day.",
                    "{change} to {rate}.",
                    "the day's {change} meets {limit:g}%.",
                ),
            ),
        ),
        "WON_STRONG": (
            "USD/KRW moved {change}, at least the {limit:g}% that counts: the won is strong.",
            "A rate of {rate} after {change} in a day means a strong won.",
            "The won gained, with USD/KRW at {change} and {limit:g}% as the mark.",
            "At {change} on the day imports get cheaper and domestic names gain.",
            "The dollar fell to {rate}, {change} in a day, and the won is strong.",
            "A strong won: {change} on the day takes the dollar to {rate}.",
            "Domestic names get a tailwind from USD/KRW, {change} at {rate}.",
            "A move of {change}, with {limit:g}% as the mark, makes the won strong.",
            *crossed(
                ("Strong won:", "Won up:", "Dollar down:"),
                (
                    "{rate}, {change} on the day.",
                    "{change} to {rate}.",
                    "the day's {change} meets {limit:g}%.",
                ),
            ),
        ),
        "NEUTRAL": (
            "A USD/KRW move of {change} stays within {limit:g}% and is neutral.",
            "At {rate}, and {change} on the day, the currency decides nothing.",
            "With {change} inside the {limit:g}% limit there is no currency call.",
            "The rate is calm at {rate}; {change} is neutral.",
            "No winners or losers follow from a move of {change}.",
            *crossed(
                ("Neutral won:", "No factor:", "Quiet currency:", "No call:", "Won unmoved:"),
                (
                    "USD/KRW made {change}, short of {limit:g}%.",
                    "{change} at {rate}.",
                    "a move of {change} does not reach {limit:g}%.",
                ),
            ),
        ),
    },
}
_EXPORTER = {
    "ko": (
        "해외 매출이 많은 수출주라 환율 {change} 변동의 영향이 크다.",
        "달러 매출 비중이 커 환율 {change} 변동이 실적에 바로 반영된다.",
    ),
    "en": (
        "An exporter with dollar sales, moved by {change}.",
        "Earns mostly abroad, so a move of {change} reaches its profit.",
    ),
}
_DOMESTIC = {
    "ko": (
        "국내 매출 위주라 환율 {change} 변동은 수입 원가에 반영된다.",
        "내수 종목이라 환율 {change} 변동이 비용에 영향을 준다.",
    ),
    "en": (
        "Sells at home; {change} comes through import costs.",
        "A domestic name whose costs feel a move of {change}.",
    ),
}


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the won's direction, its winners and losers, and the tilt, with a reason for each."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    language = scene.language
    decision = wording.named(settled(decision), language)
    numbers = scene.facts.numbers
    rate = printed("usdkrw", numbers["usdkrw"], language)
    change = printed("usdkrw_change_pct", numbers["usdkrw_change_pct"], language)
    direction = decision["fx_analysis"]["direction"]
    direction_reason = rng.choice(_DIRECTIONS[language][direction]).format(
        rate=rate, rate_ro=with_particle(rate, "으로/로"), change=change, limit=WON_MOVE_PCT
    )
    reasons = [direction_reason, wording.argue(scene, rng)]
    if rng.random() < 0.4:
        reasons.reverse()
    decision["fx_analysis"]["reasoning"] = " ".join(reasons)

    gains, losses = _DOMESTIC[language], _EXPORTER[language]
    if direction == "WON_WEAK":
        gains, losses = losses, gains
    for entry in decision["beneficiaries"]:
        entry["reason"] = rng.choice(gains).format(change=change)
    for entry in decision["negatively_affected"]:
        entry["reason"] = rng.choice(losses).format(change=change)
    return arranged(decision, schema)


_OPPOSITE = {"WON_WEAK": "WON_STRONG", "WON_STRONG": "WON_WEAK"}
_TILTS = {"WON_WEAK": "TILT_TO_EXPORTERS", "WON_STRONG": "TILT_TO_DOMESTIC"}


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist reads the won the wrong way, and
    tilts the portfolio by it.
    """

    def mistake() -> dict[str, Any]:
        decision = decide(scene.facts)
        direction = decision["fx_analysis"]["direction"]
        if direction == "NEUTRAL":
            wrong_direction = rng.choice(("WON_WEAK", "WON_STRONG"))
        else:
            wrong_direction = _OPPOSITE[direction]
        decision["fx_analysis"]["direction"] = wrong_direction
        decision["portfolio_action"] = _TILTS[wrong_direction]
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the direction, both lists of stocks and the tilt against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
