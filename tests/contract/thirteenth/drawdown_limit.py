"""drawdown_limit: whether a fund's drawdown is over its limit of 20 %."""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.schemas import REGIME, WORKING, Schema, arranged, closed, one_of, text
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working

name = "drawdown_limit"
share = 0.10
needs = Needs(numbers=("drawdown_pct",))

LIMIT_PCT = 20.0
card = f"MDD above {LIMIT_PCT:g} %: STOP, else GO_ON"

_WORDS = words_beside(__file__)
schema: Schema = closed(
    working=WORKING, reasoning=text(), verdict=one_of("STOP", "GO_ON"), regime=REGIME
)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks whether the fund may go on."""
    return wording.ask(scene, _WORDS.templates[scene.language])


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides by the drawdown alone."""
    drawdown = facts.numbers["drawdown_pct"]
    verdict = "STOP" if drawdown > LIMIT_PCT else "GO_ON"
    regime = regime or stated_regime(facts)
    step = f"MDD {drawdown:.1f} against {LIMIT_PCT:g}: {verdict}"
    return {"working": [market_working(facts, regime), step], "verdict": verdict, "regime": regime}


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the verdict with its reason."""
    return _told(scene, decide(scene.facts), rng)


def _told(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    decision = settled(decision)
    sentence = rng.choice(_WORDS.texts[decision["verdict"]][scene.language])
    drawdown = f"{scene.facts.numbers['drawdown_pct']:.1f}%"
    decision["reasoning"] = f"{wording.argue(scene, rng)} {sentence.format(drawdown=drawdown)}"
    return arranged(decision, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer; a mistaken manager takes the other verdict."""

    def mistake() -> dict[str, Any]:
        decision = decide(scene.facts)
        decision["verdict"] = "GO_ON" if decision["verdict"] == "STOP" else "STOP"
        return {**right, "verdict": decision["verdict"]}

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the verdict against the limit."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
