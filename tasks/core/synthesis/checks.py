"""The proof of synthetic rows, pairs and questions: each is read from its own text and judged by
the strategy.

Nothing of how a row was made is used: not its scene, not its generator. The question is read
(reading.py), the right decision follows from it (tasks.core.strategy.decisions), and answer, names,
numbers and words are held against that.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tasks.core.kinds import KINDS, kind_named
from tasks.core.kinds.base import Kind, Scene, system_prompt
from tasks.core.kinds.grading import PROSE_KEYS
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.records.facts import Facts
from tasks.core.strategy.decisions import DECISIONS, known_numbers, settled
from tasks.core.strategy.rules import NUMBERS, regime_of
from tasks.core.strategy.universe import names
from tasks.core.synthesis.prose import prose_problems
from tasks.core.synthesis.reading import Reading, read_question

_HANJA = re.compile("[\u2e80-\u2fdf\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
MODEL_REJECT_SCORE = 0.8
"""A model's own reply is a rejected answer up to this grade: a nearly right one teaches the wrong
lesson.
"""

Problem = tuple[str, str]
"""(rule, detail)"""


@dataclass(frozen=True)
class Failure:
    """One rule that one row breaks. Rows are counted from 1."""

    row: int
    rule: str
    detail: str


def check_rows(rows: Iterable[dict[str, Any]]) -> list[Failure]:
    """All failures of rows (`messages`), pairs (`prompt`, `chosen`, `rejected`) or questions (with
    `reference`).
    """
    return [
        Failure(number, rule, detail)
        for number, row in enumerate(rows, 1)
        for rule, detail in dict.fromkeys(check_row(row))
    ]


def check_row(row: dict[str, Any]) -> Iterator[Problem]:
    """The row's problems; none if it is true."""
    texts, metadata = _texts(row), row.get("metadata") or {}
    if texts is None:
        yield (
            "form",
            "it is neither messages with system, user and assistant nor prompt, chosen and rejected",
        )
        return
    system, question, reply = texts
    reading = read_question(question)
    if system != system_prompt(reading.language):
        yield "system", "its system message is not the strategy prompt of the question's language"
    if _HANJA.search(question + reply):
        yield "hanja", "it has Hanja in it"
    subject = _subject(reply, metadata.get("kind", row.get("kind")))
    if subject is None:
        yield "schema", "its answer is of no kind: its keys are no kind's"
        return
    yield from _question_problems(reading, subject)
    yield from _metadata_problems(reading, subject, metadata)
    if missing := _missing(reading.facts, subject):
        yield "prompt", f"the question does not say {', '.join(missing)}"
        return
    yield from _answer_problems(reply, reading, subject)
    if "rejected" in row:
        yield from _rejected_problems(row["rejected"][-1]["content"], reading, subject, metadata)


def _texts(row: dict[str, Any]) -> tuple[str, str, str] | None:
    """System message, question and answer."""
    try:
        if "reference" in row:
            told = [*row["messages"], {"role": "assistant", "content": row["reference"]}]
        else:
            told = row["messages"] if "messages" in row else [*row["prompt"], *row["chosen"]]
        if [message["role"] for message in told] != ["system", "user", "assistant"]:
            return None
        return tuple(str(message["content"]) for message in told)  # type: ignore[return-value]
    except (KeyError, TypeError):
        return None


def _subject(reply: str, name: str | None) -> Kind | None:
    """The kind that the row says, else the one whose keys the answer has."""
    return kind_named(name) if name in DECISIONS else kind_of_reply(reply)


def kind_of_reply(reply: str) -> Kind | None:
    """The kind whose keys an answer has."""
    try:
        keys = set(json.loads(reply))
    except (ValueError, TypeError):
        return None
    return next((found for found in KINDS if set(found.schema["required"]) <= keys), None)


def _question_problems(reading: Reading, subject: Kind) -> Iterator[Problem]:
    for ticker, name in reading.names:
        if name not in names(ticker):
            yield (
                "names",
                f"{name}({ticker}) is not the universe's: {' / '.join(names(ticker)) or 'no such code'}",
            )
    tickers = [ticker for ticker, _ in reading.names]
    if len(set(tickers)) < len(tickers):
        yield "prompt", "a stock is offered twice"
    if reading.unread:
        yield (
            "prompt",
            f"{reading.unread[0]} is a number without a label, or a label that stands twice",
        )
    if len(set(reading.dates)) > 1:
        yield "date", f"the question names several days: {', '.join(reading.dates)}"
    if not 0 <= reading.facts.numbers.get("breadth_pct", 50) <= 100:
        yield "prompt", f"a breadth of {reading.facts.numbers['breadth_pct']}% cannot be"


def _metadata_problems(
    reading: Reading, subject: Kind, metadata: dict[str, Any]
) -> Iterator[Problem]:
    """What the row says of itself must be what its text says."""
    said = {
        "language": reading.language,
        "regime": regime_of(**known_numbers(reading.facts)),
        "date": reading.dates[0] if reading.dates else None,
    }
    for name, found in said.items():
        if name in metadata and metadata[name] != found:
            rule = name if name in ("regime", "date", "language") else "metadata"
            yield rule, f"the row says {name} {metadata[name]}, its question {found}"
    simulated = metadata.get("simulated", ())
    for name in NUMBERS if "simulated" in metadata and "date" in metadata else ():
        if name in reading.facts.numbers and (name in simulated) == (metadata["date"] is not None):
            told = (
                "a real day's and simulated" if name in simulated else "of no day and not simulated"
            )
            yield "metadata", f"the row says that its {name} is {told}"
    if (
        "template" in metadata
        and metadata["template"] >= len(subject.templates(reading.language)) - HELD_TEMPLATES
    ):
        yield "held_out", f"its template {metadata['template']} is kept for evaluation"


def _missing(facts: Facts, subject: Kind) -> list[str]:
    """What the kind's decision needs and the question does not say."""
    needs = subject.needs
    market = NUMBERS[:1] if needs.partial_share else NUMBERS
    missing = [name for name in (*market, *needs.numbers) if name not in facts.numbers]
    missing += [name for name in needs.words if name not in facts.words]
    missing += [
        f"{name} of {line.ticker}"
        for line in facts.stocks[: needs.stocks[1]]
        for name in (*needs.stock_numbers, *needs.stock_words)
        if name not in line.numbers and name not in line.words and name not in ("per", "pbr")
    ]
    fewest = needs.stocks[0] + len(needs.funds)
    if len(facts.stocks) < fewest:
        missing.append(f"{fewest} stocks")
    return missing


def _answer_problems(reply: str, reading: Reading, subject: Kind) -> Iterator[Problem]:
    scene = Scene(subject.name, reading.language, 0, "bullets", None, reading.facts)
    try:
        right = settled(DECISIONS[subject.name](reading.facts))
        grade = subject.grade(scene, reply)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        yield "prompt", f"the question allows no decision ({type(error).__name__}: {error})"
        return
    told = grade.told
    if told is None:
        yield "schema", "its answer is no JSON of the kind's schema"
        return
    yield from _differences(told, right)
    for entry in _named(told):
        if entry["name"] not in names(entry["ticker"]):
            yield "names", f"{entry['name']}({entry['ticker']}) is not the universe's"
    yield from prose_problems(told, right, reading)
    if grade.score < 1:
        yield "grade", f"its answer grades {grade.score:.2f} ({grade.reason})"


def _differences(told: Any, right: Any, path: str = "") -> Iterator[Problem]:
    """Where the answer's decisions are not the strategy's; prose and names are judged elsewhere."""
    if isinstance(right, dict) and isinstance(told, dict):
        extra = [key for key in told if key not in right and key not in (*PROSE_KEYS, "name")]
        for key in extra:
            yield "decision", f"{path}{key} has no ground in the question"
        for key, value in right.items():
            yield from _differences(told.get(key), value, f"{path}{key}.")
    elif isinstance(right, list) and isinstance(told, list) and len(right) == len(told):
        for place, (one, other) in enumerate(zip(told, right, strict=True)):
            yield from _differences(one, other, f"{path}{place}.")
    elif told != right or type(told) is not type(right):
        yield (
            _rule(path),
            f"{path.rstrip('.')} is {_short(told)}, the strategy says {_short(right)}",
        )


def _rule(path: str) -> str:
    """The rule that a decision breaks, by its key."""
    key = path.rstrip(".").split(".")[-1]
    if key in ("regime", "from", "to", "regime_now", "regime_after"):
        return "regime"
    return "tickers" if key == "ticker" else "decision"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 60 else text[:57] + "..."


def _named(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "ticker" in value and "name" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _named(entry)


def _rejected_problems(
    reply: str, reading: Reading, subject: Kind, metadata: dict[str, Any]
) -> Iterator[Problem]:
    """A rejected answer must grade below 1, and fail for the reason that its pair names, and for no
    other.

    One that a model gave may fail for more, if the pair names all, and must be clearly wrong.
    """
    flaw, flaws = metadata.get("flaw"), set(metadata.get("flaws") or [metadata.get("flaw")])
    scene = Scene(subject.name, reading.language, 0, "bullets", None, reading.facts)
    grade = subject.grade(scene, reply)
    if grade.score >= 1:
        yield "rejected", "its rejected answer is right"
    elif "flaws" in metadata and grade.score > MODEL_REJECT_SCORE:
        yield (
            "rejected",
            f"its rejected answer is a model's and grades {grade.score:.2f}: too good for a reject",
        )
    elif flaw is not None and (grade.flaws != flaws or flaw not in flaws):
        yield (
            "flaw",
            f"its rejected answer shows {', '.join(sorted(grade.flaws))}, the pair says {flaw}",
        )
