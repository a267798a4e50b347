"""What a model's replies are worth: shares with intervals, the mean grade per kind, speed.

Reads questions and replies; knows nothing of any kind but its grade's named parts.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs

from tasks.core.evaluation.answer import Reply
from tasks.core.evaluation.questions import Question
from tasks.core.evaluation.statistics import estimate, percentile
from tasks.core.files.digests import digest_value
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import Grade, scene_from_dict
from tasks.core.strategy import universe

MEASURES = {
    "valid_json": "valid JSON",
    "schema_valid": "obeys the schema",
    "regime_accuracy": "regime right",
    "exposure_in_band": "exposure in band",
    "valid_tickers": "tickers exist, names match",
    "korean_rationale": "Korean rationale, no Hanja",
    "grade": "mean grade",
}
"""Every measure's name in the JSON and in words; all are 0..1."""

HANGUL = re.compile(r"[가-힣]")
HANJA = re.compile(
    r"[\u2e80-\u2fdf\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
)
"""CJK ideographs and radicals. The market's Korean does without: one means that the base's Chinese
came through.
"""


def score(questions: list[Question], replies: list[Reply]) -> dict[str, Any]:
    """One model's figures over its replies, which are in the order of the questions.

    {"questions": {"n", "digest"}, "measures": {measure: estimate}, "kinds": {kind: estimate of the
    grade}, "speed": {...}, "summary": {measure: value}}; an estimate is statistics.estimate's. A
    measure that applies to no question has the value None. A reply cut at the token limit counts as
    what it is: mostly no JSON.
    """
    marks = [
        judge(question, reply.text) for question, reply in zip(questions, replies, strict=True)
    ]
    measures = {name: estimate([mark[name] for mark in marks]) for name in MEASURES}
    kinds = {
        name: estimate(
            [
                mark["grade"]
                for mark, question in zip(marks, questions, strict=True)
                if question.kind == name
            ]
        )
        for name in sorted({question.kind for question in questions})
    }
    return {
        "questions": {
            "n": len(questions),
            "digest": digest_value([question.messages for question in questions]),
        },
        "measures": measures,
        "kinds": kinds,
        "speed": _speed(replies),
        "summary": {
            "questions": len(questions),
            **{name: found["value"] for name, found in measures.items()},
        },
    }


def judge(question: Question, text: str) -> dict[str, float | None]:
    """Every measure of one reply, 0..1; None where the question does not ask for it."""
    reply, reference = parse(text), parse(question.reference)
    subject, scene = kind_named(question.kind), scene_from_dict(question.scene)
    grade, best = subject.grade(scene, text), subject.grade(scene, question.reference)
    return {
        "valid_json": float(reply is not None),
        "schema_valid": float(reply is not None and jsonschema_rs.is_valid(question.schema, reply)),
        "regime_accuracy": _part("regime", grade, best),
        "exposure_in_band": _part("exposure", grade, best),
        "valid_tickers": float(_tickers_hold(reply, question)) if any(_named(reference)) else None,
        "korean_rationale": float(_is_korean(reply)) if question.language == "ko" else None,
        "grade": float(grade.score),
    }


def parse(text: str) -> Any:
    """The reply's JSON, None where it is none: a fence or a sentence around it is what no program
    would read.
    """
    try:
        return json.loads(text)
    except ValueError:
        return None


def _part(name: str, grade: Grade, best: Grade) -> float | None:
    """1 where the named part is fully right, None where the right answer has no such part."""
    return float(grade.parts.get(name, False)) if name in best.parts else None


def _named(value: Any) -> Iterator[tuple[str, str | None]]:
    """Every (ticker, name) in a reply, at any depth; a name that is not there is None."""
    if isinstance(value, dict):
        if "ticker" in value:
            yield str(value["ticker"]), value.get("name")
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _named(entry)


def _tickers_hold(reply: Any, question: Question) -> bool:
    """Whether the reply names at least one ticker, and each is the universe's or the prompt's,
    under its own name.
    """
    named = list(_named(reply))
    prompt = question.messages[-1]["content"]
    return bool(named) and all(_holds(ticker, name, prompt) for ticker, name in named)


def _holds(ticker: str, name: Any, prompt: str) -> bool:
    accepted = universe.names(ticker)
    if accepted:
        return name is None or name in accepted
    in_prompt = (
        re.search(rf"(?<![0-9A-Za-z]){re.escape(ticker)}(?![0-9A-Za-z])", prompt) is not None
    )
    return len(ticker) == 6 and in_prompt and (name is None or str(name) in prompt)


def _is_korean(reply: Any) -> bool:
    """Whether some text of the reply is Korean, stock names aside, and none of it holds Hanja."""
    texts = list(_texts(reply))
    return any(HANGUL.search(text) for text in texts) and not HANJA.search(
        json.dumps(reply, ensure_ascii=False)
    )


def _texts(value: Any) -> Iterator[str]:
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
    """Seconds per reply and tokens written per second, reading the prompt included."""
    seconds = [reply.latency_s for reply in replies]
    written = sum(reply.completion_tokens for reply in replies)
    return {
        "latency_p50_s": percentile(seconds, 50),
        "latency_p95_s": percentile(seconds, 95),
        "tokens_per_s": round(written / sum(seconds), 1) if sum(seconds) else None,
        "completion_tokens": written,
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "cut_replies": sum(reply.finish_reason == "length" for reply in replies),
    }
