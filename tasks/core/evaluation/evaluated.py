"""Everything that an evaluation found out: questions, and each model's replies, marks and figures.

Writes and reads marks.jsonl, a line for each question: what a promotion is weighed by.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.evaluation.exposure_path import ExposurePath, build_path
from tasks.core.evaluation.measures import Figures
from tasks.core.evaluation.path_days import PathDay
from tasks.core.evaluation.records import Mark, Question, Reply, days_of
from tasks.core.evaluation.score import judge_all, score
from tasks.core.evaluation.statistics import difference
from tasks.core.evaluation.told_exposures import Told, told_exposures
from tasks.core.evaluation.verdicts import constant_answers
from tasks.core.files.json_files import LineError, read_lines, write_lines
from tasks.core.settings.evaluation import COST_BP

MARKS_FILE = "marks.jsonl"


@dataclass
class Evaluated:
    """The models' results on one set of questions, by the models' names, in the order in which they
    were added. Replies and marks are in the order of the questions.
    """

    questions: list[Question]
    days: list[PathDay] = field(default_factory=list)  # of the path; none if the set has none
    cost_bp: float = COST_BP  # of what the path trades
    told: dict[str, Told] = field(default_factory=dict)  # of the days
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    marks: dict[str, list[Mark]] = field(default_factory=dict)
    scores: dict[str, Figures] = field(default_factory=dict)

    @cached_property
    def asked(self) -> list[Question]:
        """All that a model is asked: the questions, then those for the path alone."""
        return [*self.questions, *(day.question for day in self.days if day.question)]

    def add(self, model: str, replies: list[Reply]) -> None:
        """Judges a model's replies to all that it was asked; those for the path alone are in no
        other figure, because they would unbalance the set.
        """
        self.told[model] = told_exposures(self.asked, replies, [day.date for day in self.days])
        replies = replies[: len(self.questions)]
        self.replies[model] = replies
        self.marks[model] = judge_all(self.questions, replies)
        self.scores[model] = score(self.questions, replies, self.marks[model])

    @property
    def path(self) -> ExposurePath | None:
        """The net-exposure path of the models so far; None if no day of it was asked about."""
        return build_path(self.days, self.told, self.cost_bp)

    @cached_property
    def constants(self) -> dict[str, dict[str, Any]]:
        """What a model that always says one regime would earn (verdicts.constant_answers)."""
        return constant_answers(self.questions, days_of(self.questions))

    def change(self, model: str) -> dict[str, Any]:
        """Returns the estimate of a model's mean grade − the first model's, pair by pair."""
        first = next(iter(self.marks.values()))
        return difference(
            [mark["grade"] for mark in first],
            [mark["grade"] for mark in self.marks[model]],
            days_of(self.questions),
        )


@dataclass(frozen=True)
class Marks:
    """The models' marks on one set of questions, in the order of the questions."""

    days: list[str]
    of: dict[str, list[Mark]]  # by the model's name


def write_marks(evaluated: Evaluated, folder: Path) -> None:
    """Writes folder/marks.jsonl."""
    days = days_of(evaluated.questions)
    lines = []
    for number, question in enumerate(evaluated.questions):
        marks = {model: of_model[number] for model, of_model in evaluated.marks.items()}
        lines.append({"id": question.id, "day": days[number], "marks": marks})
    write_lines(folder / MARKS_FILE, lines)


def read_marks(folder: Path) -> Marks:
    """Returns the marks of an evaluation's folder.

    Raises RequestError if its marks.jsonl is not an evaluation's.
    """
    file = folder / MARKS_FILE
    try:
        lines = list(read_lines(file))
        models = lines[0]["marks"].keys()
        of = {model: [line["marks"][model] for line in lines] for model in models}
        return Marks([line["day"] for line in lines], of)
    except (OSError, LineError, LookupError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{file} holds no evaluation's marks ({error}). Run the evaluation again."
        ) from error
