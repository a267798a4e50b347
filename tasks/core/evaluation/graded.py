"""One schema-bound answer with its grade, as `kospilot ask` and the demo show it.

Reads a part of the market artifact to make a question, and asks a model.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Group, RenderableType
from rich.json import JSON
from rich.panel import Panel
from rich.text import Text

from tasks.core.errors import RequestError
from tasks.core.evaluation.answer import Options, ask
from tasks.core.evaluation.questions import Question, question_of
from tasks.core.evaluation.score import judge, parse
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import Language, scene_from_dict, system_prompt
from tasks.core.kinds.scenes import Days, Draw, draw_scene


def make_question(
    kind: str, part: Path, date: str | None = None, language: Language = "ko", seed: int = 42
) -> Question:
    """A question about one day of a market part, by default its last. Raises RequestError for a day
    that it lacks.
    """
    subject, days = kind_named(kind), Days.read(part)
    traded = [day for day in days.snapshots if days.stocks.get(day.date)]
    if not traded:
        raise RequestError(
            f"{part} holds no day on which a stock of the universe traded. Name another market folder."
        )
    day = next((day for day in traded if day.date == date), None) if date else traded[-1]
    if day is None:
        raise RequestError(
            f"{date} is no trading day of {part}. It runs from {traded[0].date} to {traded[-1].date}."
        )
    draw = Draw(language, "evaluate")
    scene = draw_scene(
        subject, replace(days, snapshots=(day,)), draw, Random(f"evaluation {seed} {kind}")
    )
    return question_of(scene, subject, f"{kind}-{day.date}")


def own_question(kind: str, text: str) -> Question:
    """A question in the user's own words: bound to the kind's schema, but without a scene nothing
    can grade it.
    """
    language: Language = "ko" if re.search("[가-힣]", text) else "en"
    messages = [
        {"role": "system", "content": system_prompt(language)},
        {"role": "user", "content": text},
    ]
    return Question(
        "own", kind, language, None, messages, kind_named(kind).schema, reference="", scene={}
    )


def graded_answer(url: str, model: str, question: Question) -> dict[str, Any]:
    """The model's reply with its grade; JSON-able.

    `reply` is the parsed JSON, None where the text is none; `grade`, `measures` (of score.judge)
    and `reference` are None for a user's own question.
    """
    reply = ask(url, model, question.messages, question.schema, Options())
    found: dict[str, Any] = {
        "model": model,
        "kind": question.kind,
        "date": question.date,
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
        grade = kind_named(question.kind).grade(scene_from_dict(question.scene), reply.text)
        found["grade"] = {
            "score": round(grade.score, 4),
            "parts": grade.parts,
            "reason": grade.reason,
        }
        found["measures"] = judge(question, reply.text)
        found["reference"] = parse(question.reference)
    return found


def show(answer: dict[str, Any]) -> RenderableType:
    """The question, the reply and the grade for a terminal; `answer` is graded_answer's."""
    parts: list[RenderableType] = [
        Panel(
            Text(answer["question"]), title=_about(answer), title_align="left", border_style="dim"
        ),
        Panel(_shown_reply(answer), title=answer["model"], title_align="left", border_style="cyan"),
    ]
    if answer["grade"]:
        parts.append(_shown_grade(answer["grade"]))
    seconds, tokens = answer["latency_s"], answer["completion_tokens"]
    parts.append(Text(f"{seconds:.1f} s, {tokens} tokens written", style="dim"))
    return Group(*parts)


def _about(answer: dict[str, Any]) -> str:
    return f"{answer['kind']}, {answer['date']}" if answer["date"] else answer["kind"]


def _shown_reply(answer: dict[str, Any]) -> RenderableType:
    if answer["reply"] is not None:
        shown = JSON(json.dumps(answer["reply"], ensure_ascii=False), ensure_ascii=False).text
        shown.no_wrap, shown.overflow = False, "fold"  # a rationale is longer than a line
        return shown
    cut = answer["finish_reason"] == "length"
    why = "cut at the token limit, hence no JSON" if cut else "no JSON"
    return Group(Text(answer["text"]), Text(f"({why})", style="red"))


def _shown_grade(grade: dict[str, Any]) -> Text:
    """The score, and each named part that was judged as passed or failed."""
    shown = Text(f"grade {grade['score']:.2f}", style="bold")
    for part, passed in grade["parts"].items():
        shown.append(
            f"   {'✓' if passed else '✗'} {part}",
            style="not bold green" if passed else "not bold red",
        )
    if grade["reason"]:
        shown.append(f"\n{grade['reason']}", style="not bold dim")
    return shown
