"""What verdicts a model gives: regimes told against the right ones, confidence against accuracy;
and what a model would earn that always says the same.

Reads questions, replies and marks; writes no file.
"""

from collections import Counter
from typing import Any

from tasks.core.evaluation.records import Mark, Question, Reply
from tasks.core.evaluation.statistics import estimate
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.kinds.replies import parse
from tasks.core.kinds.texts import regimes_in
from tasks.core.strategy.rules import REGIMES

NO_VERDICT = "none"
"""What a reply tells that gives no regime."""

CONFIDENCE_BINS = ((0, 50), (51, 60), (61, 70), (71, 80), (81, 90), (91, 100))
"""Spans of a stated confidence in %, both ends included."""


def regime_of_question(question: Question) -> str:
    """Returns the rule's regime of what the question states."""
    return scene_from_dict(question.scene).regime


def confusion(questions: list[Question], replies: list[Reply]) -> dict[str, dict[str, int]]:
    """Counts the regimes told, by the right one: {right: {told: n}}, over the questions whose
    answer gives a regime. Of several in an answer the last one counts: the verdict.
    """
    counts: dict[str, Counter[str]] = {}
    for question, reply in zip(questions, replies, strict=True):
        right = _verdict(question.reference)
        if right != NO_VERDICT:
            counts.setdefault(right, Counter())[_verdict(reply.text)] += 1
    told: dict[str, dict[str, int]] = {}
    for regime in REGIMES:
        if regime in counts:
            told[regime] = dict(sorted(counts[regime].items()))
    return told


def _verdict(text: str) -> str:
    try:
        regimes = list(regimes_in(parse(text)))
    except ValueError:
        return NO_VERDICT
    return regimes[-1] if regimes else NO_VERDICT


def confidence_table(
    questions: list[Question], replies: list[Reply], marks: list[Mark]
) -> list[dict[str, Any]]:
    """Returns, for each span of stated confidence, how often the regime was right: rows of
    {"from_pct", "to_pct", "n", "stated_pct", "right_pct"}; spans without a reply are left out.
    """
    stated: list[tuple[int, float]] = []
    for reply, mark in zip(replies, marks, strict=True):
        confidence, right = _confidence(reply.text), mark["regime_accuracy"]
        if confidence is not None and right is not None:
            stated.append((confidence, right))
    rows = []
    for low, high in CONFIDENCE_BINS:
        inside = [pair for pair in stated if low <= pair[0] <= high]
        if inside:
            rows.append(_confidence_row(low, high, inside))
    return rows


def _confidence_row(low: int, high: int, inside: list[tuple[int, float]]) -> dict[str, Any]:
    n = len(inside)
    return {
        "from_pct": low,
        "to_pct": high,
        "n": n,
        "stated_pct": round(sum(confidence for confidence, _ in inside) / n, 1),
        "right_pct": round(100 * sum(right for _, right in inside) / n, 1),
    }


def _confidence(text: str) -> int | None:
    """Returns the confidence in % that a reply states, at any depth; None if it states none."""
    try:
        return _confidence_in(parse(text))
    except ValueError:
        return None


def _confidence_in(value: Any) -> int | None:
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("confidence_pct"), int):
        return int(value["confidence_pct"])
    for entry in value.values():
        found = _confidence_in(entry)
        if found is not None:
            return found
    return None


def constant_answers(questions: list[Question], days: list[str]) -> dict[str, dict[str, Any]]:
    """Returns what a model would earn that always says one regime: {regime: estimate of the share
    fully right}, the best first.

    To each question of a kind and language it gives the same reply, the right one to the first such
    question of that regime; that question itself does not count. Rows' questions have none.
    """
    shares: dict[str, dict[str, Any]] = {}
    if any(question.of_a_row for question in questions):
        return shares
    for regime in REGIMES:
        replies = _constant_replies(questions, regime)
        right: list[float | None] = []
        for question in questions:
            reply = replies[question.kind, question.language]
            own = reply == question.reference
            right.append(None if own else float(_grade(question, reply) == 1))
        shares[regime] = estimate(right, days)
    return dict(sorted(shares.items(), key=lambda share: -(share[1]["value"] or 0)))


def _constant_replies(questions: list[Question], regime: str) -> dict[tuple[str, str], str]:
    replies: dict[tuple[str, str], str] = {}
    for question in questions:
        replies.setdefault((question.kind, question.language), question.reference)
    taken: set[tuple[str, str]] = set()
    for question in questions:
        group = (question.kind, question.language)
        if group not in taken and regime_of_question(question) == regime:
            taken.add(group)
            replies[group] = question.reference
    return replies


def _grade(question: Question, reply: str) -> float:
    return kind_named(question.kind).grade(scene_from_dict(question.scene), reply).score
