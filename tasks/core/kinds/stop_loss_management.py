"""stop_loss_management: what to do with each position, given its profit or loss and the regime."""

from random import Random
from typing import Any

from tasks.core.kinds.base import Flaw, Grade, Language, Scene
from tasks.core.kinds.grading import (
    break_form,
    generic,
    graded,
    grounded,
    invented,
    numbers_in,
    pairs_exist,
    read,
    to_text,
)
from tasks.core.kinds.wording import day_of, known_numbers, market_block, name_of
from tasks.core.strategy import REDUCE_PCT, REGIMES, STOP_LOSS_PCT, TAKE_PROFIT_PCT, regime_of, stop_action

name = "stop_loss_management"
share = 0.06
stocks = (3, 5)
partial_share = 0.0

ACTIONS = ("STOP_LOSS", "TAKE_PROFIT", "REDUCE", "HOLD")
_PARTS = ("json", "schema", "regime", "actions", "tickers", "grounded", "argued", "book")
_EDGES = (-8.0, -8.1, -7.9, -3.0, -3.1, -2.9, 15.0, 14.9, 15.1)  # the rule's own borders, as often as chance would not

schema: dict[str, Any] = {
    "type": "object",
    "properties": {
        "regime": {"type": "string", "enum": list(REGIMES)},
        "position_review": {
            "type": "array",
            "minItems": 1,
            "maxItems": 10,
            "items": {
                "type": "object",
                "properties": {
                    "ticker": {"type": "string", "minLength": 6, "maxLength": 6},
                    "name": {"type": "string", "minLength": 1, "maxLength": 60},
                    "action": {"type": "string", "enum": list(ACTIONS)},
                    "reason": {"type": "string", "minLength": 4, "maxLength": 160},
                },
                "required": ["ticker", "name", "action", "reason"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["position_review", "regime"],
    "additionalProperties": False,
}

# The last two of each language are kept for evaluation.
_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장은 다음과 같다.\n{market}\n보유 종목 손익:\n{positions}\n종목별로 어떻게 할까?",
        "손절 점검을 해 줘. 기준일 {day}.\n{market}\n{positions}",
        "{day} 포지션 점검이다.\n{market}\n보유 현황\n{positions}\n규칙대로 조치를 정하라.",
        "아래 포트폴리오에서 정리할 종목이 있나? ({day})\n{market}\n{positions}",
        "{positions}\n위 손익과 {day} 지표를 보고 대응을 정해 달라.\n{market}",
        "리스크 담당이다. {day} 마감 지표\n{market}\n종목별 손익\n{positions}\n손절, 축소, 익절 여부는?",
        "{day} 장이 끝났다.\n{market}\n내 계좌:\n{positions}\n각 종목의 조치를 알려 줘.",
        "정기 점검({day}).\n{market}\n포지션:\n{positions}\n손절 규칙을 적용하라.",
    ),
    "en": (
        "The market, {day}:\n{market}\nOpen positions:\n{positions}\nWhat should we do with each?",
        "Run the stop-loss review. As of {day}.\n{market}\n{positions}",
        "Position check, {day}.\n{market}\nHoldings\n{positions}\nDecide by the rules.",
        "Is there anything to cut in this portfolio? ({day})\n{market}\n{positions}",
        "{positions}\nGiven these results and the figures of {day}, decide what to do.\n{market}",
        "Risk desk. Closing figures, {day}:\n{market}\nResults by name:\n{positions}\nStop, reduce or take profit?",
        "The session of {day} is over.\n{market}\nMy account:\n{positions}\nGive an action for each name.",
        "Regular review ({day}).\n{market}\nPositions:\n{positions}\nApply the stop rules.",
    ),
}
_REASONS = {
    "ko": {
        "STOP_LOSS": "손익 {pnl}%로 손절 기준 {stop:g}% 이하다.",
        "TAKE_PROFIT": "손익 {pnl}%로 익절 기준 {take:g}% 이상이다.",
        "REDUCE": "손익 {pnl}%로 {reduce:g}% 이하이고 국면이 약해 비중을 줄인다.",
        "HOLD": "손익 {pnl}%로 조치 기준에 닿지 않는다.",
    },
    "en": {
        "STOP_LOSS": "At {pnl}% it is at or below the {stop:g}% stop.",
        "TAKE_PROFIT": "At {pnl}% it is at or above the {take:g}% target.",
        "REDUCE": "At {pnl}%, at or below {reduce:g}% in a weak regime, it is cut back.",
        "HOLD": "At {pnl}% it touches no limit.",
    },
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def profits(scene: Scene) -> dict[str, float]:
    """Profit or loss of each position in %, one decimal, by ticker: the scene's own."""
    rng = Random(scene.seed)
    return {
        day.ticker: rng.choice(_EDGES) if rng.random() < 0.25 else round(rng.uniform(-14, 22), 1)
        for day in scene.stocks
    }


def ask(scene: Scene, rng: Random) -> str:
    lines = "\n".join(f"- {name_of(t, scene.language)}({t}) {pnl:+.1f}%" for t, pnl in profits(scene).items())
    template = _TEMPLATES[scene.language][scene.template]
    return template.format(day=day_of(scene), market=market_block(scene), positions=lines)


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    regime = regime_of(**known_numbers(scene))
    return {"position_review": _review(scene, regime), "regime": regime}


def _review(scene: Scene, regime: str) -> list[dict[str, Any]]:
    return [_line(scene.language, ticker, pnl, stop_action(pnl, regime)) for ticker, pnl in profits(scene).items()]


def _line(language: Language, ticker: str, pnl: float, action: str) -> dict[str, Any]:
    reason = _REASONS[language][action].format(pnl=pnl, stop=STOP_LOSS_PCT, reduce=REDUCE_PCT, take=TAKE_PROFIT_PCT)
    return {"ticker": ticker, "name": name_of(ticker, language), "action": action, "reason": reason}


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    review = right["position_review"]
    place = rng.randrange(len(review))
    others = [*review[:place], *review[place + 1 :]]
    spoiled = dict(review[place])
    if how == "strategy_violation":
        wrong = rng.choice([action for action in ACTIONS if action != spoiled["action"]])
        spoiled = _line(scene.language, spoiled["ticker"], profits(scene)[spoiled["ticker"]], wrong)
    elif how == "quality_degradation":
        if others and rng.random() < 0.5:
            return to_text({**right, "position_review": others})
        spoiled["reason"] = generic(scene.language, rng)
    elif how == "hallucination":
        wrong_ticker = {"ticker": f"99{rng.randint(1000, 9999)}"}
        spoiled |= rng.choice((wrong_ticker, {"reason": f"{spoiled['reason']} {invented(scene.language, rng)}"}))
    else:
        return break_form(right, schema["required"], rng)
    return to_text({**right, "position_review": [*review[:place], spoiled, *review[place + 1 :]]})


def grade(scene: Scene, reply: str) -> Grade:
    told, parts = read(reply, schema)
    if told is None:
        return graded(parts, _PARTS)
    regime, results, review = regime_of(**known_numbers(scene)), profits(scene), told["position_review"]
    known = [line for line in review if line["ticker"] in results]
    limits = (STOP_LOSS_PCT, REDUCE_PCT, TAKE_PROFIT_PCT)
    parts["regime"] = told["regime"] == regime
    parts["actions"] = all(line["action"] == stop_action(results[line["ticker"]], regime) for line in known)
    held = len(known) == len(review)  # a stock that is not in the portfolio is made up, whether or not it exists
    parts["tickers"] = held and pairs_exist((line["ticker"], line["name"]) for line in review)
    parts["grounded"] = grounded([line["reason"] for line in review], scene, [*results.values(), *limits])
    parts["argued"] = all(results[line["ticker"]] in numbers_in([line["reason"]]) for line in known)
    parts["book"] = len(review) == len(results) and len({line["ticker"] for line in review}) == len(review)
    return graded(parts, _PARTS)
