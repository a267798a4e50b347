"""opening_momentum: which opening gaps are worth following, with what weight and what stop."""

from random import Random
from typing import Any

from tasks.core.kinds import grading, lexicon, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Language, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.phrases import crossed
from tasks.core.kinds.schemas import (
    Schema,
    arranged,
    closed,
    integer,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.records.facts import StockFacts
from tasks.core.strategy import decisions
from tasks.core.strategy.rules import (
    F_SCORE,
    GAP_PCT,
    OPENING_WEIGHTS,
    VOLUME_RATIO,
    opening_signal,
)

name = "opening_momentum"
share = 0.06
needs = Needs(
    stocks=(2, 4),
    stock_numbers=("gap_pct", "volume_x", "f_score"),
    stock_words=("us_correlation", "tier"),
    asides=("us_return_pct", "vix"),
)

schema: Schema = closed(
    opening_analysis=listed(
        stock_entry(
            score_points=integer(0, 5),
            signal=one_of("STRONG", "MODERATE", "WEAK"),
            action=one_of("ADD", "SKIP"),
            weight_pct=integer(0, 8),
            stop_bp=integer(0, 1500),
            reason=text(200),
        ),
        8,
        1,
    ),
    recommendation=text(),
)

# The last two of each language are kept for evaluation.
_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 장 시작 직후다.\n{stocks}\n시장은\n{market}\n따라 살 종목이 있나?",
        "시초가 모멘텀을 평가해 줘. 기준일 {day}.\n{market}\n{stocks}",
        "{day} 갭 상승 종목이다.\n{stocks}\n{market}\n점수와 비중, 손절 폭을 달라.",
        "개장 후 점검({day}).\n{market}\n후보\n{stocks}\n어느 갭이 진짜인가?",
        "{market}\n{day} 아침에 갭이 뜬 종목을 골랐다.\n{stocks}\n규칙대로 점수를 매겨라.",
        "단타 데스크 요청: {day} 시가 갭 종목의 신호를 판정해 달라.\n{stocks}\n{market}",
        "{stocks}\n{day} 시초가가 이렇다. 진입할지 넘길지 정해 줘.\n{market}",
        "{day} 오전 주문을 준비한다.\n{market}\n갭 종목:\n{stocks}\n신호 강도별로 정리하라.",
        "{day} 동시호가 결과를 받았다.\n{stocks}\n{market}\n무엇을 얼마나 사고 어디서 끊을까?",
        "갭 매매 후보를 거르고 싶다({day}).\n{market}\n{stocks}\n점수 근거도 함께 적어 줘.",
    ),
    "en": (
        "Just after the open of {day}.\n{stocks}\nThe market:\n{market}\nIs any of them worth following?",
        "Rate the opening momentum. As of {day}.\n{market}\n{stocks}",
        "Names that gapped up on {day}.\n{stocks}\n{market}\nScore, weight and stop distance, please.",
        "Check after the open ({day}).\n{market}\nCandidates\n{stocks}\nWhich gap is real?",
        "{market}\nThese gapped on the morning of {day}.\n{stocks}\nScore them by the rules.",
        "From the day-trading desk: judge the signals of the opening gaps of {day}.\n{stocks}\n{market}",
        "{stocks}\nSo they opened on {day}. Enter or pass?\n{market}",
        "Preparing the morning orders of {day}.\n{market}\nGap names:\n{stocks}\nSort them by strength.",
        "The opening auction of {day} is done.\n{stocks}\n{market}\nWhat do we buy, how much, and where is the stop?",
        "I want to filter the gap trades ({day}).\n{market}\n{stocks}\nInclude the ground for each score.",
    ),
}
_POINTS = {
    "ko": {
        "gap_pct": "갭 {value}",
        "volume_x": "거래량 {value}",
        "f_score": "F-Score {value}",
        "us_correlation": "높은 미국 상관",
        "tier": "중형주",
    },
    "en": {
        "gap_pct": "gap {value}",
        "volume_x": "volume {value}",
        "f_score": "F-Score {value}",
        "us_correlation": "high US correlation",
        "tier": "mid cap",
    },
}
_REASONS = {
    "ko": {
        "some": crossed(
            ("{score}점이다.", "점수는 {score}점이다.", "신호는 {score}점이다.", "{score}점을 준다.",
             "{score}점으로 매긴다.", "평가는 {score}점이다.", "{score}점짜리 갭이다.", "합계는 {score}점이다.",
             "신호 강도는 {score}점이다.", "{score}점을 받는다.", "판정은 {score}점이다."),
            ("{points} 조건을 채웠다.", "근거는 {points_da}.", "기준을 넘은 것은 {points_da}.",
             "해당 항목은 {points_da}.", "충족한 조건은 {points_da}.", "점수를 준 항목은 {points_da}."),
        ),
        "none": (
            "모두 기준에 못 미친다. 갭 {gap}, 거래량 {volume}, F-Score {f}로 0점이다.",
            "점수가 없다. 갭 {gap}에 거래량 {volume}뿐이다.",
            "0점이다. 갭 {gap}, 거래량 {volume}, F-Score {f} 어느 것도 기준을 넘지 못했다.",
            "기준을 넘은 항목이 없다. 갭은 {gap}, 거래량은 {volume}다.",
        ),
        "ADD": (
            " 비중 {weight}%에 손절은 갭의 절반인 {stop}%다.",
            " {weight}% 담고 {stop}% 밀리면 나온다.",
            " {weight}%를 사고 손절 폭은 {stop}%로 둔다.",
        ),
        "SKIP": (" 따라 사지 않는다.", " 진입하지 않는다.", " 이 갭은 넘긴다."),
    },
    "en": {
        "some": crossed(
            ("Scores {score}.", "Gets {score}.", "Rated {score}.", "Earns {score}.", "Worth {score}.",
             "Total {score}.", "Signal {score}.", "Makes {score}.", "Marked {score}.", "Score {score}.",
             "Reaches {score}."),
            ("It comes from {points}.", "Counted: {points}.", "What counts is {points}.", "In its favour: {points}.",
             "The ground: {points}.", "Conditions met: {points}.", "Credited: {points}.", "Passed: {points}."),
        ),
        "none": (
            "Gap {gap}, volume {volume} and F-Score {f} all miss their marks: 0 points.",
            "No point scored with a gap of {gap} on volume of {volume}.",
            "Nothing counts here, with gap {gap}, volume {volume} and F-Score {f}.",
            "A score of 0: gap {gap}, volume {volume}, F-Score {f}.",
        ),
        "ADD": (
            " Weight {weight}%, stop at {stop}%, half the gap.",
            " Buy {weight}% and leave if it loses {stop}%.",
            " It gets {weight}% with a stop of {stop}%.",
        ),
        "SKIP": (" Not followed.", " We pass.", " No trade."),
    },
}  # fmt: skip
_SUMMARY = {
    "ko": {
        "some": (
            "{names_eul} 합계 {total}% 담고 나머지는 넘긴다.",
            "진입은 {names}, 비중 합계 {total}%다.",
            "합계 {total}%로 {names}에 들어간다.",
        ),
        "all": (
            "모두 신호가 살아 있어 합계 {total}% 담는다.",
            "전 종목이 2점 이상이라 {total}%를 나눠 산다.",
        ),
        "none": ("2점을 넘긴 종목이 없어 모두 넘긴다.", "신호가 2점에 못 미쳐 오늘은 쉬어 간다."),
    },
    "en": {
        "some": (
            "Buy {names}, {total}% in all, and pass on the rest.",
            "Entries: {names}, together {total}%.",
            "A total of {total}% goes into {names}.",
        ),
        "all": (
            "Every signal holds, so {total}% in all is bought.",
            "All score 2 or more and share {total}%.",
        ),
        "none": (
            "None reaches 2 points, so we pass on all.",
            "No signal scores 2 today; stay out.",
        ),
    },
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    return wording.ask(scene, _TEMPLATES[scene.language])


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _written(scene, rng, decisions.opening_momentum(scene.facts))


def _written(scene: Scene, rng: Random, decision: decisions.Decision) -> dict[str, Any]:
    told = wording.named(decisions.settled(decision), scene.language)
    entries = told["opening_analysis"]
    for entry, line in zip(entries, scene.facts.stocks, strict=True):
        entry["reason"] = _reason(line, entry, scene.language, rng)
    bought = [entry for entry in entries if entry["action"] == "ADD"]
    which = "none" if not bought else "all" if len(bought) == len(entries) else "some"
    names = ", ".join(entry["name"] for entry in bought)
    told["recommendation"] = rng.choice(_SUMMARY[scene.language][which]).format(
        names=names,
        names_eul=with_particle(names, "을/를") if names else "",
        total=sum(entry["weight_pct"] for entry in bought),
    )
    return arranged(told, schema)


def _reason(line: StockFacts, entry: dict[str, Any], language: Language, rng: Random) -> str:
    said = {
        key: lexicon.printed(key, line.numbers[key], language)
        for key in ("gap_pct", "volume_x", "f_score")
    }
    if language == "ko":
        said["volume_x"] = said["volume_x"].replace("x", "배")
    passed = {
        "gap_pct": line.numbers["gap_pct"] > GAP_PCT,
        "volume_x": line.numbers["volume_x"] > VOLUME_RATIO,
        "f_score": line.numbers["f_score"] >= F_SCORE,
        "us_correlation": line.words["us_correlation"] == "high",
        "tier": line.words["tier"] == "mid",
    }
    points = [
        _POINTS[language][key].format(value=said.get(key)) for key, holds in passed.items() if holds
    ]
    joined = ", ".join(points)
    first = rng.choice(_REASONS[language]["some" if points else "none"]).format(
        points=joined,
        points_da=with_particle(joined, "이다/다"),
        score=entry["score_points"],
        gap=said["gap_pct"],
        volume=said["volume_x"],
        f=said["f_score"],
    )
    last = rng.choice(_REASONS[language][entry["action"]])
    return first + last.format(weight=entry["weight_pct"], stop=f"{entry['stop_bp'] / 100:.2f}")


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    def mistake() -> dict[str, Any]:
        """A weak gap chased, or a good one passed over."""
        wrong = decisions.opening_momentum(scene.facts)
        place = rng.randrange(len(wrong["opening_analysis"]))
        entry, line = wrong["opening_analysis"][place], scene.facts.stocks[place]
        if entry["action"] == "ADD":
            entry |= {"signal": "WEAK", "action": "SKIP", "weight_pct": 0, "stop_bp": 0}
        else:
            score = rng.choice((2, 3))
            stop = round(abs(line.numbers["gap_pct"]) * 50)
            entry |= {
                "signal": opening_signal(score),
                "action": "ADD",
                "weight_pct": OPENING_WEIGHTS[score],
            }
            entry["stop_bp"] = stop
        return _written(scene, rng, wrong)

    return spoiling.spoil(scene, right, how, rng, mistake, schema)


def grade(scene: Scene, reply: str) -> Grade:
    return grading.judge(scene, reply, schema, decisions.opening_momentum(scene.facts))
