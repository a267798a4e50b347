"""The proof of synthetic rows, pairs and questions: each is read from its own text and judged by
the strategy.

Nothing of how a row was made is used: not its scene, not its generator. The question is read
(reading.py), the right decision follows from it (its kind's `decide`), and the answer,
the names, the numbers and the words are held against that.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tasks.core.kinds import ALL_KINDS, kind_named
from tasks.core.kinds.base import Grade, Kind, Scene, system_prompt
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.schemas import REGIME, keys_with
from tasks.core.kinds.texts import PROSE_KEYS
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.scripts import HANJA
from tasks.core.strategy.deciding import Decision, Open, settled
from tasks.core.strategy.rules import NUMBERS
from tasks.core.strategy.stated import missing_numbers, stated_regime
from tasks.core.strategy.universe import names
from tasks.core.synthesis.blanks import objects_in
from tasks.core.synthesis.problems import Failure, Problem
from tasks.core.synthesis.prose import prose_problems, text_problems
from tasks.core.synthesis.reading import Reading, read_question

MODEL_REJECT_SCORE = 0.8
"""A model's own reply is a rejected answer up to this grade: a nearly right one teaches the wrong
lesson.
"""

_MAY_BE_ABSENT = ("per", "pbr")  # a valuation that means nothing is not printed


def check_row(row: dict[str, Any]) -> Iterator[Problem]:
    """Yields the row's problems, and none if it is true. The same problem may come twice."""
    texts = _texts(row)
    if texts is None:
        yield Problem(
            "form",
            "it is neither messages with system, user and assistant nor prompt, chosen and"
            " rejected",
        )
        return
    metadata = row.get("metadata") or {}
    reading = read_question(texts.question)
    if texts.system != system_prompt(reading.language):
        yield Problem(
            "system", "its system message is not the strategy prompt of the question's language"
        )
    if HANJA.search(texts.question + texts.reply):
        yield Problem("hanja", "it has Hanja in it")
    kind = _kind(texts.reply, metadata.get("kind", row.get("kind")))
    if kind is None:
        yield Problem("schema", "its answer is of no kind: its keys are no kind's")
        return
    yield from _question_problems(reading)
    yield from _metadata_problems(reading, kind, metadata)
    missing = _missing(reading.facts, kind)
    if missing:
        yield Problem("prompt", f"the question does not say {', '.join(missing)}")
        return
    yield from _reply_problems(row, texts, reading, kind)


Check = Callable[[dict[str, Any]], Iterator[Problem]]


def check_rows(rows: Iterable[dict[str, Any]], check: Check = check_row) -> list[Failure]:
    """Returns all failures of rows (`messages`), of pairs (`prompt`, `chosen`, `rejected`) or of
    questions (with `reference`).
    """
    failures = []
    for number, row in enumerate(rows, 1):
        for problem in dict.fromkeys(check(row)):
            failures.append(Failure(number, problem.rule, problem.detail))
    return failures


@dataclass(frozen=True)
class _Texts:
    """The three texts that every row has. A pair's reply is the chosen one."""

    system: str
    question: str
    reply: str


def _texts(row: dict[str, Any]) -> _Texts | None:
    """Returns the row's texts, or None if it has not these three."""
    try:
        messages = _messages(row)
        if [message["role"] for message in messages] != ["system", "user", "assistant"]:
            return None
        return _Texts(*[str(message["content"]) for message in messages])
    except (KeyError, TypeError):
        return None


def _messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    if "reference" in row:
        return [*row["messages"], {"role": "assistant", "content": row["reference"]}]
    if "messages" in row:
        return list(row["messages"])
    return [*row["prompt"], *row["chosen"]]


def _kind(reply: str, name: Any) -> Kind | None:
    """Returns the kind that the row names, else the one whose keys the answer has."""
    for kind in ALL_KINDS:
        if kind.name == name:
            return kind
    return kind_of_reply(reply)


def kind_of_reply(reply: str) -> Kind | None:
    """Returns the kind whose keys an answer has, or None if it has no kind's."""
    try:
        keys = set(json.loads(reply))
    except (ValueError, TypeError):
        return None
    for kind in ALL_KINDS:
        if set(kind.schema["required"]) <= keys:
            return kind
    return None


def _question_problems(reading: Reading) -> Iterator[Problem]:
    for stock in reading.offered:
        known = names(stock.ticker)
        if stock.name not in known:
            right = " / ".join(known) or "no such code"
            yield Problem("names", f"{stock.name}({stock.ticker}) is not the universe's: {right}")
    if len({stock.ticker for stock in reading.offered}) < len(reading.offered):
        yield Problem("prompt", "a stock is offered twice")
    if reading.unread:
        yield Problem(
            "prompt",
            f"{reading.unread[0]} is a number without a label, or a label that stands twice",
        )
    if len(set(reading.dates)) > 1:
        yield Problem("date", f"the question names several days: {', '.join(reading.dates)}")
    breadth = reading.facts.numbers.get("breadth_pct", 50)
    if not 0 <= breadth <= 100:
        yield Problem("prompt", f"a breadth of {breadth}% cannot be")


def _metadata_problems(reading: Reading, kind: Kind, metadata: dict[str, Any]) -> Iterator[Problem]:
    """What the row says of itself must be what its text says."""
    if "notes" in reading.facts.words and not kind.needs.given:
        yield Problem("prompt", "it quotes notes, which no question of its kind does")
    read = {
        "language": reading.language,
        "regime": stated_regime(reading.facts),
        "date": reading.dates[0] if reading.dates else None,
    }
    for name, value in read.items():
        if name in metadata and metadata[name] != value:
            yield Problem(name, f"the row says {name} {metadata[name]}, its question {value}")
    if "simulated" in metadata and "date" in metadata and not kind.needs.given:
        yield from _simulated_problems(reading, metadata)
    first_held = len(kind.templates(reading.language)) - HELD_TEMPLATES
    if "template" in metadata and metadata["template"] >= first_held:
        yield Problem("held_out", f"its template {metadata['template']} is kept for evaluation")


def _simulated_problems(reading: Reading, metadata: dict[str, Any]) -> Iterator[Problem]:
    """The market's numbers are either a real day's or simulated."""
    of_real_day = metadata.get("day", metadata["date"]) is not None
    for name in NUMBERS:
        if name not in reading.facts.numbers:
            continue
        simulated = name in metadata["simulated"]
        if simulated and of_real_day:
            yield Problem("metadata", f"the row says that its {name} is a real day's and simulated")
        if not simulated and not of_real_day:
            yield Problem(
                "metadata", f"the row says that its {name} is of no day and not simulated"
            )


def _missing(facts: Facts, kind: Kind) -> list[str]:
    """Names what the kind's decision needs and the question does not say."""
    needs = kind.needs
    if needs.partial_share and missing_numbers(facts):
        return _missing_in_a_hurry(facts)
    market = NUMBERS
    missing = [name for name in (*market, *needs.numbers) if name not in facts.numbers]
    missing += [name for name in needs.words if name not in facts.words]
    for stock in facts.stocks[: needs.stocks[1]]:
        missing += _missing_of_stock(stock, kind)
    fewest = needs.stocks[0] + len(needs.funds)
    if len(facts.stocks) < fewest:
        missing.append(f"{fewest} stocks")
    return missing


def _missing_in_a_hurry(facts: Facts) -> list[str]:
    """A hurried question states a number of the market, or the regime, and offers no stocks."""
    if "current_regime" in facts.words or any(name in facts.numbers for name in NUMBERS):
        return []
    return ["a number of the market or the regime"]


def _missing_of_stock(stock: StockFacts, kind: Kind) -> list[str]:
    missing = []
    for name in (*kind.needs.stock_numbers, *kind.needs.stock_words):
        said = name in stock.numbers or name in stock.words
        if not said and name not in _MAY_BE_ABSENT:
            missing.append(f"{name} of {stock.ticker}")
    return missing


def _reply_problems(
    row: dict[str, Any], texts: _Texts, reading: Reading, kind: Kind
) -> Iterator[Problem]:
    """Yields the problems of the row's answer and, in a pair, of the rejected one."""
    try:
        decision = settled(kind.decide(reading.facts))
        grade = grade_by_text(kind.name, texts.question, texts.reply)
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        yield Problem(
            "prompt", f"the question allows no decision ({type(error).__name__}: {error})"
        )
        return
    yield from _answer_problems(grade, decision, kind)
    yield from text_problems(grade, decision, reading)
    if not kind.needs.given:  # others' texts may round and derive, as a model's
        yield from prose_problems(grade, reading, texts.question)
    if "rejected" in row:
        yield from _rejected_problems(row, texts.question, kind)


@lru_cache(maxsize=8)
def grade_by_text(kind: str, question: str, reply: str) -> Grade:
    """Grades a reply by what the text of its question says, and by nothing else.

    The last ones are remembered: whoever chose a rejected answer by its grade has it proven next,
    from the same texts, which takes a sixth of the time of pairs.
    """
    reading = read_question(question)
    scene = Scene(kind, reading.language, 0, "bullets", None, reading.facts)
    return kind_named(kind).grade(scene, reply)


def _answer_problems(grade: Grade, decision: Decision, kind: Kind) -> Iterator[Problem]:
    answer = grade.answer
    if answer is None:
        yield Problem("schema", "its answer is no JSON of the kind's schema")
        return
    for path, detail in _differences(answer, decision):
        yield Problem(_rule_of(path, kind), detail)
    for told in objects_in(answer):
        if "ticker" in told and "name" in told and told["name"] not in names(told["ticker"]):
            yield Problem("names", f"{told['name']}({told['ticker']}) is not the universe's")
    if grade.score < 1:
        yield Problem("grade", f"its answer grades {grade.score:.2f} ({grade.reason})")


_UNDECIDED = frozenset((*PROSE_KEYS, "name"))


def _differences(answer: Any, right: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yields the keys of each decision of the answer that is not the strategy's, and what it is;
    no keys if the strategy has no such decision. Prose and names are judged elsewhere.
    """
    if isinstance(right, dict) and isinstance(answer, dict):
        for key in answer:
            if key not in right and key not in _UNDECIDED:
                yield "", f"{path}{key} has no ground in the question"
        for key, value in right.items():
            yield from _differences(answer.get(key), value, f"{path}{key}.")
    elif isinstance(right, list) and isinstance(answer, list) and len(right) == len(answer):
        for index, (entry, right_entry) in enumerate(zip(answer, right, strict=True)):
            yield from _differences(entry, right_entry, f"{path}{index}.")
    elif isinstance(right, Open):
        if not right.allows(answer):
            key = path.rstrip(".")
            yield "", f"{key} is {_shortened(answer)}: {right.low} to {right.high}"
    elif answer != right or type(answer) is not type(right):
        key = path.rstrip(".")
        yield key, f"{key} is {_shortened(answer)}, the strategy says {_shortened(right)}"


def _rule_of(path: str, kind: Kind) -> str:
    """Returns the rule that a wrong decision breaks, by its keys."""
    key = path.split(".")[-1]
    if "working" in path:
        return "working"
    if key in keys_with(REGIME, kind.schema):
        return "regime"
    if key == "ticker":
        return "tickers"
    return "decision"


def _shortened(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    if len(text) < 60:
        return text
    return text[:57] + "..."


def check_rejected(pair: dict[str, Any]) -> Iterator[Problem]:
    """Yields what check_row does of a pair whose prompt and chosen answer are a proven row's."""
    question = pair["prompt"][-1]["content"]
    yield from _rejected_problems(pair, question, kind_named(pair["metadata"]["kind"]))


def _rejected_problems(pair: dict[str, Any], question: str, kind: Kind) -> Iterator[Problem]:
    """A rejected answer must grade below 1, and fail for the reason that its pair names and for no
    other.

    One that a model gave may fail for more reasons, if the pair names all of them, and must be
    clearly wrong.
    """
    grade = grade_by_text(kind.name, question, pair["rejected"][-1]["content"])
    metadata = pair.get("metadata") or {}
    flaw = metadata.get("flaw")
    flaws = set(metadata.get("flaws") or [flaw])
    if grade.score >= 1:
        yield Problem("rejected", "its rejected answer is right")
    elif "flaws" in metadata and grade.score > MODEL_REJECT_SCORE:
        yield Problem(
            "rejected",
            f"its rejected answer is a model's and grades {grade.score:.2f}: too good for a reject",
        )
    elif flaw is not None and (grade.flaws != flaws or flaw not in flaws):
        shown = ", ".join(sorted(grade.flaws))
        yield Problem("flaw", f"its rejected answer shows {shown}, the pair says {flaw}")
