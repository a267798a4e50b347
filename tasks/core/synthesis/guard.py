"""The guard between training and evaluation: no day, wording or question of one is in the other.

Reads rows.jsonl, pairs.jsonl, questions.jsonl and the market's holdout part. It goes by what the
texts say.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import numbered_lines, read_lines
from tasks.core.kinds.wording import TODAY, YESTERDAY
from tasks.core.records.market import Snapshot
from tasks.core.records.market_days import read_snapshots
from tasks.core.strategy.rules import NUMBERS
from tasks.core.synthesis.dates import dates_in
from tasks.core.synthesis.near import KnownTexts
from tasks.core.synthesis.reading import Reading, read_question

_DAYS = frozenset((*TODAY.values(), *YESTERDAY.values()))
_WORD = re.compile(r"[^\W\d_]+")

RULES = {
    "held_out_days": "names a held-out day",
    "held_out_numbers": "says a held-out day's four numbers",
    "held_out_wordings": "is worded as a question of the evaluation",
    "duplicates": "asks a question of the evaluation",
    "near_duplicates": "asks nearly a question of the evaluation",
}
"""What a training row must not do, by the name under which the report counts it."""


@dataclass(frozen=True)
class Held:
    """What evaluation keeps to itself, and no training row may hold."""

    days: dict[str, tuple[float, ...]]  # held-out day -> return, breadth, momentum, volatility
    wordings: set[str]
    questions: set[str]
    texts: KnownTexts  # the questions again

    @classmethod
    def of(cls, holdout: Path, questions: list[str]) -> "Held":
        """Reads the held-out days, and takes the evaluation's questions apart."""
        days = {}
        for day in read_snapshots(holdout):
            days[day.date] = tuple(getattr(day, name) for name in NUMBERS)
        wordings = set()
        texts = KnownTexts()
        for question in questions:
            wordings.add(wording_of(read_question(question)))
            texts.add(question)
        return cls(days, wordings, set(questions), texts)

    def broken_by(self, question: str) -> set[str]:
        """Returns the rules that a training question breaks, its dates aside."""
        reading = read_question(question)
        numbers = tuple(reading.facts.numbers.get(name) for name in NUMBERS)
        broken = set()
        if numbers in self.days.values():
            broken.add("held_out_numbers")
        if wording_of(reading) in self.wordings:
            broken.add("held_out_wordings")
        if question in self.questions:
            broken.add("duplicates")
        elif self.texts.is_near(question):
            broken.add("near_duplicates")
        return broken


def prove_apart(holdout: Path, questions: Path, training: Iterable[Path]) -> dict[str, int]:
    """Holds training files (rows.jsonl, pairs.jsonl) against the held-out days and the evaluation's
    questions.

    Returns what was compared and how many rows broke each of RULES: none, because one that does
    raises WorkError.
    """
    held = Held.of(holdout, [_question(row) for row in read_lines(questions)])
    counts = Counter({"questions": len(held.texts.lengths), "held_out_days": len(held.days)})
    offenders: dict[str, list[str]] = {rule: [] for rule in RULES}
    known: dict[str, set[str]] = {}
    for file in training:
        for number, row in numbered_lines(file):
            counts[file.stem] += 1
            question = _question(row)
            if question not in known:  # pairs ask a row's question again
                known[question] = held.broken_by(question)
            broken = set(known[question])
            if held.days.keys() & set(dates_in(row)):
                broken.add("held_out_days")
            for rule in broken:
                offenders[rule].append(f"{file.name}, line {number}")
    _refuse(offenders)
    return {**counts, **{f"rows_with_{rule}": len(rows) for rule, rows in offenders.items()}}


def prove_of_days(rows: Iterable[dict[str, Any]], days: Iterable[Snapshot]) -> None:
    """Proves that training rows name no day but the training part's, and say of a day what it was.
    Raises WorkError if not.
    """
    known = {day.date: day for day in days}
    for number, row in enumerate(rows, 1):
        metadata = row["metadata"]
        subject = f"Synthetic {metadata['kind']} row {number}"
        texts = [message["content"] for message in row["messages"]]
        strange = set(dates_in(texts)) - known.keys()
        if strange:
            raise WorkError(
                f"{subject} names {min(strange)}, which is no training day of the market."
            )
        if metadata["day"]:
            _prove_of_day(subject, metadata["scene"]["facts"]["numbers"], known[metadata["day"]])


def _prove_of_day(subject: str, numbers: dict[str, float], day: Snapshot) -> None:
    for name in NUMBERS:
        if name in numbers and numbers[name] != getattr(day, name):
            raise WorkError(
                f"{subject} says {name} {numbers[name]} of {day.date}; the market does not."
            )


def _refuse(offenders: dict[str, list[str]]) -> None:
    """Raises WorkError if a row broke a rule; `offenders` are the rows that broke each."""
    broken = []
    for rule, rows in offenders.items():
        if rows:
            broken.append(f"{len(rows)} {RULES[rule]} ({rows[0]})")
    if broken:
        raise WorkError(
            f"Of the training rows, {'; '.join(broken)}. A model trained on them cannot be judged"
            " by this evaluation. Make the rows again (`kospilot run PROFILE --force synthesize"
            " --force pairs`), or import them without the held-out days."
        )


def wording_of(reading: Reading) -> str:
    """Returns a question's own words: those that remain without numbers and their labels, dates
    and the words for them, stocks, news and signs.
    """
    words = _WORD.findall(reading.wording)
    return " ".join(word for word in words if word not in _DAYS)


def _question(row: dict[str, Any]) -> str:
    """Returns the user's message of a row, a pair or a question."""
    messages = row.get("messages") or row["prompt"]
    return next(message["content"] for message in messages if message["role"] == "user")
