"""What a kind is: one skill of the model, stated once and used for training, preference pairs and evaluation."""

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Literal, Protocol

from tasks.core.records import Snapshot, StockDay
from tasks.core.strategy import EXPOSURES

Language = Literal["ko", "en"]
Flaw = Literal["strategy_violation", "quality_degradation", "schema_violation", "hallucination"]
FLAWS: tuple[Flaw, ...] = ("strategy_violation", "quality_degradation", "schema_violation", "hallucination")
NUMBERS = ("return_pct", "breadth_pct", "momentum_pct", "volatility_pct")

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
    """Everything a prompt may say."""

    kind: str
    language: Language
    template: int
    layout: Literal["bullets", "sentence", "compact", "table"]
    snapshot: Snapshot
    given: tuple[str, ...] = NUMBERS  # the snapshot's numbers that the prompt states
    stocks: tuple[StockDay, ...] = ()
    simulated: tuple[str, ...] = ()  # fields that come from no real day
    seed: int = 0  # what a kind draws of its own, e.g. a portfolio, comes from Random(seed)


@dataclass(frozen=True)
class Grade:
    """How right a reply is: 1.0 if every part passes. Parts that could not be judged are absent."""

    score: float
    parts: dict[str, bool] = field(default_factory=dict)
    reason: str = ""

    @property
    def flaws(self) -> set[Flaw]:
        return {FLAW_OF_PART[part] for part, passed in self.parts.items() if not passed}


class Kind(Protocol):
    """One skill. The generator, the pair builder and the evaluator know nothing but this."""

    name: str
    share: float  # of the synthetic rows, before the shares of the kinds at hand are scaled to 1
    stocks: tuple[int, int]  # fewest and most stocks a scene must offer
    partial_share: float  # share of scenes that state only some of the market's numbers
    schema: dict[str, Any]

    def templates(self, language: Language) -> tuple[str, ...]: ...
    def ask(self, scene: Scene, rng: Random) -> str: ...
    def answer(self, scene: Scene, rng: Random) -> dict[str, Any]: ...
    def spoil(self, scene: Scene, answer: dict[str, Any], how: Flaw, rng: Random) -> str: ...
    def grade(self, scene: Scene, reply: str) -> Grade: ...


def scene_to_dict(scene: Scene) -> dict[str, Any]:
    """The scene as JSON can hold it. vars, not asdict: that copies every value, a tenth of the time of a row."""
    return {**vars(scene), "snapshot": vars(scene.snapshot), "stocks": [vars(day) for day in scene.stocks]}


def scene_from_dict(raw: dict[str, Any]) -> Scene:
    values = {**raw, "snapshot": Snapshot(**raw["snapshot"]), "stocks": tuple(StockDay(**day) for day in raw["stocks"])}
    return Scene(**{**values, "given": tuple(raw["given"]), "simulated": tuple(raw["simulated"])})


@cache
def system_prompt(language: Language) -> str:
    """The strategy prompt: the very same message in Stage 2 and 3 rows, in evaluation and in the Modelfile's SYSTEM.

    Short on purpose: it is in every row, and Korean costs the demo's tokenizer 1.7 tokens a character.
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
