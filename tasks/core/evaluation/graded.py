"""One schema-bound answer with its grade, as `kospilot ask` and the demo show it.

Reads a part of the market artifact to make a question, and asks a model.
"""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Group, RenderableType
from rich.json import JSON
from rich.panel import Panel
from rich.text import Text

from tasks.core.errors import RequestError
from tasks.core.evaluation.answer import Endpoint, ask
from tasks.core.evaluation.questions import question_of
from tasks.core.evaluation.records import Question
from tasks.core.evaluation.score import judge, parse
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict, system_prompt
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.kinds.wording import kind_line
from tasks.core.records.facts import Language
from tasks.core.records.market import Snapshot
from tasks.core.scripts import HANGUL, visible


def make_question(
    kind: str, part: Path, date: str | None = None, language: Language = "ko", seed: int = 42
) -> Question:
    """Makes a question about one day of a market part, by default its last.

    Raises RequestError if the part does not have that day, or if questions of the kind are not
    drawn from days.
    """
    subject = kind_named(kind)
    if subject.needs.given:
        raise RequestError(
            f"Questions of the kind {kind} come from a live system's logs, and no day makes one."
            f' Type your own: kospilot ask --kind {kind} "TEXT".'
        )
    days = Days.read(part)
    day = _traded_day(days, part, date)
    scene = draw_scene(
        subject,
        replace(days, snapshots=(day,)),
        Draw(language, "evaluate"),
        Random(f"evaluation {seed} {kind}"),
    )
    return question_of(scene, subject, f"{kind}-{day.date}")


def _traded_day(days: Days, part: Path, date: str | None) -> Snapshot:
    """Returns the day of this date, or without a date the last day, on which stocks traded."""
    traded = [day for day in days.snapshots if days.stocks.get(day.date)]
    if not traded:
        raise RequestError(
            f"{part} holds no day on which a stock of the universe traded. Name another market"
            " folder."
        )
    if not date:
        return traded[-1]
    for day in traded:
        if day.date == date:
            return day
    raise RequestError(
        f"{date} is no trading day of {part}. It runs from {traded[0].date} to {traded[-1].date}."
    )


def own_question(kind: str, text: str) -> Question:
    """Makes a question of the user's own words, with the line that names its kind. It is bound to
    the kind's schema, but without a scene nothing can grade its answer.
    """
    line = kind_line(kind_named(kind).name)
    if not text.rstrip().endswith(line):
        text = f"{text}\n{line}"
    language: Language = "ko" if HANGUL.search(text) else "en"
    return Question(
        id="own",
        kind=kind,
        language=language,
        date=None,
        messages=[
            {"role": "system", "content": system_prompt(language)},
            {"role": "user", "content": text},
        ],
        schema=kind_named(kind).schema,
        reference="",
        scene={},
    )


def graded_answer(endpoint: Endpoint, question: Question) -> dict[str, Any]:
    """Returns the model's reply with its grade, as JSON can hold it.

    `reply` is the parsed JSON, or None if the text is none; `grade`, `measures` (of score.judge)
    and `reference` are None if the question is a user's own.
    """
    reply = ask(endpoint, question.messages, question.schema)
    answer: dict[str, Any] = {
        "model": endpoint.model,
        "kind": question.kind,
        "date": question.day,
        "question": question.messages[-1]["content"],
        "text": reply.text,
        "reply": parse(reply.text),
        "grade": None,
        "measures": None,
        "reference": None,
        "latency_s": reply.latency_s,
        "completion_tokens": reply.completion_tokens,
        "finish_reason": reply.finish_reason,
    }
    if question.scene:
        scene = scene_from_dict(question.scene)
        grade = kind_named(question.kind).grade(scene, reply.text)
        answer["grade"] = {
            "score": round(grade.score, 4),
            "parts": grade.parts,
            "reason": grade.reason,
        }
        answer["measures"] = judge(question, reply.text)
        answer["reference"] = parse(question.reference)
    return answer


def show(answer: dict[str, Any]) -> RenderableType:
    """Shows question, reply and grade in a terminal; `answer` is graded_answer's."""
    question = Text(visible(answer["question"]))
    parts: list[RenderableType] = [
        Panel(question, title=_about(answer), title_align="left", border_style="dim"),
        Panel(_shown_reply(answer), title=answer["model"], title_align="left", border_style="cyan"),
    ]
    if answer["grade"]:
        parts.append(_shown_grade(answer["grade"]))
    seconds = answer["latency_s"]
    parts.append(
        Text(f"{seconds:.1f} s, {answer['completion_tokens']} tokens written", style="dim")
    )
    return Group(*parts)


def _about(answer: dict[str, Any]) -> str:
    if answer["date"]:
        return f"{answer['kind']}, {answer['date']}"
    return str(answer["kind"])


def _shown_reply(answer: dict[str, Any]) -> RenderableType:
    if answer["reply"] is None:
        why = "no JSON"
        if answer["finish_reason"] == "length":
            why = "cut at the token limit, hence no JSON"
        return Group(Text(visible(answer["text"])), Text(f"({why})", style="red"))
    written = json.dumps(answer["reply"], ensure_ascii=False)
    steers = visible(written) != written
    shown = JSON(written, ensure_ascii=steers).text
    shown.no_wrap = False  # a rationale is longer than a line
    shown.overflow = "fold"
    return shown


def _shown_grade(grade: dict[str, Any]) -> Text:
    """Shows the score, and each named part that was judged as passed or failed."""
    shown = Text(f"grade {grade['score']:.2f}", style="bold")
    for part, passed in grade["parts"].items():
        if passed:
            shown.append(f"   ✓ {part}", style="not bold green")
        else:
            shown.append(f"   ✗ {part}", style="not bold red")
    if grade["reason"]:
        shown.append(f"\n{grade['reason']}", style="not bold dim")
    return shown
