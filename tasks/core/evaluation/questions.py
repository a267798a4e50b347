"""The frozen questions of an evaluation: they use held-out days and templates, with which no
training row was made.

Reads the market's holdout part; writes and reads questions.jsonl.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation.records import Question
from tasks.core.evaluation.twins import Change, limit_twin, names_twin
from tasks.core.evaluation.verdicts import regime_of_question
from tasks.core.files.json_files import LineError, numbered_lines, read_lines, write_lines
from tasks.core.kinds import KINDS, kind_named
from tasks.core.kinds.base import Kind, Scene, scene_from_dict, scene_to_dict, system_prompt
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.kinds.texts import regimes_in, to_text
from tasks.core.records.facts import Language
from tasks.core.settings.evaluation import Evaluation
from tasks.core.strategy.rules import REGIMES

DRAWS = 50
"""Attempts at a question that was not asked yet, before a repeated one is taken: few days offer
few.
"""

TWIN_SHARE = 0.1
"""Share of the questions that are twins of others, with one thing changed."""
LOGGED_SHARE = 0.1
"""At most so many questions about logs are asked beside the others, as a share of these."""
NEAR_EVERY = 4
PARTIAL_EVERY = 5
"""Every so manieth question of a kind is near a limit, or states only some of the numbers if its
kind has such questions.
"""

WORDINGS = 20
"""Attempts at a wording of a right answer that grades 1."""

_REMEDY = "Use the questions.jsonl of an evaluate artifact."


def build_questions(
    holdout: Path, evaluation: Evaluation, out: Path, held_logs: Path | None = None
) -> dict[str, Any]:
    """Writes out/questions.jsonl, in the kinds' shares, half of each kind Korean.

    Regimes come in equal shares: a regime that no day of `holdout` has is simulated. A share is
    near a limit of its regime, a share states only some of the market's numbers, and a share are
    counterfactual twins of others. Returns the counts. Each kind draws from a generator of its own,
    so that another kind changes none of its questions. `held_logs` are scenes of a live system's
    logs, which are asked about beside them.
    """
    days = Days.read(holdout)
    twins = round(evaluation.questions * TWIN_SHARE)
    questions: list[Question] = []
    for kind, count in _counts(KINDS, evaluation.questions - twins).items():
        questions += _draw_questions(kind, count, days, evaluation.seed)
    questions += _draw_twins(questions, twins)
    if held_logs:
        questions += _logged_questions(held_logs, evaluation.questions)
    bounded = [replace(question, most_tokens=evaluation.max_tokens) for question in questions]
    write_lines(out / "questions.jsonl", [asdict(question) for question in bounded])
    real = {question.day for question in questions if question.day}
    return {
        "questions": len(questions),
        "kinds": dict(Counter(question.kind for question in questions)),
        "languages": dict(Counter(question.language for question in questions)),
        "regimes": dict(Counter(regime_of_question(question) for question in questions)),
        "twins": sum(question.twin_of is not None for question in questions),
        "days": len(real),
        "first": min(real, default=None),
        "last": max(real, default=None),
    }


def question_of(scene: Scene, kind: Kind, name: str) -> Question:
    """Returns the question that a scene asks, with its right answer. `name` becomes its id.

    Raises WorkError if no wording of the right answer is graded right.
    """
    right = _right_answer(scene, kind, name)
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


def _right_answer(scene: Scene, kind: Kind, name: str) -> str:
    """Returns the right answer in the first wording that the strict grader passes."""
    grade = None
    for attempt in range(WORDINGS):
        right = to_text(kind.answer(scene, Random(scene.seed + attempt)))
        grade = kind.grade(scene, right)
        if grade.score == 1:
            return right
    reason = grade.reason if grade else "never asked"
    raise WorkError(f"{name}: no wording of the right answer is graded right ({reason}).")


def briefed(question: Question) -> Question:
    """Returns the question with its kind's rule card behind the system prompt: what a base that was
    never trained needs to know, so that skill is compared and not memory.
    """
    system, *rest = question.messages
    card = kind_named(question.kind).card
    briefing = {**system, "content": f"{system['content']}\n\n{card}"}
    return replace(question, messages=[briefing, *rest])


def _draw_questions(kind: Kind, count: int, days: Days, seed: int) -> list[Question]:
    rng = Random(f"evaluation {seed} {kind.name}")
    questions: list[Question] = []
    asked: set[str] = set()
    for number, language in enumerate(_languages(kind, count), 1):
        draw = _draw(kind, number, language)
        for _ in range(DRAWS):
            scene = draw_scene(kind, days, draw, rng)
            question = question_of(scene, kind, f"{kind.name}-{number:03}")
            if question.messages[-1]["content"] not in asked:
                break
        asked.add(question.messages[-1]["content"])
        questions.append(question)
    return questions


def _draw(kind: Kind, number: int, language: Language) -> Draw:
    """Says what a kind's question of this number is about. Every kind begins with another regime,
    so that all come up however few questions there are.
    """
    turn = KINDS.index(kind) + number
    partial = bool(kind.needs.partial_share) and number % PARTIAL_EVERY == 0
    near = not partial and number % NEAR_EVERY == 1
    regime = REGIMES[turn % len(REGIMES)]
    return Draw(language, "evaluate", partial=partial, regime=regime, near=near)


def _logged_questions(held_logs: Path, questions: int) -> list[Question]:
    """Returns a question about each log, or evenly over time about as many as are asked."""
    scenes = [scene_from_dict(raw) for raw in read_lines(held_logs)]
    most = max(1, round(questions * LOGGED_SHARE))
    asked = scenes[:: max(1, math.ceil(len(scenes) / most))]
    counts: Counter[str] = Counter()
    logged = []
    for scene in asked:
        counts[scene.kind] += 1
        name = f"{scene.kind}-{counts[scene.kind]:03}"
        logged.append(question_of(scene, kind_named(scene.kind), name))
    return logged


def _draw_twins(questions: list[Question], count: int) -> list[Question]:
    """Returns counterfactuals of the kinds' first questions that allow one: one over a limit, then
    one with names exchanged, in turn.
    """
    twins: list[Question] = []
    for question in sorted(questions, key=lambda question: question.id.rpartition("-")[2]):
        if len(twins) == count:
            break
        kind = kind_named(question.kind)
        change: Change = "names" if len(twins) % 2 else "limit"
        twin = _twin(question, kind, change)
        if twin:
            twins.append(twin)
    return twins


def _twin(question: Question, kind: Kind, change: Change) -> Question | None:
    scene = scene_from_dict(question.scene)
    if change == "limit" and _gives_a_regime(question):
        changed = limit_twin(scene)
    elif change == "names":
        changed = names_twin(scene, kind)
    else:
        changed = None
    if changed is None:
        return None
    twin = question_of(changed, kind, f"{question.id}-{change}")
    return replace(twin, twin_of=question.id, change=change)


def _gives_a_regime(question: Question) -> bool:
    return any(regimes_in(json.loads(question.reference)))


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
