"""The guard between training and evaluation: no day, wording or question of one is in the other.

Reads rows.jsonl, pairs.jsonl, questions.jsonl and the market's holdout part. It goes by what the
texts say.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.records.market import Snapshot
from tasks.core.records.market_days import read_snapshots
from tasks.core.strategy.rules import NUMBERS
from tasks.core.synthesis.reading import Reading, read_question

NEAR = 0.5
"""Share of runs of five words that two questions have in common (Jaccard) from which one is the
other's copy. Between 400 questions and 1,500 rows of one market 0.18 was the most; a question
with one number changed has 0.8.
"""
_RUN = 5
_WORD = re.compile(r"[^\W\d_]+")

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAMED = "|".join(_MONTHS)
_DATES = (  # words of which a text with such a date has one, if any, and how the date is written
    ((), (re.compile(r"(?P<y>\d(?<!\d\d)\d{3})(?P<gap>[-./ ]?)(?P<m>\d{2})(?P=gap)(?P<d>\d{2})(?!\d)"),)),
    (("년",), (re.compile(r"(?<!\d)(?P<y>\d{4})\s*년\s*(?P<m>\d{1,2})\s*월\s*(?P<d>\d{1,2})\s*일"),)),
    (_MONTHS, (
        re.compile(rf"(?P<b>{_NAMED})[a-z]*\.? (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<y>\d{{4}})"),
        re.compile(rf"(?<!\d)(?P<d>\d{{1,2}})(?:st|nd|rd|th)? (?P<b>{_NAMED})[a-z]*\.?,? (?P<y>\d{{4}})"),
    )),
)  # fmt: skip
"""Most texts have none of the words, and are spared the search. The first pattern looks for a digit
before it looks at what stands in front of that: the regex engine finds a digit fast.
"""


RULES = {
    "held_out_days": "names a held-out day",
    "held_out_numbers": "says a held-out day's four numbers",
    "held_out_wordings": "is worded as a question of the evaluation",
    "duplicates": "asks a question of the evaluation",
    "near_duplicates": "asks nearly a question of the evaluation",
}


@dataclass(frozen=True)
class Held:
    """What no training row may hold."""

    days: dict[str, tuple[float, ...]]  # held-out day -> return, breadth, momentum, volatility
    wordings: set[str]
    questions: set[str]
    runs: dict[str, list[int]]  # run of words -> the questions that have it
    lengths: list[int]  # runs of each question

    @classmethod
    def of(cls, holdout: Path, questions: list[str]) -> "Held":
        days = {
            day.date: tuple(getattr(day, name) for name in NUMBERS)
            for day in read_snapshots(holdout)
        }
        runs: dict[str, list[int]] = {}
        for place, question in enumerate(questions):
            for run in _runs(question):
                runs.setdefault(run, []).append(place)
        wordings = {wording_of(read_question(question)) for question in questions}
        return cls(
            days, wordings, set(questions), runs, [len(_runs(question)) for question in questions]
        )

    def broken_by(self, question: str) -> set[str]:
        """The rules that a training question breaks, its dates aside."""
        reading = read_question(question)
        numbers = tuple(reading.facts.numbers.get(name) for name in NUMBERS)
        broken = {
            "held_out_numbers": numbers in self.days.values(),
            "held_out_wordings": wording_of(reading) in self.wordings,
            "duplicates": question in self.questions,
            "near_duplicates": question not in self.questions and self._is_near(question),
        }
        return {rule for rule, breaks in broken.items() if breaks}

    def _is_near(self, question: str) -> bool:
        own = _runs(question)
        common = Counter(place for run in own for place in self.runs.get(run, ()))
        return any(
            both / (len(own) + self.lengths[place] - both) >= NEAR for place, both in common.items()
        )


def prove_apart(holdout: Path, questions: Path, training: Iterable[Path]) -> dict[str, int]:
    """Holds training files (rows.jsonl, pairs.jsonl) against the held-out days and the evaluation's
    questions.

    Returns what was compared and how many rows broke each of RULES: none, because one that does
    raises WorkError.
    """
    held = Held.of(holdout, [_question(row) for _, row in _rows(questions)])
    counts = Counter({"questions": len(held.lengths), "held_out_days": len(held.days)})
    broken: dict[str, list[str]] = {rule: [] for rule in RULES}
    known: dict[str, set[str]] = {}
    for file in training:
        for number, row in _rows(file):
            counts[file.stem] += 1
            question = _question(row)
            if question not in known:  # pairs ask a row's question again
                known[question] = held.broken_by(question)
            dated = {"held_out_days"} if held.days.keys() & set(dates_in(row)) else set()
            for rule in known[question] | dated:
                broken[rule].append(f"{file.name}, line {number}")
    _refuse(broken)
    return {**counts, **{f"rows_with_{rule}": len(found) for rule, found in broken.items()}}


def prove_of_days(rows: Iterable[dict[str, Any]], days: Iterable[Snapshot]) -> None:
    """Training rows name no day but the training part's, and say of a day what it was. Raises
    WorkError otherwise.
    """
    known = {day.date: day for day in days}
    for number, row in enumerate(rows, 1):
        metadata = row["metadata"]
        kind = f"Synthetic {metadata['kind']}"
        strange = set(dates_in([message["content"] for message in row["messages"]])) - known.keys()
        if strange:
            raise WorkError(
                f"{kind} row {number} names {min(strange)}, which is no training day of the market."
            )
        for name in NUMBERS if metadata["date"] else ():
            told = metadata["scene"]["facts"]["numbers"].get(name)
            if told not in (None, getattr(known[metadata["date"]], name)):
                raise WorkError(
                    f"{kind} row {number} says {name} {told} of {metadata['date']}; the market does not."
                )


def _refuse(broken: dict[str, list[str]]) -> None:
    told = [f"{len(found)} {RULES[rule]} ({found[0]})" for rule, found in broken.items() if found]
    if told:
        raise WorkError(
            f"Of the training rows, {'; '.join(told)}. A model trained on them cannot be judged by this evaluation."
            " Make the rows again (`kospilot run PROFILE --force synthesize --force pairs`), or import them without"
            " the held-out days."
        )


def wording_of(reading: Reading) -> str:
    """A question's own words: without numbers and their labels, dates, stocks, news and signs."""
    return " ".join(_WORD.findall(reading.wording))


def _runs(text: str) -> frozenset[str]:
    words = text.split()
    return frozenset(" ".join(words[at : at + _RUN]) for at in range(max(1, len(words) - _RUN + 1)))


def _question(row: dict[str, Any]) -> str:
    """The user's message of a row, a pair or a question."""
    messages = row.get("messages") or row["prompt"]
    return next(message["content"] for message in messages if message["role"] == "user")


def _rows(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            yield number, json.loads(line)


def dates_in(value: Any) -> Iterator[str]:
    """Every date in the texts of a JSON value, however it is written, as YYYY-MM-DD."""
    if isinstance(value, str):
        for words, patterns in _DATES:
            if words and not any(word in value for word in words):
                continue
            for found in (match for pattern in patterns for match in pattern.finditer(value)):
                parts = found.groupdict()
                month = parts.get("m") or _MONTHS.index(parts["b"]) + 1
                yield f"{parts['y']}-{int(month):02d}-{int(parts['d']):02d}"
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from dates_in(entry)
