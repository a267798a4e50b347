"""what_if: the regime after a shock, and the book that fits it.

Question: the market's numbers, and a shock with its size.
Right answer: the shock moves the four numbers by the strategy's table; the rule gives the regime of
what results, and that regime the long gross, index short and net. Cut or add if the regime changes.
Mistake: another regime after the shock.
Grade: any long gross, index short and net in the bands of the regime after the shock is right.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.lexicon import printed
from tasks.core.kinds.phrases import crossed
from tasks.core.kinds.schemas import (
    INDEX_SHORT,
    LONG_GROSS,
    NET,
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    one_of,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Decision, exposures, settled
from tasks.core.strategy.rules import EXPOSURES, SHOCKS, shocked
from tasks.core.strategy.stated import known_numbers, stated_regime
from tasks.core.strategy.working import market_working

name = "what_if"
share = 0.06
needs = Needs(numbers=("shock_pct",), words=("shock",), asides=("vix", "usdkrw", "nav_100m_krw"))

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks what the scene's shock does to the regime, and how to answer it."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides what a shock would make of the regime; a `regime` is taken for the one after it."""
    shock, size = facts.words["shock"], facts.numbers["shock_pct"]
    before = stated_regime(facts)
    after = regime or rules.regime_of(**rules.shocked(known_numbers(facts), shock, size))
    allowed = exposures(after, facts)
    return {
        "working": [market_working(facts)],
        "scenario_analysis": {"shock": shock, "regime_now": before, "regime_after": after},
        "recommended_action": {
            "action": _shock_action(before, after),
            "net_exposure_pct": allowed.net,
        },
        "positions": {
            "long_gross_pct": allowed.long_gross,
            "index_short_pct": allowed.index_short,
        },
    }


def _shock_action(before: str, after: str) -> str:
    """Returns whether the most that the regimes allow to be held net falls or rises."""
    if after == before:
        return "KEEP"
    if EXPOSURES[after].net[1] < EXPOSURES[before].net[1]:
        return "CUT"
    return "ADD"


card = ""

# How it is argued. A blank such as {after_ro} is the word with the
# Korean particle that its sound takes.

schema: Schema = closed(
    working=WORKING,
    scenario_analysis=closed(
        shock=one_of(*SHOCKS), regime_now=REGIME, regime_after=REGIME, reasoning=text()
    ),
    recommended_action=closed(action=one_of("CUT", "ADD", "KEEP"), net_exposure_pct=NET),
    positions=closed(long_gross_pct=LONG_GROSS, index_short_pct=INDEX_SHORT),
    contingency=text(200),
)

# {r} {b} {m} {v} are the market's return, breadth, momentum and volatility after the shock.
_EFFECTS = {
    "ko": crossed(
        (
            "충격 {size}를 반영하면",
            "{size} 충격 뒤에는",
            "이 시나리오({size})에서는",
            "{size}를 가정하면",
            "{size} 충격이면",
            "{size} 충격을 넣으면",
        ),
        (
            "시장 수익률이 {r}, 상승 종목 비중이 {b}가 된다.",
            "수익률 {r}, 10일 모멘텀 {m}, 연율 변동성 {v}로 옮겨 간다.",
            "상승 종목 비중이 {b}, 수익률이 {r}까지 움직인다.",
            "10일 모멘텀은 {m}, 연율 변동성은 {v}이고 수익률은 {r}다.",
            "연율 변동성이 {v}, 상승 종목 비중이 {b}, 수익률이 {r}가 된다.",
            "지표는 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}로 바뀐다.",
        ),
    ),
    "en": crossed(
        (
            "Shock of {size}:",
            "Post-shock ({size}),",
            "Assuming {size},",
            "After the {size},",
            "Given the {size},",
            "Hit by {size},",
        ),
        (
            "the market return is {r} and breadth {b}.",
            "return goes to {r}, momentum to {m} and volatility to {v}.",
            "breadth comes to {b} on a return of {r}.",
            "momentum is {m}, volatility {v} and the return {r}.",
            "volatility reaches {v}, with a return of {r} and breadth of {b}.",
        ),
    ),
}
_SHIFTS = {
    "ko": {
        "stays": ("그래도 국면은 {before} 그대로다.", "국면은 {before}에서 바뀌지 않는다."),
        "changes": (
            "국면은 {before}에서 {after_ro} 바뀐다.",
            "그러면 {before} 국면이 끝나고 {after_i} 된다.",
        ),
    },
    "en": {
        "stays": ("The regime stays {before}.", "That still is {before}."),
        "changes": (
            "The regime goes from {before} to {after}.",
            "That ends {before} and means {after}.",
        ),
    },
}
_TODAY = {"ko": "지금은 {before_da}.", "en": "Today it is {before}."}
_CONTINGENCIES = {
    "ko": (
        "예상과 달리 수치가 돌아오면 순노출 밴드 {low}~{high}% 안에서 다시 맞춘다.",
        "충격이 더 커지면 인덱스 숏 {short}%부터 다시 본다.",
        "하루 뒤 수치를 다시 넣어 {low}~{high}% 밴드를 벗어나는지 확인한다.",
    ),
    "en": (
        "If the figures recover, realign within the {low} to {high}% net band.",
        "Should the shock grow, the index short of {short}% is reviewed first.",
        "A day later run the figures again and check the {low} to {high}% band.",
    ),
}


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the regime after the shock, the book that fits it and a contingency, all argued.

    With a `regime`, it is the answer of someone who expects that one after the shock.
    """
    decision = settled(decide(scene.facts, regime))
    scenario = decision["scenario_analysis"]
    scenario["reasoning"] = _reasoning(scene, scenario, rng)
    low, high = EXPOSURES[scenario["regime_after"]].net
    decision["contingency"] = rng.choice(_CONTINGENCIES[scene.language]).format(
        low=low, high=high, short=decision["positions"]["index_short_pct"]
    )
    return arranged(decision, schema)


def _reasoning(scene: Scene, scenario: dict[str, Any], rng: Random) -> str:
    """What the shock does to the numbers and to the regime, before or after the ground of today's
    regime.
    """
    language = scene.language
    before, after = scenario["regime_now"], scenario["regime_after"]
    shift = _shift(before, after, language, rng)
    effect = _effect(scene, rng)
    ground_today = wording.ground(scene, rng)
    if rng.random() < 0.5:
        return " ".join([ground_today, effect, shift])
    today = _TODAY[language].format(before=before, before_da=with_particle(before, "이다/다"))
    return " ".join([effect, shift, today, ground_today])


def _effect(scene: Scene, rng: Random) -> str:
    """The market's numbers after the shock."""
    language = scene.language
    size = scene.facts.numbers["shock_pct"]
    market = known_numbers(scene.facts)
    after = shocked(market, scene.facts.words["shock"], size)
    return rng.choice(_EFFECTS[language]).format(
        size=printed("shock_pct", size, language),
        r=printed("return_pct", after["return_pct"], language),
        b=printed("breadth_pct", after["breadth_pct"], language),
        m=printed("momentum_pct", after["momentum_pct"], language),
        v=printed("volatility_pct", after["volatility_pct"], language),
    )


def _shift(before: str, after: str, language: Language, rng: Random) -> str:
    """The regime's change, or that it stays."""
    change = "stays" if before == after else "changes"
    return rng.choice(_SHIFTS[language][change]).format(
        before=before,
        after=after,
        after_ro=with_particle(after, "으로/로"),
        after_i=with_particle(after, "이/가"),
    )


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist expects another regime after the
    shock.
    """

    def mistake() -> dict[str, Any]:
        after = right["scenario_analysis"]["regime_after"]
        return answer(scene, rng, spoiling.other_regime(after, rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades both regimes and the action against the decision, and the book against the bands of
    the regime after the shock.
    """
    return grading.judge(scene, reply, schema, decide(scene.facts))
