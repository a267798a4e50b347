"""The net exposures that a model's replies tell, by the day that they are about.

Reads questions and replies; knows no kind by name. Writes no file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

from tasks.core.evaluation.records import Question, Reply
from tasks.core.evaluation.score import parse
from tasks.core.kinds.base import scene_from_dict
from tasks.core.strategy.rules import MAX_LEVERAGE

NET_KEY = "net_exposure_pct"
"""How the key of a net exposure ends, in the answers of all kinds that tell one."""

LIMIT_PCT = 100 * MAX_LEVERAGE
"""A net exposure beyond this, long or short, is an order that nobody executes: the strategy's most
leverage.
"""


@dataclass(frozen=True)
class Told:
    """What a model told to hold after each day of a path, in the order of the days."""

    net_pct: tuple[float | None, ...]  # the mean of the day's valid answers; None if there is none
    asked: tuple[int, ...]  # the questions about each day
    without: int  # replies that tell no net exposure: no JSON, no such key, no number
    beyond_limit: int  # replies that tell one beyond LIMIT_PCT


def told_exposures(questions: list[Question], replies: list[Reply], days: Sequence[str]) -> Told:
    """Returns what the replies, in the order of the questions, tell of the days."""
    answers: dict[str, list[float]] = {day: [] for day in days}
    asked = dict.fromkeys(days, 0)
    without = beyond = 0
    for question, reply in zip(questions, replies, strict=True):
        keys = net_keys(question)
        if question.day not in answers or not keys:
            continue
        asked[question.day] += 1
        net = _number_at(parse(reply.text), keys)
        if net is None:
            without += 1
        elif abs(net) > LIMIT_PCT:
            beyond += 1
        else:
            answers[question.day].append(net)
    means = tuple(fsum(told) / len(told) if told else None for told in answers.values())
    return Told(means, tuple(asked.values()), without, beyond)


def net_keys(question: Question) -> tuple[str, ...]:
    """Returns the keys that lead to the net exposure in an answer, as the right answer has them.

    Empty if the answer tells none that could be held after the question's day: the question states
    only some of its numbers or what a shock would do, it is another's counterfactual, or a row's.
    """
    if question.of_a_row:
        return ()
    scene = scene_from_dict(question.scene)
    if question.twin_of or scene.partial or "shock" in scene.facts.words:
        return ()
    return _shallowest(parse(question.reference))


def _shallowest(answer: Any) -> tuple[str, ...]:
    """Returns the keys of the net exposure that is least deep: a target, not a step to it."""
    level: list[tuple[tuple[str, ...], Any]] = [((), answer)]
    while level:
        below = []
        for keys, value in level:
            if not isinstance(value, dict):
                continue
            for key, entry in value.items():
                if key.endswith(NET_KEY):
                    return (*keys, key)
                below.append(((*keys, key), entry))
        level = below
    return ()


def _number_at(answer: Any, keys: tuple[str, ...]) -> float | None:
    """Returns the number under these keys, or None if there is none. A truth value is no number."""
    for key in keys:
        if not isinstance(answer, dict):
            return None
        answer = answer.get(key)
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return None
    return float(answer)
