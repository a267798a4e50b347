"""overnight_gap: which way to lean over night, how far, and when to be out again."""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Language, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.phrases import crossed
from tasks.core.kinds.schemas import Schema, arranged, closed, integer, one_of, stock_entry, text
from tasks.core.strategy import decisions
from tasks.core.strategy.rules import HIGH_VIX, LARGE_US_MOVE_PCT, OVERNIGHT_PCT

name = "overnight_gap"
share = 0.10
needs = Needs(
    funds=("short_kospi", "leveraged_kospi"),
    numbers=("us_return_pct", "vix"),
    asides=("usdkrw", "nav_100m_krw"),
)

schema: Schema = closed(
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

# The last two of each language are kept for evaluation.
_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 마감 후 오버나이트 전략을 정하려 한다.\n{market}\n쓸 수 있는 ETF:\n{stocks}\n방향과 비중은?",
        "밤사이 갭에 어떻게 대비할까? 기준일 {day}.\n{market}\n{stocks}",
        "{market}\n{day} 종가 기준이다. 아래 ETF로 오버나이트 포지션을 짜 줘.\n{stocks}",
        "장 마감 십여 분 전이다({day}).\n{market}\n후보\n{stocks}\n오늘 밤 무엇을 얼마나 들고 갈까?",
        "{day} 야간 리스크 점검.\n{market}\n대상 상품:\n{stocks}\n비중과 청산 계획을 달라.",
        "내일 시초가 갭을 노린다. {day} 지표는\n{market}\n상품은\n{stocks}\n규칙대로 정해 달라.",
        "{stocks}\n이 가운데 하나로 {day} 밤을 넘긴다.\n{market}\n무엇이 맞고 한도는 얼마인가?",
        "오버나이트 오버레이 승인을 요청한다. {day}\n{market}\n{stocks}\n방향, 한도, 청산 시점을 적어라.",
        "{day} 미국장이 열리기 전에 묻는다.\n{market}\n고를 수 있는 것은\n{stocks}\n어느 쪽에 서야 하나?",
        "야간 데스크에 넘길 지시서를 써 줘({day}).\n{market}\n상품 목록\n{stocks}",
    ),
    "en": (
        "Overnight strategy after the close of {day}.\n{market}\nETFs at hand:\n{stocks}\nWhich way, how much?",
        "How do we prepare for the overnight gap? As of {day}.\n{market}\n{stocks}",
        "{market}\nThose are the closing figures of {day}. Build the overnight position from these ETFs.\n{stocks}",
        "Minutes to the close ({day}).\n{market}\nCandidates\n{stocks}\nWhat do we carry tonight, and how much of it?",
        "Overnight risk check, {day}.\n{market}\nInstruments:\n{stocks}\nWeight and unwind plan, please.",
        "We expect an opening gap. The indicators of {day}:\n{market}\nThe products:\n{stocks}\nDecide by the rules.",
        "{stocks}\nOne of these carries us through the night of {day}.\n{market}\nWhich is right, and what is the cap?",
        "Approval of the overnight overlay, {day}\n{market}\n{stocks}\nState direction, cap and time of unwinding.",
        "Before New York opens on {day}.\n{market}\nWe may pick from\n{stocks}\nWhich side should we be on?",
        "Write the order note for the night desk ({day}).\n{market}\nProducts\n{stocks}",
    ),
}
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
_ADDS = {
    "ko": {
        (False, False): "미국 등락 {us}와 VIX {vix_i} 모두 잠잠해 더하지 않고",
        (True, False): "미국 등락 {us}가 ±{move:g}% 이상이라 5%p를 더해",
        (False, True): "VIX {vix_i} {high:g} 이상이라 5%p를 더해",
        (True, True): "미국 등락 {us}와 VIX {vix} 몫으로 5%p씩 더해",
    },
    "en": {
        (False, False): "with nothing added as the US move of {us} and the VIX of {vix} are calm",
        (True, False): "plus 5 points for a US move of {us}, at least {move:g}% either way",
        (False, True): "plus 5 points for a VIX of {vix}, at or above {high:g}",
        (True, True): "plus 5 points each for the US move of {us} and the VIX of {vix}",
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


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    return wording.ask(scene, _TEMPLATES[scene.language])


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _answer(scene, rng)


def _answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    told = decisions.settled(decisions.overnight_gap(scene.facts, regime))
    told = wording.named(told, scene.language)
    numbers, size, language = scene.facts.numbers, told["max_overnight_nav_pct"], scene.language
    large = abs(numbers["us_return_pct"]) >= LARGE_US_MOVE_PCT
    said = {"us": f"{numbers['us_return_pct']:+.2f}%", "vix": f"{numbers['vix']:.1f}"}
    said["vix_i"] = with_particle(said["vix"], "이/가")
    adds = _ADDS[language][large, numbers["vix"] >= HIGH_VIX].format(
        **said, move=LARGE_US_MOVE_PCT, high=HIGH_VIX
    )
    sized = rng.choice(_SIZES[language]).format(base=OVERNIGHT_PCT[0], adds=adds, size=size)
    parts = [wording.argue(scene, rng, claimed=regime), sized]
    if rng.random() < 0.3:
        parts.reverse()
    told["overnight_strategy"]["reasoning"] = " ".join(parts)
    told["unwind_plan"]["note"] = rng.choice(_NOTES[language]).format(size=size)
    return arranged(told, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    def mistake() -> dict[str, Any]:
        """The lean of the opposite kind of regime, so that the direction itself is wrong; or held
        past the open.
        """
        if rng.random() < 0.3:
            held = _answer(scene, rng)
            held["unwind_plan"] |= {"when": "NEXT_CLOSE"}
            return held
        bearish = right["overnight_strategy"]["direction"] == "INVERSE"
        return _answer(
            scene,
            rng,
            rng.choice(("STRONG_BULL", "MILD_BULL") if bearish else ("WEAKENING", "BEAR")),
        )

    return spoiling.spoil(scene, right, how, rng, mistake, schema)


def grade(scene: Scene, reply: str) -> Grade:
    return grading.judge(scene, reply, schema, decisions.overnight_gap(scene.facts))
