"""overnight_gap: which way to lean over night, how far, and when to be out again.

Question: the market's numbers, the S&P 500 move and the VIX, and ETFs that short the KOSPI or
lever it.
Right answer: an ETF that shorts the KOSPI in a weak regime, a leveraged one in the others; 10 % of
NAV, and 5 more for each of a large US move and a high VIX; all of it closed at the next open.
Mistake: the lean of the opposite kind of regime, or a position held past the open.
Grade: any offered ETF of the right direction is right, and any weight of 10 to 20 %.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.phrases import crossed
from tasks.core.kinds.schemas import (
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Choice, Decision, settled
from tasks.core.strategy.holdings import offered_etfs
from tasks.core.strategy.rules import HIGH_VIX, LARGE_US_MOVE_PCT, OVERNIGHT_PCT, WEAK_REGIMES
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working

name = "overnight_gap"
share = 0.10
needs = Needs(
    funds=("short_kospi", "leveraged_kospi"),
    numbers=("us_return_pct", "vix"),
    asides=("usdkrw", "nav_100m_krw"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for tonight's position in one of the scene's ETFs, and when to unwind it."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the overnight overlay.

    Training teaches the first ETF of the right group that the question offers; any other of that
    group is as right.
    """
    bearish = (regime or stated_regime(facts)) in WEAK_REGIMES
    group = "short_kospi" if bearish else "leveraged_kospi"
    first, *others = offered_etfs(facts, group)
    taught = rules.overnight_pct(facts.numbers["us_return_pct"], facts.numbers["vix"])
    size = Choice(taught, *rules.OVERNIGHT_PCT)
    return {
        "working": [market_working(facts, regime)],
        "overnight_strategy": {
            "direction": "INVERSE" if bearish else "LONG",
            "ticker": Choice(first, others=tuple(others)),
            "weight_pct": size,
        },
        "unwind_plan": {"when": "NEXT_OPEN", "share_pct": 100},
        "max_overnight_nav_pct": size,
    }


card = ""

# How it is argued. The blank {vix_i} is the VIX with the Korean
# particle that its sound takes.

schema: Schema = closed(
    working=WORKING,
    overnight_strategy=closed(
        direction=one_of("INVERSE", "LONG"),
        **stock_entry()["properties"],
        weight_pct=integer(*OVERNIGHT_PCT),
        reasoning=text(),
    ),
    unwind_plan=closed(
        when=one_of("NEXT_OPEN", "NEXT_CLOSE"), share_pct=integer(0, 100), note=text(160)
    ),
    max_overnight_nav_pct=integer(*OVERNIGHT_PCT),
)

_SIZES = {
    "ko": crossed(
        ("오버나이트 비중은", "오늘 밤 비중은", "오버레이 한도는", "밤사이 비중은"),
        (
            "기본 {base}%에 {adds} {size}%다.",
            "{adds} {size}%로 둔다. 기본은 {base}%다.",
            "{size}%로, 기본 {base}%에 {adds} 정했다.",
            "NAV의 {size}%다. 기본 {base}%에 {adds} 나온 값이다.",
        ),
    ),
    "en": crossed(
        ("Size {size}%:", "Overlay {size}%:", "Weight {size}%:", "Carry {size}%:", "Hold {size}%:"),
        (
            "the usual {base}%, {adds}.",
            "a base of {base}%, {adds}.",
            "starting from {base}%, {adds}.",
            "{base}% {adds}.",
        ),
    ),
}
_ADDITIONS = {
    "ko": {
        "none": "미국 등락 {us}와 VIX {vix_i} 모두 잠잠해 더하지 않고",
        "us_move": "미국 등락 {us}가 ±{move:g}% 이상이라 5%p를 더해",
        "vix": "VIX {vix_i} {high:g} 이상이라 5%p를 더해",
        "both": "미국 등락 {us}와 VIX {vix} 몫으로 5%p씩 더해",
    },
    "en": {
        "none": "with nothing added as the US move of {us} and the VIX of {vix} are calm",
        "us_move": "plus 5 points for a US move of {us}, at least {move:g}% either way",
        "vix": "plus 5 points for a VIX of {vix}, at or above {high:g}",
        "both": "plus 5 points each for the US move of {us} and the VIX of {vix}",
    },
}
_NOTES = {
    "ko": (
        "다음 날 시가에 {size}% 전량을 청산한다.",
        "시초가에 {size}%를 모두 되돌리고 장중으로 끌고 가지 않는다.",
        "갭이 어느 쪽이든 개장과 함께 {size}%를 정리한다.",
    ),
    "en": (
        "All {size}% is closed at the next open.",
        "The {size}% is unwound at the opening price and not carried into the day.",
        "Whichever way it gaps, the {size}% goes at the open.",
    ),
}


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the overnight position and its unwinding, argued by the regime and the size's rule.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = settled(decide(scene.facts, regime))
    decision = wording.named(decision, scene.language)
    size = decision["max_overnight_nav_pct"]
    size_reason = rng.choice(_SIZES[scene.language]).format(
        base=OVERNIGHT_PCT[0], adds=_addition(scene), size=size
    )
    reasons = [wording.argue(scene, rng, claimed=regime), size_reason]
    if rng.random() < 0.3:
        reasons.reverse()
    decision["overnight_strategy"]["reasoning"] = " ".join(reasons)
    decision["unwind_plan"]["note"] = rng.choice(_NOTES[scene.language]).format(size=size)
    return arranged(decision, schema)


def _addition(scene: Scene) -> str:
    """What is added to the base size, and why, in words."""
    us_return_pct = scene.facts.numbers["us_return_pct"]
    vix = scene.facts.numbers["vix"]
    printed_vix = f"{vix:.1f}"
    return _ADDITIONS[scene.language][_addition_for(us_return_pct, vix)].format(
        us=f"{us_return_pct:+.2f}%",
        vix=printed_vix,
        vix_i=with_particle(printed_vix, "이/가"),
        move=LARGE_US_MOVE_PCT,
        high=HIGH_VIX,
    )


def _addition_for(us_return_pct: float, vix: float) -> str:
    large_us_move = abs(us_return_pct) >= LARGE_US_MOVE_PCT
    high_vix = vix >= HIGH_VIX
    if large_us_move and high_vix:
        return "both"
    if large_us_move:
        return "us_move"
    if high_vix:
        return "vix"
    return "none"


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist leans the wrong way, or holds past
    the open.
    """

    def mistake() -> dict[str, Any]:
        if rng.random() < 0.3:
            held = answer(scene, rng)
            held["unwind_plan"]["when"] = "NEXT_CLOSE"
            return held
        opposite = ("WEAKENING", "BEAR")
        if right["overnight_strategy"]["direction"] == "INVERSE":
            opposite = ("STRONG_BULL", "MILD_BULL")
        return answer(scene, rng, rng.choice(opposite))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the direction, the ETF, the size and the unwinding against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
