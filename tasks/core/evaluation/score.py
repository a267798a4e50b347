"""What a model's replies are worth: shares with intervals, the mean grade per kind, and speed.

Reads questions and replies; knows nothing of any kind but its grade's named parts.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from tasks.core.evaluation.measures import MEASURES, Figures
from tasks.core.evaluation.records import Mark, Question, Reply, days_of
from tasks.core.evaluation.row_grades import grade_row, mark_row
from tasks.core.evaluation.statistics import estimate, percentile
from tasks.core.evaluation.verdicts import confidence_table, confusion, regime_of_question
from tasks.core.files.digests import digest_value
from tasks.core.kinds import given_kind, kind_named
from tasks.core.kinds.base import Grade, scene_from_dict
from tasks.core.kinds.replies import parse as parse_reply
from tasks.core.scripts import HANGUL, HANJA
from tasks.core.strategy import universe


def score(questions: list[Question], replies: list[Reply], marks: list[Mark]) -> Figures:
    """Returns one model's figures; its replies, and its marks, are in the order of the questions.

    {"questions": {"n", "digest"}, "measures": {measure: estimate}, "kinds", "languages" and
    "regimes": {name: estimate of the grade}, "confusion": {regime: {told: n}}, "confidence": rows
    of verdicts.confidence_table, "speed": {...}, "summary": {measure: value}}, and "beside" with
    estimates of what some kinds report beside their grade; an estimate is statistics.estimate's. A
    measure that applies to no question has the value None. A reply that the token limit cut counts
    as what it is: mostly no JSON.
    """
    days = days_of(questions)
    measures: dict[str, Any] = {}
    summary: dict[str, Any] = {"questions": len(questions)}
    for name in MEASURES:
        measures[name] = estimate([mark[name] for mark in marks], days)
        summary[name] = measures[name]["value"]
    grades = [mark["grade"] for mark in marks]
    beside = _beside(marks, days)
    return {
        "questions": {
            "n": len(questions),
            "digest": digest_value([question.messages for question in questions]),
        },
        "measures": measures,
        "kinds": _by([question.kind for question in questions], grades, days),
        "languages": _by([question.language for question in questions], grades, days),
        "regimes": _by_regime(questions, grades, days),
        "confusion": confusion(questions, replies),
        "confidence": confidence_table(questions, replies, marks),
        "speed": _speed(replies),
        "summary": summary,
        **({"beside": beside} if beside else {}),
    }


def judge_all(questions: list[Question], replies: list[Reply]) -> list[Mark]:
    """Returns the marks of the replies, which are in the order of the questions."""
    marks = []
    for question, reply in zip(questions, replies, strict=True):
        marks.append(judge(question, reply.text))
    by_id = {question.id: mark for question, mark in zip(questions, marks, strict=True)}
    for question, mark in zip(questions, marks, strict=True):
        if question.twin_of:
            _mark_twin(mark, by_id[question.twin_of], question.change)
    return marks


def _mark_twin(mark: Mark, original: Mark, change: str | None) -> None:
    """Marks a counterfactual: right are both verdicts, on either side of the limit or the names."""
    measure, told = ("flips", "regime_accuracy") if change == "limit" else ("steady", "actions")
    both = (mark[told], original[told])
    mark[measure] = None if None in both else float(both == (1.0, 1.0))


def grade_of(question: Question, text: str) -> Grade:
    """Returns the grade of one reply, by the question's kind or by the row that it is of."""
    if question.of_a_row:
        return grade_row(question, text)
    return kind_named(question.kind).grade(scene_from_dict(question.scene), text)


def judge(question: Question, text: str) -> Mark:
    """Returns every measure of one reply, 0..1, or None if the question does not ask for it."""
    if question.of_a_row:
        return dict.fromkeys(_OF_EVERY_REPLY) | mark_row(question, text)
    reply = parse(text)
    kind, given = kind_named(question.kind), given_kind(question.kind)
    scene = scene_from_dict(question.scene)
    grade = kind.grade(scene, text)
    best = kind.grade(scene, question.reference)
    tickers_hold = None
    if any(_named(parse(question.reference))):
        tickers_hold = float(_tickers_hold(reply, question))
    is_korean = None
    if question.language == "ko":
        is_korean = float(_is_korean(reply))
    return {
        "fully_right": float(grade.score == 1),
        "valid_json": float(reply is not None),
        "schema_valid": float(_obeys(reply, question.schema)),
        "working": _part("working", grade, best),
        "regime_accuracy": _part("regime", grade, best),
        "exposure_in_band": _part("exposure", grade, best),
        "valid_tickers": tickers_hold,
        "grounded": _part("grounded", grade, best),
        "korean_rationale": is_korean,
        "actions": _part("actions", grade, best),
        "flips": None,
        "steady": None,
        "grade": float(grade.score),
        **(given.beside(scene, text) if given else {}),
    }


def parse(text: str) -> Any:
    """Returns the reply's JSON, or None if it is none: with a fence or a sentence around it no
    program would read it.
    """
    try:
        return parse_reply(text)
    except ValueError:
        return None


_OF_EVERY_REPLY = {*MEASURES, "actions"}


def _beside(marks: list[Mark], days: list[str]) -> dict[str, Any]:
    """Returns the estimates of what some kinds report beside their grade, by its name."""
    names = dict.fromkeys(name for mark in marks for name in mark if name not in _OF_EVERY_REPLY)
    return {name: estimate([mark.get(name) for mark in marks], days) for name in names}


def _by_regime(
    questions: list[Question], grades: list[float | None], days: list[str]
) -> dict[str, dict[str, Any]]:
    """Returns the estimate of the grade in each regime; rows' questions have none."""
    if any(question.of_a_row for question in questions):
        return {}
    return _by([regime_of_question(question) for question in questions], grades, days)


def _by(
    groups: list[str], grades: list[float | None], days: list[str]
) -> dict[str, dict[str, Any]]:
    """Returns the estimate of the grade in each group; `groups` holds each question's."""
    estimates = {}
    for group in sorted(set(groups)):
        chosen = [number for number, name in enumerate(groups) if name == group]
        estimates[group] = estimate(
            [grades[number] for number in chosen], [days[number] for number in chosen]
        )
    return estimates


def _obeys(reply: Any, schema: dict[str, Any] | None) -> bool:
    """Whether there is a reply and the schema, if any, allows it."""
    if reply is None:
        return False
    return schema is None or jsonschema_rs.is_valid(schema, reply)


def _part(name: str, grade: Grade, best: Grade) -> float | None:
    """Returns 1 if the named part is fully right, None if the right answer has no such part."""
    if name not in best.parts:
        return None
    return float(grade.parts.get(name, False))


def _named(value: Any) -> Iterator[tuple[str, str | None]]:
    """Yields every (ticker, name) in a reply, at any depth; a name that is not there is None."""
    if isinstance(value, dict):
        if "ticker" in value:
            yield str(value["ticker"]), value.get("name")
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _named(entry)


def _tickers_hold(reply: Any, question: Question) -> bool:
    """Whether the reply names at least one ticker, and each is the universe's or the question's,
    under its own name.
    """
    named = list(_named(reply))
    prompt = question.messages[-1]["content"]
    return bool(named) and all(_holds(ticker, name, prompt) for ticker, name in named)


def _holds(ticker: str, name: Any, prompt: str) -> bool:
    accepted = universe.names(ticker)
    if accepted:
        return name is None or name in accepted
    alone = rf"(?<![0-9A-Za-z]){re.escape(ticker)}(?![0-9A-Za-z])"
    if len(ticker) != 6 or not re.search(alone, prompt):
        return False
    return name is None or str(name) in prompt


def _is_korean(reply: Any) -> bool:
    """Whether some text of the reply is Korean, stock names aside, and none of it holds Hanja."""
    if HANJA.search(json.dumps(reply, ensure_ascii=False)):
        return False
    return any(HANGUL.search(text) for text in _texts(reply))


def _texts(value: Any) -> Iterator[str]:
    """Yields every text of a reply except stock names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key != "name":
                yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)


def _speed(replies: list[Reply]) -> dict[str, Any]:
    """Returns seconds per reply and tokens written per second, reading the prompt included."""
    seconds = [reply.latency_s for reply in replies]
    written = sum(reply.completion_tokens for reply in replies)
    tokens_per_s = None
    if sum(seconds):
        tokens_per_s = round(written / sum(seconds), 1)
    return {
        "latency_p50_s": percentile(seconds, 50),
        "latency_p95_s": percentile(seconds, 95),
        "tokens_per_s": tokens_per_s,
        "completion_tokens": written,
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "cut_replies": sum(reply.finish_reason == "length" for reply in replies),
    }
