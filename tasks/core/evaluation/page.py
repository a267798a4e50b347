"""An evaluation as one HTML page that refers to no other file: to read, to keep, to send.

Writes the page from page.html.jinja. Replies and names are anybody's text: the template escapes
all that it prints, and the page lets no script run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tasks.core.evaluation.evaluated import Evaluated
from tasks.core.evaluation.measures import MEASURES, Figures, grade_rows, share_rows, signed
from tasks.core.evaluation.path_page import path_part
from tasks.core.evaluation.path_report import NO_PATH
from tasks.core.evaluation.records import Question, days_of
from tasks.core.evaluation.report import headline
from tasks.core.evaluation.score import grade_of, parse
from tasks.core.evaluation.verdicts import NO_VERDICT
from tasks.core.files.atomic import write_text
from tasks.core.strategy.rules import REGIMES

WORST = 6
"""Replies that are shown whole."""

LONGEST_TEXT = 6_000
"""Characters of a reply that are shown; one that rambles would fill the page."""

TILES = ("fully_right", "grade", "regime_accuracy", "schema_valid")
"""The measures at the top of the page, for the last model."""

COLORS = ("c0", "c1", "c2", "c3", "c4", "c5")
"""The page's classes of the models' colours: grey for the first, which others are compared with."""


@dataclass(frozen=True)
class About:
    """What the page says beside the results."""

    title: str

    made: Mapping[str, str] = field(default_factory=dict)
    """How it was made: versions, digests, seeds, by their names."""

    notice: str = ""
    """A warning on top, e.g. that the model is a toy."""

    parity: Sequence[Mapping[str, Any]] = ()
    """The hops of a release's parity check, in order, each a row of the table."""


@dataclass(frozen=True)
class Line:
    """One line of a JSON text, and whether it differs from the right answer's."""

    text: str
    differs: bool = False


@dataclass(frozen=True)
class Case:
    """One question with its right answer and a reply to it."""

    question: Question
    grade: float
    parts: dict[str, bool]  # of the grade: whether each passed; what failed first
    right: list[Line]
    reply: list[Line]


def write_page(evaluated: Evaluated, about: About, file: Path) -> None:
    """Writes the page. The last model is compared with the first, question by question."""
    models = list(evaluated.scores)
    figures = list(evaluated.scores.values())
    colors = [COLORS[index % len(COLORS)] for index in range(len(models))]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "grade": _grade, "signed": signed}
    page = environment.get_template("page.html.jinja").render(
        about=about,
        models=models,
        colors=colors,
        figures=figures,
        questions=len(evaluated.questions),
        days=sorted(set(days_of(evaluated.questions))),
        verdict=_verdict(evaluated),
        tiles=[(MEASURES[name], name) for name in TILES if _applies(name, figures[-1])],
        measures=MEASURES,
        changes={model: evaluated.change(model) for model in models},
        shares=share_rows(figures),
        grades=grade_rows(figures),
        headline=headline(evaluated),
        regimes=(*REGIMES, NO_VERDICT),
        path=path_part(evaluated.path, colors),
        no_path=NO_PATH if evaluated.constants else "",
        cases=worst_cases(evaluated),
    )
    write_text(file, page)


def read_table(file: Path) -> list[dict[str, str]]:
    """Returns the rows of the table in a Markdown report, each by the titles of its columns; none
    without the file.
    """
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def worst_cases(evaluated: Evaluated) -> list[Case]:
    """Returns the last model's worst replies, a kind's second one only after all kinds' first."""
    model = list(evaluated.scores)[-1]
    replies = evaluated.replies[model]
    marks = evaluated.marks[model]
    by_grade = sorted(range(len(marks)), key=lambda number: (marks[number]["grade"], number))
    seen: dict[str, int] = {}
    turns = {}
    for number in by_grade:
        kind = evaluated.questions[number].kind
        turns[number] = seen[kind] = seen.get(kind, -1) + 1
    chosen = [number for number in by_grade if (marks[number]["grade"] or 0) < 1]
    chosen.sort(key=lambda number: turns[number])  # stable: by grade within a turn
    return [_case(evaluated.questions[number], replies[number].text) for number in chosen[:WORST]]


def _applies(measure: str, figures: Figures) -> bool:
    """Whether a tile shows it: of rows' questions, which have no regime, what they ask for."""
    return bool(figures["regimes"] or figures["measures"][measure]["n"])


def _case(question: Question, text: str) -> Case:
    grade = grade_of(question, text)
    right = _lines(question.reference)
    return Case(
        question=question,
        grade=grade.score,
        parts=dict(sorted(grade.parts.items(), key=lambda part: part[1])),
        right=[Line(line) for line in right],
        reply=[Line(line, line.rstrip(",") not in _bare(right)) for line in _lines(text)],
    )


def _bare(lines: list[str]) -> set[str]:
    """The lines without the comma, which depends on what follows."""
    return {line.rstrip(",") for line in lines}


def _lines(text: str) -> list[str]:
    """The text's JSON, indented; a text that is no JSON as it stands."""
    value = parse(text)
    if value is not None:
        text = json.dumps(value, ensure_ascii=False, indent=2)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}\n… {len(text) - LONGEST_TEXT:,} more characters"
    return text.splitlines() or ["(nothing)"]


def _verdict(evaluated: Evaluated) -> str:
    """The comparison in a sentence; empty if there is one model alone."""
    first, *others = evaluated.scores
    if not others:
        return ""
    last = others[-1]
    change = evaluated.change(last)
    if change["low"] > 0:
        outcome = "answers better than"
    elif change["high"] < 0:
        outcome = "answers worse than"
    else:
        outcome = "cannot be told apart from"
    return f"{last} {outcome} {first}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"


def _grade(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
