"""The frozen questions of an evaluation: held-out days and templates that no training row was made
with.

Reads the market's holdout part; writes and reads questions.jsonl.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.kinds import KINDS
from tasks.core.kinds.base import Kind, Scene, scene_to_dict, system_prompt
from tasks.core.kinds.grading import to_text
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.settings.tree import Evaluation

MIN_REPLY_TOKENS = 256
DRAWS = 50
"""Attempts at a question that was not asked yet, before a repeated one is taken: few days offer
few.
"""


@dataclass(frozen=True)
class Question:
    """One question with all that is needed to ask it and to grade any reply to it."""

    id: str
    kind: str
    language: str  # ko or en
    date: str | None  # the day it is about, YYYY-MM-DD
    messages: list[dict[str, str]]  # system, user
    schema: dict[str, Any] | None  # JSON Schema of the answer; None binds the reply to nothing
    reference: str  # the right answer's text
    scene: dict[str, Any]  # kinds.base.scene_to_dict of what was asked about
    most_tokens: int = 4_096  # whatever the right answer's length (settings.Evaluation.max_tokens)

    @property
    def max_tokens(self) -> int:
        """Most tokens of a reply: one for each byte of the right answer, which every byte-level
        tokenizer undercuts.

        Measured with SmolLM2's: 0.33 to 0.48 tokens a byte in English, 0.60 to 0.70 in Korean. It
        ends a model that rambles, and cuts none that answers.
        """
        return min(self.most_tokens, max(MIN_REPLY_TOKENS, len(self.reference.encode())))


def build_questions(holdout: Path, evaluation: Evaluation, out: Path) -> dict[str, Any]:
    """Writes out/questions.jsonl: all about real days of `holdout`, in the kinds' shares, half of
    each kind Korean.

    Returns the counts. Each kind draws from a generator of its own, so that another kind changes
    none of its questions.
    """
    days = Days.read(holdout)
    questions = [
        question
        for kind, count in _counts(KINDS, evaluation.questions).items()
        for question in _draw_questions(kind, count, days, evaluation.seed)
    ]
    questions = [replace(question, most_tokens=evaluation.max_tokens) for question in questions]
    lines = [json.dumps(asdict(question), ensure_ascii=False) + "\n" for question in questions]
    (out / "questions.jsonl").write_text("".join(lines), encoding="utf-8")
    dates = sorted({question.date for question in questions})
    return {
        "questions": len(questions),
        "kinds": dict(Counter(question.kind for question in questions)),
        "languages": dict(Counter(question.language for question in questions)),
        "days": len(dates),
        "first": dates[0],
        "last": dates[-1],
    }


def question_of(scene: Scene, kind: Kind, name: str) -> Question:
    """The question that a scene asks, with its right answer. `name` becomes its id."""
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
    rng, questions, asked = Random(f"evaluation {seed} {kind.name}"), [], set()
    for number in range(count):
        language = ("ko", "en")[
            (number + KINDS.index(kind)) % 2
        ]  # in turn, also where each kind has but one
        for _ in range(DRAWS):
            scene = draw_scene(kind, days, Draw(language, "evaluate"), rng)
            question = question_of(scene, kind, f"{kind.name}-{number + 1:03}")
            if question.messages[-1]["content"] not in asked:
                break
        asked.add(question.messages[-1]["content"])
        questions.append(question)
    return questions


def _counts(kinds: tuple[Kind, ...], total: int) -> dict[Kind, int]:
    """Questions per kind: one each, largest share first, and the rest so that the shares come out."""
    by_share = sorted(kinds, key=lambda kind: (-kind.share, kind.name))
    wanted = {kind: total * kind.share / sum(other.share for other in kinds) for kind in by_share}
    counts = {kind: int(place < total) for place, kind in enumerate(by_share)}
    while sum(counts.values()) < total:
        counts[max(by_share, key=lambda kind: wanted[kind] - counts[kind])] += 1
    return {kind: counts[kind] for kind in kinds if counts[kind]}


def read_questions(file: Path) -> list[Question]:
    """The questions of a file. Raises RequestError naming the file and the line that is not one."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RequestError(
            f"The question file {file} cannot be read ({error.strerror})."
        ) from error
    if not lines:
        raise RequestError(
            f"The question file {file} is empty; the evaluate step of a run makes one."
        )
    return [_question(file, number, line) for number, line in enumerate(lines, 1)]


def _question(file: Path, number: int, line: str) -> Question:
    try:
        return Question(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise RequestError(
            f"{file}, line {number} is not a question ({error}). Use the questions.jsonl of an evaluate artifact."
        ) from error
