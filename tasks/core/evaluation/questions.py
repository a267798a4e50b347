"""The frozen questions of an evaluation: they use held-out days and templates, with which no
training row was made.

Reads the market's holdout part; writes and reads questions.jsonl.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.evaluation.records import Question
from tasks.core.files.json_files import LineError, numbered_lines, write_lines
from tasks.core.kinds import KINDS
from tasks.core.kinds.base import Kind, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.kinds.texts import to_text
from tasks.core.records.facts import Language
from tasks.core.settings.evaluation import Evaluation

DRAWS = 50
"""Attempts at a question that was not asked yet, before a repeated one is taken: few days offer
few.
"""

_REMEDY = "Use the questions.jsonl of an evaluate artifact."


def build_questions(holdout: Path, evaluation: Evaluation, out: Path) -> dict[str, Any]:
    """Writes out/questions.jsonl: all about real days of `holdout`, in the kinds' shares, half of
    each kind Korean.

    Returns the counts. Each kind draws from a generator of its own, so that another kind changes
    none of its questions.
    """
    days = Days.read(holdout)
    questions = []
    for kind, count in _counts(KINDS, evaluation.questions).items():
        for question in _draw_questions(kind, count, days, evaluation.seed):
            questions.append(replace(question, most_tokens=evaluation.max_tokens))
    write_lines(out / "questions.jsonl", [asdict(question) for question in questions])
    dates = {question.date for question in questions if question.date}
    return {
        "questions": len(questions),
        "kinds": dict(Counter(question.kind for question in questions)),
        "languages": dict(Counter(question.language for question in questions)),
        "days": len(dates),
        "first": min(dates),
        "last": max(dates),
    }


def question_of(scene: Scene, kind: Kind, name: str) -> Question:
    """Returns the question that a scene asks, with its right answer. `name` becomes its id."""
    right = to_text(kind.answer(scene, Random(scene.seed)))
    assert kind.grade(scene, right).score == 1, f"{name}: the right answer is not graded right"
    return Question(
        id=name,
        kind=kind.name,
        language=scene.language,
        date=scene.date,
        messages=[
            {"role": "system", "content": system_prompt(scene.language)},
            {"role": "user", "content": kind.ask(scene, Random(scene.seed))},
        ],
        schema=kind.schema,
        reference=right,
        scene=scene_to_dict(scene),
    )


def _draw_questions(kind: Kind, count: int, days: Days, seed: int) -> list[Question]:
    rng = Random(f"evaluation {seed} {kind.name}")
    questions: list[Question] = []
    asked: set[str] = set()
    for number, language in enumerate(_languages(kind, count), 1):
        for _ in range(DRAWS):
            scene = draw_scene(kind, days, Draw(language, "evaluate"), rng)
            question = question_of(scene, kind, f"{kind.name}-{number:03}")
            if question.messages[-1]["content"] not in asked:
                break
        asked.add(question.messages[-1]["content"])
        questions.append(question)
    return questions


def _languages(kind: Kind, count: int) -> Iterator[Language]:
    """Returns the two languages in turn. Every second kind begins with English, so that both come
    up even if each kind has one question.
    """
    first = KINDS.index(kind) % 2
    languages: tuple[Language, ...] = ("ko", "en")
    return islice(cycle(languages), first, first + count)


def _counts(kinds: tuple[Kind, ...], total: int) -> dict[Kind, int]:
    """Divides questions among the kinds: one each, the largest share first, and the rest so that
    the shares come out.
    """
    by_share = sorted(kinds, key=lambda kind: (-kind.share, kind.name))
    whole = sum(kind.share for kind in kinds)
    counts = dict.fromkeys(by_share, 0)
    for kind in by_share[:total]:
        counts[kind] = 1
    while sum(counts.values()) < total:
        furthest_behind = max(by_share, key=lambda kind: total * kind.share / whole - counts[kind])
        counts[furthest_behind] += 1
    return {kind: counts[kind] for kind in kinds if counts[kind]}


def read_questions(file: Path) -> list[Question]:
    """Returns the questions of a file.

    Raises RequestError with the file, and with the line that is not a question.
    """
    questions = []
    try:
        for number, fields in numbered_lines(file):
            questions.append(_question(file, number, fields))
    except LineError as error:
        raise RequestError(f"{error} {_REMEDY}") from error
    except OSError as error:
        raise RequestError(
            f"The question file {file} cannot be read ({error.strerror})."
        ) from error
    if not questions:
        raise RequestError(
            f"The question file {file} is empty; the evaluate step of a run makes one."
        )
    return questions


def _question(file: Path, number: int, fields: Any) -> Question:
    try:
        return Question(**fields)
    except TypeError as error:
        raise RequestError(
            f"{file}, line {number} is not a question ({error}). {_REMEDY}"
        ) from error
