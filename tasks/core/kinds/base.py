"""What a kind is: one skill of the model, stated once and used for training, preference pairs and
evaluation.
"""

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Literal, Protocol

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.rules import EXPOSURES, NEUTRAL, NUMBERS, regime_of

Language = Literal["ko", "en"]
Flaw = Literal["strategy_violation", "quality_degradation", "schema_violation", "hallucination"]
FLAWS: tuple[Flaw, ...] = (
    "strategy_violation",
    "quality_degradation",
    "schema_violation",
    "hallucination",
)

FLAW_OF_PART: dict[str, Flaw] = {
    "json": "schema_violation",
    "schema": "schema_violation",
    "regime": "strategy_violation",
    "exposure": "strategy_violation",
    "actions": "strategy_violation",
    "tickers": "hallucination",
    "grounded": "hallucination",
    "argued": "quality_degradation",
    "book": "quality_degradation",
}
"""Which flaw a failed part of a grade speaks of."""


@dataclass(frozen=True)
class Scene:
    """Everything a prompt may say, and in which words."""

    kind: str
    language: Language
    template: int
    layout: Literal["bullets", "sentence", "compact", "table"]
    date: str | None  # YYYY-MM-DD; None where the numbers belong to no real day
    facts: Facts
    simulated: tuple[str, ...] = ()  # names of the facts that come from no data
    origins: dict[str, str] = field(
        default_factory=dict
    )  # of tier, beta, US correlation: measured, table or both
    seed: int = 0  # of the wording

    @property
    def regime(self) -> str:
        """The rule's regime of the numbers that the question states."""
        return regime_of(
            **{name: self.facts.numbers.get(name, neutral) for name, neutral in NEUTRAL.items()}
        )

    @property
    def partial(self) -> bool:
        """Whether the question states only some of the market's numbers."""
        return not set(NUMBERS) <= set(self.facts.numbers)


@dataclass(frozen=True)
class Grade:
    """How right a reply is: 1.0 if every part passes. Parts that could not be judged are absent."""

    score: float
    parts: dict[str, bool] = field(default_factory=dict)
    reason: str = ""
    told: dict[str, Any] | None = None  # the reply read as JSON, where it is valid

    @property
    def flaws(self) -> set[Flaw]:
        return {FLAW_OF_PART[part] for part, passed in self.parts.items() if not passed}


@dataclass(frozen=True)
class Needs:
    """What a kind's question must say, beside the market's four numbers. Names are the lexicon's."""

    stocks: tuple[int, int] = (0, 0)  # fewest and most
    stock_numbers: tuple[str, ...] = ()
    stock_words: tuple[str, ...] = ()
    funds: tuple[str, ...] = ()  # groups of ETFs, of each of which one or two are offered
    numbers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()  # of previous_regime, event, shock
    asides: tuple[str, ...] = ()  # numbers that some questions mention and others do not
    partial_share: float = 0.0  # share of questions that state only some of the market's numbers


class Kind(Protocol):
    """One skill. The generator, the pair builder and the evaluator know nothing but this."""

    name: str
    share: float  # of the synthetic rows; the twelve sum to 1
    needs: Needs
    schema: dict[str, Any]

    def templates(self, language: Language) -> tuple[str, ...]: ...
    def ask(self, scene: Scene, rng: Random) -> str: ...
    def answer(self, scene: Scene, rng: Random) -> dict[str, Any]: ...
    def spoil(self, scene: Scene, answer: dict[str, Any], how: Flaw, rng: Random) -> str: ...
    def grade(self, scene: Scene, reply: str) -> Grade: ...


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """The scene as JSON can hold it. vars, not asdict: that copies every value, a tenth of the time
    of a row.
    """
    stocks = [vars(line) for line in scene.facts.stocks]
    return {**vars(scene), "facts": {**vars(scene.facts), "stocks": stocks}}


def scene_from_dict(raw: dict[str, Any]) -> Scene:
    facts = Facts(
        **{**raw["facts"], "stocks": tuple(StockFacts(**line) for line in raw["facts"]["stocks"])}
    )
    return Scene(**{**raw, "facts": facts, "simulated": tuple(raw["simulated"])})


@cache
def system_prompt(language: Language) -> str:
    """The strategy prompt: the very same message in Stage 2 and 3 rows, in evaluation and in the
    Modelfile's SYSTEM.

    Short on purpose: it is in every row, and Korean costs the demo's tokenizer 1.7 tokens a
    character.
    """
    lines = [_SYSTEM[language]]
    long, short, net = _WORDS[language]
    for regime, exposure in EXPOSURES.items():
        parts = [f"{long} {_span(exposure.long_gross)}", f"{short} {_span(exposure.index_short)}"]
        lines.append(f"{regime}: {', '.join(parts)}, {net} {_span(exposure.net)}")
    return "\n".join(lines)


_SYSTEM = {
    "ko": "한국 주식 전략가로서 국면을 판정하고 JSON으로만 답한다. 근거는 질문의 숫자로 든다. 국면별 비중(%):",
    "en": "You are a Korean-equity strategist. Judge the regime and answer in JSON only, arguing from the question's "
    "numbers. Exposure by regime (%):",
}
_WORDS = {"ko": ("롱", "인덱스 숏", "순"), "en": ("long", "index short", "net")}


def _span(band: tuple[int, int]) -> str:
    return str(band[0]) if band[0] == band[1] else f"{band[0]}~{band[1]}"
