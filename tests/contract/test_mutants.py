"""The checker against rows with one thing changed: a mutant that is untrue must be caught, a true
one must pass.

What makes a mutant untrue is decided without the checker and without reading its text:
- a number or word of the question changed: true only if the generator, given the changed facts and
  the same seed, writes the very same answer (the number neither decides anything nor is quoted);
- anything else changed, in the answer or in the form of the question: untrue.

What survives (it is printed) is rare: a changed number that gives the answer a second ground beside
the one it names (in a bear market every position goes, stopped or not).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tasks.core.kinds import kind_named, lexicon
from tasks.core.kinds.base import scene_from_dict, system_prompt
from tasks.core.kinds.lexicon import CONTEXT, MARKET, STOCK, STOCK_WORDS, called, printed
from tasks.core.kinds.texts import PROSE_KEYS, to_text
from tasks.core.strategy.events import events
from tasks.core.strategy.rules import REGIMES, SHOCKS
from tasks.core.strategy.universe import names, stocks
from tasks.core.synthesis.checks import check_row
from tests.contract.tally import MOST_SURVIVE, RIGHT_RULES, Mutant, Tally
from tests.synthetic import demo_market, synthetic_rows

ROWS = 200
SYSTEM, QUESTION, ANSWER = 0, 1, 2
"""The messages of a row, in their order."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return synthetic_rows(demo_market(folder) / "train", folder / "out", rows=ROWS)


def with_text(row, message, text):
    """The row with another text in one of its messages."""
    messages = list(row["messages"])
    messages[message] = {**messages[message], "content": text}
    return {**row, "messages": messages}


# Answers with one thing changed


def in_answers(row, rng) -> Iterator[Mutant]:
    subject = kind_named(row["metadata"]["kind"])
    answer = json.loads(row["messages"][ANSWER]["content"])

    def mutant(sort, path, new, how=""):
        text = to_text(changed(answer, path, new))
        return Mutant(sort, f"{'.'.join(map(str, path))} {how}", with_text(row, ANSWER, text))

    for path, value in leaves(answer):
        key = path[-1]
        if isinstance(value, int):
            for new in (value + rng.choice((-1, 1)), -value if value else 7, value * 10 + 1):
                yield mutant("answer number", path, new)
        elif key == "ticker":
            other = rng.choice([stock.ticker for stock in stocks() if stock.ticker != value])
            yield mutant("answer ticker", path, other)
            yield mutant("answer ticker", path, f"99{rng.randint(1000, 9999)}")
        elif key == "name":
            others = [stock.name_ko for stock in stocks() if value not in names(stock.ticker)]
            yield mutant("answer name", path, rng.choice(others))
        elif "working" in path:
            yield mutant("answer working", path, f"{value} ")
            yield mutant("answer working", path, f"{value}1")
        elif key in PROSE_KEYS:
            yield from in_text(value, path, mutant, row, rng)
        else:
            choices = [one for one in schema_at(subject.schema, path)["enum"] if one != value]
            yield mutant("answer value", path, rng.choice(choices or ["SELL"]))
            yield mutant("answer value", path, value.swapcase())
    for path in paths_of_keys(answer):
        yield mutant("answer key", path, lambda box, key: box.pop(key))
        yield mutant("answer key", path, lambda box, key: box.update({f"{key}_": box.pop(key)}))


def leaves(value, path=()) -> Iterator[tuple[tuple, Any]]:
    """Every value of an answer that holds no others, with the keys and indexes that lead to it."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        if isinstance(entry, dict | list):
            yield from leaves(entry, (*path, key))
        else:
            yield (*path, key), entry


def paths_of_keys(answer) -> list[tuple]:
    """The path of every key of an answer, at any depth."""
    paths = set()
    for leaf, _ in leaves(answer):
        for depth in range(1, len(leaf) + 1):
            paths.add(leaf[:depth])
    return [path for path in sorted(paths, key=str) if isinstance(path[-1], str)]


def changed(value, path, new):
    """A copy with the entry at a path replaced, or removed or renamed if `new` is a function of
    (box, key).
    """
    copy = json.loads(json.dumps(value))
    box = copy
    for key in path[:-1]:
        box = box[key]
    if callable(new):
        new(box, path[-1])
    else:
        box[path[-1]] = new
    return copy


def schema_at(schema, path):
    for key in path:
        if isinstance(key, int):
            schema = schema["items"]
        else:
            forms = schema.get("anyOf", [schema])
            schema = next(form for form in forms if key in form["properties"])["properties"][key]
    return schema


# A number as prose writes it, and labels whose digits are no numbers.
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?")
LABELS = [
    name
    for label in {**MARKET, **CONTEXT}.values()
    for language in ("ko", "en")
    for name in label.names(language)
]
LABELS.append("S&P 500")
LABEL_WITH_DIGITS = re.compile(
    "|".join(
        re.escape(label)
        for label in sorted(LABELS, key=len, reverse=True)
        if re.search(r"\d", label)
    )
)


def in_text(text, path, mutant, row, rng) -> Iterator[Mutant]:
    masked = LABEL_WITH_DIGITS.sub(lambda label: "#" * len(label[0]), text)
    for number in NUMBER.finditer(masked):
        new = nudged(number[0], rng)
        how = f"{number[0]} -> {new} in: {text}"
        yield mutant("text number", path, spliced(text, number, new), how)
    for regime in re.finditer("|".join(REGIMES), text):
        other = rng.choice([one for one in REGIMES if one != regime[0]])
        yield mutant("text regime", path, spliced(text, regime, other))
    yield mutant("text script", path, text.replace(" ", " 市場 ", 1))
    foreign = "시장 수익률로 정한다."
    if row["metadata"]["language"] == "ko":
        foreign = "The market return decides."
    yield mutant("text language", path, foreign)


def spliced(text, match, new):
    """The text with what a pattern matched replaced."""
    return text[: match.start()] + new + text[match.end() :]


def nudged(number, rng):
    """A printed number with its last digit moved by one."""
    digits = number.replace(",", "")
    decimals = len(digits.partition(".")[2])
    value = float(digits) + rng.choice((-1, 1)) * 10**-decimals
    sign = "+" if number[0] == "+" else ""
    return f"{value:{sign}.{decimals}f}"


# Questions with one thing changed


def in_questions(row, rng) -> Iterator[Mutant]:
    scene = scene_from_dict(row["metadata"]["scene"])
    question = row["messages"][QUESTION]["content"]
    answer = row["messages"][ANSWER]["content"]
    subject = kind_named(scene.kind)

    def leads_to_the_same_answer(facts):
        other = replace(scene, facts=facts)
        try:
            same = to_text(subject.answer(other, Random(scene.seed))) == answer
        except (IndexError, KeyError):
            return False  # no answer follows from such facts
        return same and other.regime == row["metadata"]["regime"]

    def mutant(sort, what, old, new, facts=None):
        """The question with one text replaced. With changed facts it is true if they lead to the
        same answer.
        """
        assert question.count(old) == 1, (old, question)
        true = facts is not None and leads_to_the_same_answer(facts)
        return Mutant(sort, what, with_text(row, QUESTION, question.replace(old, new)), true)

    yield from in_numbers(scene, question, mutant, rng)
    yield from in_stocks(scene, question, mutant, rng)
    yield from in_words(scene, mutant, rng)
    if scene.date:
        year, month, day = scene.date.split("-")
        for new in (f"{int(year) + 1}-{month}-{day}", f"{year}-{month}-{int(day) % 28 + 1:02d}"):
            yield mutant("question date", scene.date, scene.date, new)
    else:
        yield Mutant("question date", "added", with_text(row, QUESTION, question + "\n2024-05-02"))
    with_hanja = question.replace(" ", " 市場 ", 1)
    yield Mutant("question script", "", with_text(row, QUESTION, with_hanja))
    other = "en" if scene.language == "ko" else "ko"
    translated = subject.ask(replace(scene, language=other), Random(scene.seed))
    yield Mutant("question language", other, with_text(row, QUESTION, translated))
    yield Mutant("system", other, with_text(row, SYSTEM, system_prompt(other)))


def in_numbers(scene, question, mutant, rng) -> Iterator[Mutant]:
    language = scene.language
    for name, value in scene.facts.numbers.items():
        said = called(name, value, language, scene.seed)
        pattern = f"({re.escape(said.name)})(: | \\| | ){re.escape(said.value)}"
        # A name that begins the question has a capital.
        old, label, between = re.search(pattern, question, re.I).group(0, 1, 2)
        for moved in moved_numbers(name, value, rng):
            other = called(name, moved, language, scene.seed)
            new = f"{other.name}{between}{other.value}"
            facts = replace(scene.facts, numbers={**scene.facts.numbers, name: moved})
            yield mutant("question number", f"{name} {value} -> {moved}", old, new, facts)
        yield mutant("question label", name, old, old.replace(label, label[:-1]))


def moved_numbers(name, value, rng) -> Iterator[float]:
    """The same number moved by its last digit, and further."""
    label = {**MARKET, **CONTEXT, **STOCK}[name]
    step = 10.0**-label.decimals
    for steps in (rng.choice((-1, 1)), rng.choice((-1, 1)) * rng.randint(5, 400)):
        moved = round(value + steps * step, label.decimals) + 0.0
        if not label.signed and name not in MARKET and name != "net_now_pct":
            moved = abs(moved)
        if name == "breadth_pct":
            moved = min(max(moved, 0.0), 100.0)
        if moved != value:
            yield moved


def in_stocks(scene, question, mutant, rng) -> Iterator[Mutant]:
    lines = lines_of_stocks(scene, question)
    for stock in scene.facts.stocks:
        line = lines[stock.ticker]
        called = next(name for name in names(stock.ticker) if f"{name}({stock.ticker})" in line)
        other = rng.choice([known for known in stocks() if known.ticker not in lines])
        made_up = f"99{rng.randint(1000, 9999)}"
        for ticker in (other.ticker, made_up):
            new = line.replace(stock.ticker, ticker)
            yield mutant("question ticker", stock.ticker, line, new)
        yield mutant("question name", called, line, line.replace(f"{called}(", f"{other.name_ko}("))
        yield from in_numbers_of(stock, line, scene, mutant, rng)
        yield from in_words_of(stock, line, scene, mutant, rng)


def lines_of_stocks(scene, question) -> dict[str, str]:
    """The line of the question that speaks of a stock, by ticker."""
    lines = {}
    for stock in scene.facts.stocks:
        for line in question.splitlines():
            if stock.ticker in line:
                lines[stock.ticker] = line
    return lines


def in_numbers_of(stock, line, scene, mutant, rng) -> Iterator[Mutant]:
    for key, value in stock.numbers.items():
        label = STOCK[key].of(scene.language)
        old = f"{label} {printed(key, value, scene.language)}"
        for moved in moved_numbers(key, value, rng):
            new = line.replace(old, f"{label} {printed(key, moved, scene.language)}")
            facts = with_stock(scene.facts, replace(stock, numbers={**stock.numbers, key: moved}))
            yield mutant("question number", f"{key} {value} -> {moved}", line, new, facts)
        yield mutant("question label", key, line, line.replace(f"{label} ", f"{label[:-1]} "))


def in_words_of(stock, line, scene, mutant, rng) -> Iterator[Mutant]:
    for key, value in stock.words.items():
        label, values = STOCK_WORDS[key]
        printed_label = label.of(scene.language)
        other = rng.choice([one for one in values if one != value])
        old = f"{printed_label} {values[value].of(scene.language)}"
        new = line.replace(old, f"{printed_label} {values[other].of(scene.language)}")
        facts = with_stock(scene.facts, replace(stock, words={**stock.words, key: other}))
        yield mutant("question word", f"{key} {value} -> {other}", line, new, facts)
        yield mutant("question label", key, line, line.replace(printed_label, "?"))


def with_stock(facts, stock):
    """The facts with other numbers or words of one stock."""
    changed_stocks = [stock if one.ticker == stock.ticker else one for one in facts.stocks]
    return replace(facts, stocks=tuple(changed_stocks))


def in_words(scene, mutant, rng) -> Iterator[Mutant]:
    language = scene.language
    printed_words = {
        "previous_regime": {regime: regime for regime in REGIMES},
        "current_regime": {regime: regime for regime in REGIMES},
        "shock": {shock: lexicon.SHOCKS[shock].of(language) for shock in SHOCKS},
        "event": {event.name: event.ko if language == "ko" else event.en for event in events()},
    }
    for name, value in scene.facts.words.items():
        values = printed_words[name]
        other = rng.choice([one for one in values if one != value])
        facts = replace(scene.facts, words={**scene.facts.words, name: other})
        what = f"{name} {value} -> {other}"
        yield mutant("question word", what, values[value], values[other], facts)


# What the checker says of them


def test_no_true_row_is_refused(rows):
    assert len({(row["metadata"]["kind"], row["metadata"]["language"]) for row in rows}) == 24
    for row in rows:
        assert list(check_row(row)) == []


@pytest.mark.slow
def test_untrue_rows_are_caught_by_the_right_rule(rows):
    rng, tally = Random(7), Tally()
    for row in rows:
        for mutant in (*in_answers(row, rng), *in_questions(row, rng)):
            tally.add(mutant, {problem.rule for problem in check_row(mutant.row)})
    tally.show()
    survived = tally.survived()
    for sort in RIGHT_RULES:
        assert survived[sort] <= MOST_SURVIVE * tally.untrue[sort], survived
    assert not tally.misnamed and not tally.alarms
