"""regime_classification: which regime is it, and how much exposure does it allow?"""

from random import Random
from typing import Any

from tasks.core.kinds.base import NUMBERS, Flaw, Grade, Language, Scene
from tasks.core.kinds.grading import argued, break_form, generic, graded, grounded, invented, read, to_text
from tasks.core.kinds.wording import LABELS, argue, day_of, known_numbers, market_block
from tasks.core.strategy import EXPOSURES, REGIMES, confidence_pct, exposure_for, regime_of

name = "regime_classification"
share = 0.10
stocks = (0, 0)
partial_share = 0.15

_PARTIAL_CONFIDENCE_PCT = 50  # the most that a judgement on incomplete numbers may claim
_PARTS = ("json", "schema", "regime", "exposure", "grounded", "argued")

schema: dict[str, Any] = {
    "type": "object",
    "properties": {
        "regime": {"type": "string", "enum": list(REGIMES)},
        "confidence_pct": {"type": "integer", "minimum": 0, "maximum": 100},
        "reasoning": {"type": "string", "minLength": 10, "maxLength": 320},
        "recommended_net_exposure_pct": {"type": "integer", "minimum": -80, "maximum": 130},
        "missing_inputs": {"type": "array", "items": {"type": "string", "enum": list(LABELS["en"])}, "maxItems": 3},
    },
    "required": ["regime", "confidence_pct", "reasoning", "recommended_net_exposure_pct"],
    "additionalProperties": False,
}

# The last two of each language are kept for evaluation.
_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장 지표다.\n{market}\n지금은 어떤 국면이고 순노출은 얼마가 적당한가?",
        "다음 숫자로 국면을 판정해 줘.\n{market}\n기준일: {day}",
        "{day} 장 마감 수치를 정리했다.\n{market}\n국면과 권고 순노출을 알려 달라.",
        "오전 회의용 질문이다. {day} 기준 시장은 아래와 같다.\n{market}\n국면 판단과 근거는?",
        "위험 관리팀에서 묻는다. {day} 시장 상태:\n{market}\n순노출을 얼마로 가져가야 하나?",
        "{market}\n{day}의 이 수치라면 어느 국면으로 봐야 하는가?",
        "펀드 비중을 정하려고 한다. {day} 지표는 이렇다.\n{market}\n국면을 분류하고 근거를 밝혀라.",
        "{day} 마감 기준 시장 요약이다.\n{market}\n규칙대로 국면을 정하고 순노출을 제시하라.",
    ),
    "en": (
        "Market figures for {day}:\n{market}\nWhich regime is this, and what net exposure fits?",
        "Classify the regime from these numbers.\n{market}\nDate: {day}",
        "Here are the closing figures of {day}.\n{market}\nGive the regime and the recommended net exposure.",
        "For the morning meeting: the market of {day} looked like this.\n{market}\nYour regime call, and why?",
        "Risk desk here. State of the market, {day}:\n{market}\nHow much net exposure may we run?",
        "{market}\nThose are the numbers of {day}. Which regime do they mean?",
        "We are setting the fund's exposure. Indicators for {day}:\n{market}\nClassify the regime and argue it.",
        "Market summary at the close of {day}.\n{market}\nApply the rule: regime and net exposure, please.",
    ),
}
# The same numbers of templates: a scene's template means one of these where it gives only some of the numbers.
_HURRIED: dict[Language, tuple[str, ...]] = {
    "ko": (
        "급한데 {day} {market}, 이것만 보면 어떤 국면이야?",
        "지금 아는 건 {day} {market}뿐인데 국면이 뭐야?",
        "회의 직전이야, {day} {market}, 국면 어떻게 봐?",
        "{day} {market}까지만 확인했어, 국면이랑 순노출 빨리.",
        "{market}, {day} 이 정도면 어느 국면이지?",
        "통화 중이라 짧게 물을게, {day} {market}, 순노출 얼마로 가?",
        "나머지는 아직 못 봤고 {day} {market}, 국면 판정 부탁해.",
        "일단 {day} {market}, 국면부터 말해 줘.",
    ),
    "en": (
        "Quick one, {day}: {market}, which regime?",
        "All I have for {day} is {market}, so what regime is that?",
        "Meeting starts now, {day}, {market}, how do you call it?",
        "Only checked {market} for {day}, regime and net exposure please?",
        "{market}, {day}, that is all I know, which regime?",
        "On the phone, {day}, {market}, what net do we run?",
        "No time for the rest, {day}, {market}, your regime call?",
        "Just {market} for {day} so far, where does that put us?",
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    partial = len(scene.given) < len(NUMBERS)
    template = (_HURRIED if partial else _TEMPLATES)[scene.language][scene.template]
    market = market_block(scene).rstrip(".") if partial else market_block(scene)
    return template.format(day=day_of(scene), market=market)


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _answer_for(scene, regime_of(**known_numbers(scene)), argue(scene))


def _answer_for(scene: Scene, regime: str, reasoning: str) -> dict[str, Any]:
    numbers = known_numbers(scene)
    confidence = confidence_pct(**numbers)
    missing = [number for number in LABELS["en"] if number not in scene.given]
    told = {
        "regime": regime,
        "confidence_pct": min(_PARTIAL_CONFIDENCE_PCT, confidence // 2) if missing else confidence,
        "reasoning": reasoning,
        "recommended_net_exposure_pct": exposure_for(regime, numbers["breadth_pct"])[2],
    }
    return {**told, "missing_inputs": missing} if missing else told


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    if how == "strategy_violation":
        other = rng.choice([regime for regime in REGIMES if _excludes(regime, right)])
        reasoning = rng.choice((right["reasoning"], argue(scene, claimed=other)))
        return to_text(_answer_for(scene, other, reasoning))
    if how == "quality_degradation":
        first = right["reasoning"].split(". ")[0].rstrip(".")
        worse = rng.choice((generic(scene.language, rng), f"{first}. {first}."))
        return to_text({**right, "reasoning": worse})
    if how == "hallucination":
        return to_text({**right, "reasoning": f"{right['reasoning']} {invented(scene.language, rng)}"[-320:]})
    return break_form(right, schema["required"], rng)


def _excludes(regime: str, right: dict[str, Any]) -> bool:
    low, high = EXPOSURES[regime].net
    return regime != right["regime"] and not low <= right["recommended_net_exposure_pct"] <= high


def grade(scene: Scene, reply: str) -> Grade:
    told, parts = read(reply, schema)
    if told is None:
        return graded(parts, _PARTS)
    regime = regime_of(**known_numbers(scene))
    low, high = EXPOSURES[regime].net
    missing = [number for number in LABELS["en"] if number not in scene.given]
    modest = not missing or told["confidence_pct"] <= _PARTIAL_CONFIDENCE_PCT
    parts["regime"] = told["regime"] == regime and told.get("missing_inputs", []) == missing and modest
    parts["exposure"] = low <= told["recommended_net_exposure_pct"] <= high
    parts["grounded"] = grounded([told["reasoning"]], scene, [told["recommended_net_exposure_pct"]])
    parts["argued"] = argued(told["reasoning"], scene)
    return graded(parts, _PARTS)
