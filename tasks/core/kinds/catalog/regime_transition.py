"""regime_transition: from yesterday's regime to today's, in one or two days.

Question: the market's numbers, the previous regime and the current net exposure.
Right answer: the net exposure of today's regime as the target. A move of up to 10 points takes one
day; of a larger one the first day makes 70 % into stress or a bear market, and half otherwise.
Mistake: a move to another regime.
Grade: day 1 may lie anywhere between the taught step and the target, day 2 anywhere in the target
regime's band.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.schemas import NET, REGIME, WORKING, Schema, arranged, closed, one_of, text
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Choice, Decision, exposures, settled
from tasks.core.strategy.rules import URGENT_REGIMES
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import exposure_working, market_working

name = "regime_transition"
share = 0.07
needs = Needs(
    numbers=("net_now_pct",),
    words=("previous_regime",),
    asides=("nav_100m_krw", "sentiment_points"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks how to move the net exposure, and how fast."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides how fast the net exposure moves from the previous regime's to the present one's.

    Training teaches the rule's share for day 1; to go further, up to the target, is as right.
    """
    previous = facts.words["previous_regime"]
    regime = regime or stated_regime(facts)
    target = exposures(regime, facts).net
    net_now = int(facts.numbers["net_now_pct"])
    first = rules.first_day_net(net_now, target.value, regime)
    day_1 = Choice(first, min(first, target.value), max(first, target.value))
    return {
        "working": [
            market_working(facts, regime),
            exposure_working(regime, facts),
        ],
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


card = ""

# How it is argued. A blank such as {to_ro} is the word with the
# Korean particle that its sound takes.

_DAY = closed(net_exposure_pct=NET, note=text(160))
schema: Schema = closed(
    working=WORKING,
    transition=closed(**{"from": REGIME, "to": REGIME, "reasoning": text()}),
    urgency=one_of("IMMEDIATE", "GRADUAL", "NONE"),
    execution_plan=closed(day_1=_DAY, day_2=_DAY),
    target_net_exposure_pct=NET,
)

_TRANSITIONS = {
    "ko": {
        "stays": (
            "국면은 {before}에서 벗어나지 않았다.",
            "직전과 같은 {before}다.",
            "{before} 그대로다.",
            "전환은 없다. {before} 국면이 이어진다.",
        ),
        "moves": (
            "국면이 {before}에서 {to_ro} 넘어간다.",
            "{before} 국면이 끝나고 {to_i} 시작된다.",
            "직전의 {before_eun} 더는 맞지 않고 이제 {to_ro} 본다.",
        ),
    },
    "en": {
        "stays": (
            "It has not left {before}.",
            "The regime is {before} as before.",
            "No switch: {before} goes on.",
            "Still {before}, as on the day before.",
        ),
        "moves": (
            "It moves from {before} to {to}.",
            "The {before} of the day before gives way to {to}.",
            "{before} is over and {to} begins.",
            "After {before} comes {to}.",
            "{to} follows {before}.",
        ),
    },
}
_FIRST_DAY = {
    "ko": {
        "once": (
            "{now}%에서 {first}%까지는 하루면 된다.",
            "움직일 폭이 크지 않아 첫날 {first}%로 마친다.",
            "첫날에 바로 {first}%로 맞춘다.",
        ),
        "fast": (
            "급한 국면이라 {now}%에서 {first}%까지 이동 폭의 대부분을 첫날에 옮긴다.",
            "첫날에 이동 폭의 칠 할을 옮겨 {now}%를 {first}%로 바꾼다.",
            "첫날이 중요하다. {now}%에서 {first}%까지 한 번에 옮긴다.",
        ),
        "half": (
            "{now}%와 {target}%의 중간인 {first}%까지 옮긴다.",
            "절반만 먼저 움직여 {now}%를 {first}%로 바꾼다.",
            "급하지 않으므로 {now}%에서 {first}%까지만 간다.",
        ),
    },
    "en": {
        "once": (
            "{first}% is within a day's reach of {now}%.",
            "No large move is needed, so day one ends at {first}%.",
            "Straight to {first}% on the first day.",
        ),
        "fast": (
            "An urgent regime: most of the way from {now}%, to {first}%, on the first day.",
            "Seven tenths of the move come first, which takes {now}% to {first}%.",
            "The first day matters: from {now}% to {first}% at once.",
        ),
        "half": (
            "Half of the way from {now}% to {target}%, which is {first}%.",
            "Half goes first and turns {now}% into {first}%.",
            "There is time, so only from {now}% to {first}%.",
        ),
    },
}
_SECOND_DAY = {
    "ko": {
        "done": (
            "{target}%를 유지하며 수치를 다시 본다.",
            "{target}%에 맞춰져 있어 더 옮기지 않는다.",
        ),
        "rest": (
            "남은 {rest}%p를 옮겨 목표 {target}%에 맞춘다.",
            "나머지 {rest}%p를 마저 움직여 {target}%로 마친다.",
        ),
    },
    "en": {
        "done": (
            "Hold {target}% and look at the figures again.",
            "Already at {target}%, nothing to do.",
        ),
        "rest": (
            "The remaining {rest} points take it to the target of {target}%.",
            "Another {rest} points complete the move to {target}%.",
        ),
    },
}


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the transition, the target and a plan of two days, argued in the scene's language.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    language = scene.language
    decision = settled(decide(scene.facts, regime))
    transition = decision["transition"]
    reasons = [
        _transition_in_words(transition["from"], transition["to"], language, rng),
        wording.argue(scene, rng, claimed=regime),
    ]
    if rng.random() < 0.7:
        reasons.reverse()
    transition["reasoning"] = " ".join(reasons)

    plan = decision["execution_plan"]
    first = plan["day_1"]["net_exposure_pct"]
    target = decision["target_net_exposure_pct"]
    blanks = {
        "now": int(scene.facts.numbers["net_now_pct"]),
        "first": first,
        "target": target,
        "rest": abs(target - first),
    }
    pace = _pace(first, target, transition["to"])
    plan["day_1"]["note"] = rng.choice(_FIRST_DAY[language][pace]).format(**blanks)
    remainder = "done" if pace == "once" else "rest"
    plan["day_2"]["note"] = rng.choice(_SECOND_DAY[language][remainder]).format(**blanks)
    return arranged(decision, schema)


def _transition_in_words(before: str, to: str, language: Language, rng: Random) -> str:
    """From which regime to which, or that the regime stays."""
    change = "stays" if before == to else "moves"
    return rng.choice(_TRANSITIONS[language][change]).format(
        before=before,
        before_eun=with_particle(before, "은/는"),
        to=to,
        to_ro=with_particle(to, "으로/로"),
        to_i=with_particle(to, "이/가"),
    )


def _pace(first: int, target: int, to: str) -> str:
    """How the first day moves: all the way at once, fast into an urgent regime, or half the way."""
    if first == target:
        return "once"
    if to in URGENT_REGIMES:
        return "fast"
    return "half"


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist moves to another regime."""

    def mistake() -> dict[str, Any]:
        return answer(scene, rng, spoiling.other_regime(right["transition"]["to"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regimes, the urgency, the target and both days against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
