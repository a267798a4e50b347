"""`data check` against the rows of ../shared/cases/mutants.jsonl, each made untrue by hand: today's
row of its scene, made untrue in the same way.
"""

import json
import re
from pathlib import Path
from random import Random

import pytest

from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict, system_prompt
from tasks.core.kinds.texts import to_text
from tasks.core.synthesis.checks import check_row

CASES = Path(__file__).parents[3] / "shared/cases/mutants.jsonl"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases/mutants.jsonl")

SURVIVES = "false claim: sector not repeated"
"""That a stock is the only one of which something holds: the others would have to be weighed."""


def cases():
    if not CASES.exists():
        return []
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


def row_of(case, answer):
    scene = scene_from_dict(case["metadata"]["scene"])
    question = kind_named(scene.kind).ask(scene, Random(scene.seed))
    contents = (system_prompt(scene.language), question, to_text(answer))
    roles = ("system", "user", "assistant")
    messages = [dict(role=role, content=text) for role, text in zip(roles, contents, strict=True)]
    return {"messages": messages, "metadata": {"kind": scene.kind}}


def right_answer(case):
    scene = scene_from_dict(case["metadata"]["scene"])
    return json.loads(to_text(kind_named(scene.kind).answer(scene, Random(1))))


def harmed(case):
    answer, told = right_answer(case), json.loads(case["messages"][2]["content"])
    match case["metadata"]["case"]:
        case "sign of every number in the rationale flipped":
            answer["reasoning"] = re.sub(r"(?<!\d)-(\d)", r"\1", answer["reasoning"])
        case "Hanja":
            answer["reasoning"] += " 市場은 약하다."
        case "two reasons swapped" | "loser reason says it gains" | "stop reason contradicts":
            copy_reasons(told, answer)
        case "false claim: sector not repeated":
            answer["positions"]["long"][0]["reason"] = (
                "업종이 하나도 겹치지 않는 유일한 종목, 베타 0.54"
            )
        case "hedge is sold-short inverse ETF at 2x":
            hedge = answer["positions"]["hedge"][0]
            hedge.update(ticker="252670", name="KODEX 200선물인버스2X")
        case "overnight weight 12":
            answer["overnight_strategy"]["weight_pct"] = 12
        case "wrong regime":
            answer["regime"] = told["regime"]
        case "confidence 1":
            answer["confidence_pct"] = told["confidence_pct"]
        case _:
            answer["reasoning"] = told["reasoning"]
    return answer


def copy_reasons(told, answer):
    """Gives each name the reason that the mutant gives it."""
    reasons = {entry["ticker"]: entry["reason"] for entry in listed(told)}
    for entry in listed(answer):
        entry["reason"] = reasons.get(entry["ticker"], entry["reason"])


def listed(value):
    """Yields the entries that have a ticker and a reason."""
    if isinstance(value, dict):
        if "reason" in value and "ticker" in value:
            yield value
        for inner in value.values():
            yield from listed(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from listed(inner)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["metadata"]["case"])
def test_a_mutant_is_caught_and_the_row_it_was_made_of_is_true(case):
    assert not list(check_row(row_of(case, right_answer(case))))
    problems = list(check_row(row_of(case, harmed(case))))
    assert bool(problems) != (case["metadata"]["case"] == SURVIVES)
