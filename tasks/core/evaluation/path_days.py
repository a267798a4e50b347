"""The held-out days of the net-exposure path, in order: what the market did on each, what the
rule holds after it, and the question that is asked about it.

Reads the market's holdout part; writes and reads days.jsonl, which lies beside questions.jsonl.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.evaluation.questions import question_of
from tasks.core.evaluation.records import Question
from tasks.core.files.json_files import LineError, numbered_lines, write_lines
from tasks.core.kinds import kind_named
from tasks.core.kinds.scenes import Days, Draw, draw_scene
from tasks.core.records.facts import Language
from tasks.core.records.market import Snapshot
from tasks.core.settings.evaluation import Evaluation
from tasks.core.strategy.rules import EXPOSURES, NUMBERS, allocation_for, regime_of

DAYS_FILE = "days.jsonl"

ASKED_KIND = "regime_classification"
"""The kind of the questions that are asked for the path: its answers are the shortest that tell a
net exposure.
"""

_LANGUAGES: tuple[Language, ...] = ("ko", "en")


@dataclass(frozen=True)
class PathDay:
    """One held-out day at its close. Percentages of exposure are of the NAV."""

    date: str  # YYYY-MM-DD
    return_pct: float  # of the index on this day
    rule_net_pct: int  # what the rule holds from this close to the next
    band_pct: tuple[int, int]  # the net band of the day's regime, both ends included
    question: Question | None  # asked for the path alone; None asks nothing more about the day


def build_path_days(holdout: Path, evaluation: Evaluation, out: Path) -> None:
    """Writes out/days.jsonl: the last `path_days` held-out days, each with a question of its own;
    all of them, without one, if `path_days` is 0.

    No training row can hold such a question: it states the four numbers of a held-out day, which
    the guard looks for in every row.
    """
    days = Days.read(holdout)
    snapshots = sorted(days.snapshots, key=lambda day: day.date)
    rng = Random(f"evaluation {evaluation.seed} path")
    lines = []
    for number, day in enumerate(snapshots[-evaluation.path_days :]):
        question = None
        if evaluation.path_days and days.stocks.get(day.date):
            language = _LANGUAGES[number % len(_LANGUAGES)]
            question = _question(replace(days, snapshots=(day,)), language, rng)
            question = replace(question, most_tokens=evaluation.max_tokens)
        lines.append(asdict(_path_day(day, question)))
    write_lines(out / DAYS_FILE, lines)


def _question(one_day: Days, language: Language, rng: Random) -> Question:
    kind = kind_named(ASKED_KIND)
    scene = draw_scene(kind, one_day, Draw(language, "evaluate"), rng)
    return question_of(scene, kind, f"path-{one_day.snapshots[0].date}")


def _path_day(day: Snapshot, question: Question | None) -> PathDay:
    regime = regime_of(**{name: getattr(day, name) for name in NUMBERS})
    return PathDay(
        date=day.date,
        return_pct=day.return_pct,
        rule_net_pct=allocation_for(regime, day.breadth_pct, day.volatility_pct).net,
        band_pct=EXPOSURES[regime].net,
        question=question,
    )


def read_path_days(folder: Path) -> list[PathDay]:
    """Returns the days beside a set of questions; none if the set came without them.

    Raises RequestError with the line of the file that is not such a day.
    """
    file = folder / DAYS_FILE
    if not file.is_file():
        return []
    days: list[PathDay] = []
    try:
        for number, fields in numbered_lines(file):
            day = _read_day(file, number, fields)
            if days and day.date <= days[-1].date:
                raise RequestError(
                    f"{file}, line {number}: {day.date} does not come after {days[-1].date}."
                    f" {_REMEDY}"
                )
            days.append(day)
    except (LineError, OSError) as error:
        raise RequestError(f"{error} {_REMEDY}") from error
    return days


def _read_day(file: Path, number: int, fields: Any) -> PathDay:
    try:
        question = fields["question"] and Question(**fields["question"])
        low, high = fields["band_pct"]
        day = PathDay(**{**fields, "question": question, "band_pct": (low, high)})
        date.fromisoformat(day.date)
        if not all(map(isfinite, (day.return_pct, day.rule_net_pct, low, high))):
            raise ValueError("a number is not finite")
        return day
    except (TypeError, ValueError, KeyError) as error:
        raise RequestError(
            f"{file}, line {number} is no day of a path ({error}). {_REMEDY}"
        ) from error


_REMEDY = (
    "Use the days.jsonl of an evaluate artifact, or take the file away: nothing else needs it."
)
