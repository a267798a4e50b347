"""What every synthetic row must satisfy before it is published: read from its own text, not from how it was made."""

import re
from collections.abc import Iterator
from typing import Any

from tasks.core.kinds import kind
from tasks.core.kinds.base import scene_from_dict, system_prompt
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.wording import LABELS
from tasks.core.strategy import NEUTRAL, regime_of
from tasks.core.universe import names

_TICKER = re.compile(r"\((\d[0-9A-Z]{5})\)")
_HANJA = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")


def check_row(row: dict[str, Any]) -> Iterator[str]:
    """The row's problems; none if it is true."""
    messages, metadata = row["messages"], row["metadata"]
    system, question, reply = (message["content"] for message in messages)
    if system != system_prompt(metadata["language"]):
        yield "its system message is not the strategy prompt"
    regime = regime_of(
        **{name: numbers_of(question, metadata["language"]).get(name, NEUTRAL[name]) for name in NEUTRAL}
    )
    if regime != metadata["regime"]:
        yield f"the numbers in its prompt say {regime}, its answer {metadata['regime']}"
    unknown = [ticker for ticker in _TICKER.findall(question) if not names(ticker)]
    if unknown:
        yield f"the universe does not know {', '.join(unknown)}"
    if _HANJA.search(question + reply):
        yield "it has Hanja in it"
    known = kind(metadata["kind"])
    if metadata["template"] >= len(known.templates(metadata["language"])) - HELD_TEMPLATES:
        yield f"its template {metadata['template']} is kept for evaluation"
    grade = known.grade(scene_from_dict(metadata["scene"]), reply)
    if grade.score < 1:
        yield f"its answer grades {grade.score:.2f} ({grade.reason})"


def numbers_of(question: str, language: str) -> dict[str, float]:
    """The market numbers that a prompt states, in %, found by their labels."""
    found = {}
    for name, label in LABELS[language].items():
        match = re.search(re.escape(label) + r"[^\d-]{0,4}(-?\d+\.\d+)%", question)
        if match:
            found[name] = float(match[1])
    return found
