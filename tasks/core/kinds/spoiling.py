"""How a right answer is spoiled: a near miss, wrong for one known reason. Knows no kind by name.

All chance comes from the generator that the caller gives. Reads and writes no file.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds.base import Answer, Flaw, Scene
from tasks.core.kinds.spoilt.facts import hallucinate
from tasks.core.kinds.spoilt.form import break_form
from tasks.core.kinds.spoilt.quality import degrade
from tasks.core.kinds.texts import to_text
from tasks.core.strategy.rules import REGIMES


@dataclass(frozen=True)
class RightAnswer:
    """A right answer, with the scene that it answers and the schema that it keeps."""

    scene: Scene
    answer: Answer
    schema: dict[str, Any]


def spoil(right: RightAnswer, how: Flaw, rng: Random, mistake: Callable[[], Answer]) -> str:
    """Returns the right answer as text, with one flaw.

    `mistake` gives the answer of another regime or rule, as the kind would err. Not every try is
    wrong for its own reason alone: whoever asks grades it.
    """
    if how == "strategy_violation":
        return to_text(mistake())
    if how == "schema_violation":
        return break_form(right.answer, rng)
    worse = json.loads(to_text(right.answer))
    if how == "quality_degradation":
        degrade(worse, right.scene, rng)
    else:
        hallucinate(worse, right.scene.language, rng)
    return to_text(worse)


def other_regime(right: str, rng: Random) -> str:
    """Returns a regime that is not the right one."""
    return rng.choice([regime for regime in REGIMES if regime != right])
