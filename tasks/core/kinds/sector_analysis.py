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
from tasks.core.kinds.schemas import Schema, arranged, closed, listed, one_of, stock_entry, text
from tasks.core.records.facts import Language
from tasks.core.strategy import decisions
from tasks.core.strategy.decisions import Decision
from tasks.core.strategy.events import events
from tasks.core.strategy.universe import get_stock, sectors

name = "sector_analysis"
share = 0.08
needs = Needs(
    stocks=(3, 6), stock_numbers=("beta",), words=("event",), asides=("us_return_pct", "usdkrw")
)

# What it asks. The last two templates of each language are kept for evaluation.

_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        (
            "{day} 소식: {event}.\n{market}\n관심 종목:\n"
            "{stocks}\n어느 종목이 영향을 받고 어떻게 대응할까?"
        ),
        "{event}. 아래 종목에 미칠 영향을 분석해 줘. 기준일 {day}.\n{stocks}\n시장은\n{market}",
        "{day} 장 전 브리핑이다. {event}.\n{stocks}\n{market}\n업종과 종목 영향, 조치를 달라.",
        (
            "간밤 뉴스에 따르면 {event}. {day} 지표는\n"
            "{market}\n보유 후보는\n{stocks}\n무엇이 움직이나?"
        ),
        (
            "{stocks}\n위 종목을 보고 있는데 {event}. {day} 시장은 이렇다.\n"
            "{market}\n영향을 정리해 달라."
        ),
        "섹터 팀 질문({day}): {event}. 수혜와 피해를 가려 줘.\n{market}\n{stocks}",
        "{market}\n{day} 이런 장에서 {event}. 목록에서 관련 종목을 골라라.\n{stocks}",
        (
            "속보다. {event}. 기준일 {day}.\n{market}\n대상\n"
            "{stocks}\n주도 업종과 방향, 매매 판단을 적어라."
        ),
        (
            "{day} 회의에서 나온 이야기다. {event}.\n"
            "{market}\n점검할 종목\n{stocks}\n득실을 따져 달라."
        ),
        "고객이 묻는다. {event}, 그러면 이 종목들은 어떻게 되나? ({day})\n{stocks}\n{market}",
    ),
    "en": (
        (
            "News of {day}: {event}.\n{market}\nNames we follow:\n"
            "{stocks}\nWhich are affected, and what do we do?"
        ),
        (
            "It is reported that {event}. What does it mean for these names? As of {day}.\n"
            "{stocks}\nThe market:\n{market}"
        ),
        (
            "Pre-market briefing, {day}: {event}.\n{stocks}\n"
            "{market}\nSector, stocks affected and action, please."
        ),
        "Overnight {event}. The figures of {day}:\n{market}\nCandidates:\n{stocks}\nWhat moves?",
        (
            "{stocks}\nWe watch these, and now {event}. The market of {day}:\n"
            "{market}\nSort out the effects."
        ),
        "From the sector team ({day}): {event}. Who gains and who loses?\n{market}\n{stocks}",
        (
            "{market}\n"
            "In the market of {day}, {event}. Pick the names concerned from the list.\n{stocks}"
        ),
        (
            "Breaking: {event}. As of {day}.\n{market}\nUnder review\n"
            "{stocks}\nName the sector, direction and trade."
        ),
        (
            "It came up in the meeting of {day} that {event}.\n"
            "{market}\nNames to check\n{stocks}\nWeigh the effects."
        ),
        "A client asks what happens to these names now that {event} ({day}).\n{stocks}\n{market}",
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks which of the scene's stocks the event moves, and what to do."""
    return wording.ask(scene, _TEMPLATES[scene.language])


# What the right answer is, and how it is argued. A blank such as {beta_da} is the word with the
# Korean particle that its sound takes.

_IMPACT = one_of("POSITIVE", "NEGATIVE")
schema: Schema = closed(
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
    return _with_reasons(scene, decisions.sector_analysis(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    language = scene.language
    decision = wording.named(decisions.settled(decision), language)
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
        decision = decisions.sector_analysis(scene.facts)
        decision["direction"] = _OPPOSITE[decision["direction"]]
        for entry in decision["affected_stocks"]:
            entry["impact"] = _OPPOSITE[entry["impact"]]
        decision["action"] = _TRADE_ON[decision["direction"]]
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the sector, the direction, every affected stock and the trade against the decision."""
    return grading.judge(scene, reply, schema, decisions.sector_analysis(scene.facts))
